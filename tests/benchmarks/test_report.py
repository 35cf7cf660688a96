"""The page is well formed, complete in itself, and says of every picture what it shows."""

from dataclasses import replace
from pathlib import Path

import pytest

from drive_wm.benchmarks.report import (
    KeyFigure,
    Note,
    Picture,
    PlanRow,
    SceneReport,
    Table,
    anchor,
    data_uri,
    points,
    reason,
    tone,
    words,
    write_report,
)
from drive_wm.errors import InputError

PNG, GIF = b"\x89PNG\r\n\x1a\n and more", b"GIF89a and more"

CHOSEN = PlanRow("follow the lane", {"collision": -1.0, "progress_m": 3.0}, {"collision": 0.01, "progress_m": 40.0})
FASTER = PlanRow("faster", {"collision": -4.0, "progress_m": 4.0}, {"collision": 0.04, "progress_m": 55.0})
BRAKE = PlanRow("emergency brake", {"collision": 0.0, "progress_m": 0.5})
SCENE = SceneReport(
    "Left turn", "A truck & a <b>cyclist</b> cross.", (Picture(PNG, 'Map, "from above"', dark=PNG),),
    (CHOSEN, FASTER, BRAKE), (0.7, 0.3), {"Ego speed": "8.0 m/s"},
)  # fmt: skip
TABLE = Table("Planning", [{"planner": "world_model", "n": 38, "l2_avg": 0.726, "collision_avg": 0.0125, "slice": "all"}])


@pytest.fixture
def page(tmp_path, parsed):
    def render(*args, **kwargs):
        path = tmp_path / "report.html"
        write_report(path, *args, **kwargs)
        return parsed(path)

    return render


def whole(page):
    return page(
        "Demo", [SCENE, SCENE], [TABLE], [Note("How it was made", {"Commands": "one\ntwo", "Seed": "0"})],
        [KeyFigure("0.73 m", "L2", "n = 38")], "subtitle", Picture(GIF, "A drive", "caption", GIF, PNG),
    )  # fmt: skip


def test_every_picture_says_what_it_shows(page):
    images = whole(page).all("img")
    assert [image["alt"] for image in images] == ["A drive", 'Map, "from above"', 'Map, "from above"']
    assert images[0]["src"].startswith("data:image/gif;base64,")


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attributes in whole(page).tags:
        for name in ("src", "href", "srcset", "action"):
            address = attributes.get(name)
            assert address is None or address.startswith(("#", "data:image/")), f"<{tag} {name}={address}>"


def test_contents_lead_to_the_sections(page):
    found = whole(page)
    places = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    targets = [link["href"].removeprefix("#") for link in found.all("a")]
    assert len(places) == len(set(places))
    assert set(targets) <= set(places)
    assert len(targets) == 5, "skip link, two scenes, a table, a note"


def test_text_is_escaped(page):
    found = whole(page)
    assert "A truck & a <b>cyclist</b> cross." in found.texts
    assert found.all("b") == []


def test_table_reads_as_in_the_result_tables(page):
    texts = whole(page).texts
    at = texts.index("world_model")
    assert texts[at : at + 4] == ["world_model", "38", "0.73", "1.25"]
    assert texts[at - 4 : at] == ["planner", "n", "L2 avg, m", "collision avg, %"]


def test_what_decides_is_framed_once_per_other_plan(page):
    framed = [cell for cell in page("Demo", [SCENE]).all("td") if "decisive" in (cell.get("class") or "")]
    assert len(framed) == 2


def test_an_empty_report_is_a_page(page):
    assert page("Nothing yet").texts[:2] == ["Nothing yet", "Skip to the content"]


@pytest.mark.parametrize(
    "scene", [replace(SCENE, plans=()), replace(SCENE, mode_probabilities=()), replace(SCENE, pictures=())]
)
def test_a_scene_may_lack_parts(page, scene):
    assert "Left turn" in page("Demo", [scene]).texts


def test_page_is_written_into_a_new_folder(tmp_path: Path):
    write_report(tmp_path / "out" / "demo" / "report.html", "Demo")
    assert (tmp_path / "out" / "demo" / "report.html").is_file()


def test_total_is_the_sum_of_its_points():
    assert CHOSEN.total == 2.0


REASONS = {  # plan: in words
    "faster": (FASTER, "2.00 behind; loses 3.00 on collision"),
    "brake": (BRAKE, "1.50 behind; loses 2.50 on progress"),
    "itself": (CHOSEN, "equal on every term"),
}


@pytest.mark.parametrize(("plan", "text"), REASONS.values(), ids=REASONS)
def test_reason(plan, text):
    assert reason(plan, CHOSEN) == text


def test_tone_is_the_root_of_the_share_of_the_largest():
    assert [tone(value, (CHOSEN, FASTER)) for value in (-4.0, 1.0, 0.0)] == [1.0, 0.5, 0.0]
    assert tone(0.0, ()) == 0.0


@pytest.mark.parametrize(("value", "text"), [(-0.004, "0.00"), (0.0, "0.00"), (-1.5, "−1.50"), (2.346, "2.35")])
def test_points(value, text):
    assert points(value) == text


@pytest.mark.parametrize(
    ("term", "text"),
    [("lane_offset_m", "lane offset, m"), ("time_to_collision", "time to collision"), ("human_m", "human, m")],
)
def test_words(term, text):
    assert words(term) == text


def test_anchor():
    assert anchor("scene", 2, "Left turn, 3.0 s!") == "scene-2-left-turn-3-0-s"


def test_a_file_that_is_no_picture_is_refused():
    with pytest.raises(InputError, match="needed: a PNG or GIF file"):
        data_uri(b"<svg>")
