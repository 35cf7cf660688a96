"""The README's tables follow the result files."""

import pytest

from drive_wm.benchmarks.readme import main
from drive_wm.benchmarks.results_file import write_results

TEXT = "# Title\n\n<!-- results:planning -->\n<!-- /results:planning -->\n\nAfter.\n"


@pytest.fixture
def folder(tmp_path):
    """A README with one empty table and one result file."""
    (tmp_path / "README.md").write_text(TEXT)
    write_results(tmp_path / "planning.json", [{"planner": "ours", "n": 1}], seed=0, command="drive-wm evaluate planning")
    return tmp_path


def run(folder, *flags):
    main([*flags, "--readme", str(folder / "README.md"), "--results", str(folder)])


def test_check_fails_until_the_readme_is_written(folder):
    with pytest.raises(SystemExit, match="stale"):
        run(folder, "--check")
    assert (folder / "README.md").read_text() == TEXT
    run(folder)
    text = (folder / "README.md").read_text()
    assert "| ours | 1 |" in text
    assert text.startswith("# Title\n")
    assert text.endswith("\n\nAfter.\n")
    run(folder, "--check")
    run(folder)
    assert (folder / "README.md").read_text() == text


def test_a_new_result_makes_the_readme_stale(folder):
    run(folder)
    write_results(folder / "planning-more.json", [{"planner": "other", "n": 2}], seed=0, command="drive-wm evaluate planning")
    with pytest.raises(SystemExit, match="stale"):
        run(folder, "--check")
    run(folder)
    assert "| other | 2 |" in (folder / "README.md").read_text()


def test_a_table_without_results_is_named(folder):
    (folder / "README.md").write_text(TEXT.replace("planning", "speed"))
    with pytest.raises(SystemExit, match=r"No result file .*speed\.json"):
        run(folder)


def test_a_mark_chooses_slices(folder):
    rows = [{"n": 9}, {"n": 4, "slice": "rain, night"}, {"n": 5, "slice": "turns"}]
    write_results(folder / "planning.json", rows, seed=0, command="drive-wm evaluate planning")
    mark = "<!-- results:planning [turns; rain, night] slice n -->"
    (folder / "README.md").write_text(TEXT.replace("<!-- results:planning -->", mark))
    run(folder)
    assert f"{mark}\n| slice | n |\n| :-- | --: |\n| turns | 5 |\n| rain, night | 4 |\n" in (folder / "README.md").read_text()
    run(folder, "--check")
    (folder / "README.md").write_text(TEXT.replace("<!-- results:planning -->", mark.replace("turns", "snow")))
    with pytest.raises(SystemExit, match="snow; known: rain, night; turns"):
        run(folder)


def test_a_mark_chooses_columns(folder):
    (folder / "README.md").write_text(TEXT.replace("<!-- results:planning -->", "<!-- results:planning n -->"))
    run(folder)
    text = (folder / "README.md").read_text()
    assert "<!-- results:planning n -->\n| n |\n| --: |\n| 1 |\n" in text
    run(folder, "--check")
    (folder / "README.md").write_text(TEXT.replace("<!-- results:planning -->", "<!-- results:planning speed -->"))
    with pytest.raises(SystemExit, match="speed; known: planner, n"):
        run(folder)


def test_marks_that_do_not_pair_up_are_named(folder):
    (folder / "README.md").write_text(TEXT.replace("/results:planning", "/results:other"))
    with pytest.raises(SystemExit, match="do not pair up"):
        run(folder)
