"""A Log is found by what a user types, and drawn as the file's ending asks; nothing is written where something is wrong."""

from io import BytesIO

import pytest
from PIL import Image
from typer.testing import CliRunner

from drive_wm import rerun_log
from drive_wm.cli import app
from drive_wm.datasets.cache import write_cache
from drive_wm.errors import InputError
from drive_wm.log import write_log
from drive_wm.scene import SceneConfig
from drive_wm.show import find_log, show_log


@pytest.fixture
def cache(tmp_path, crossroads_log):
    write_cache(iter([crossroads_log]), tmp_path / "cache", "hand", "1", "all", SceneConfig(), lambda *news: None)
    return tmp_path / "cache"


def test_a_log_is_found_by_file_cache_and_sample(cache, crossroads_log, tmp_path):
    write_log(crossroads_log, tmp_path / "one.log.safetensors")
    for target in (tmp_path / "one.log.safetensors", cache, f"{cache}:crossroads"):
        assert find_log(str(target)).keyframes == crossroads_log.keyframes
    assert find_log("cut_in").name == "cut_in"


def test_what_is_not_there_is_told(cache):
    with pytest.raises(InputError, match=r"no drive 'merge'. Type .*:NAME with one of: crossroads"):
        find_log(f"{cache}:merge")
    with pytest.raises(FileNotFoundError, match="or one of the samples junction"):
        find_log("crossroad")
    with pytest.raises(FileNotFoundError, match="No finished cache"):
        find_log("/nowhere:crossroads")


def test_picture_and_moving_picture(crossroads_log, tmp_path):
    png, gif = tmp_path / "x.png", tmp_path / "x.gif"
    assert show_log(crossroads_log, None, png, None) == [png]
    show_log(crossroads_log, 22, gif, None)
    assert Image.open(png).format == "PNG"
    assert Image.open(gif).n_frames == 4, "keyframes 22 and 23, three frames a step"


WRONG = {  # name: (step, out, rerun, what the message says)
    "a step too far": (24, "x.png", None, "0 to 23 with --step"),
    "a step before": (-1, "x.gif", None, "no step -1"),
    "another format": (0, "x.jpg", None, "ending .png or .gif"),
    "another recording": (0, None, "x.bag", "ending .rrd"),
}


@pytest.mark.parametrize(("step", "out", "rerun", "message"), WRONG.values(), ids=WRONG)
def test_nothing_is_written_where_something_is_wrong(crossroads_log, tmp_path, step, out, rerun, message):
    files = (tmp_path / name if name else None for name in (out, rerun))
    with pytest.raises(InputError, match=message):
        show_log(crossroads_log, step, *files)
    assert list(tmp_path.iterdir()) == []


def test_without_rerun_it_says_what_to_install(crossroads_log, tmp_path, monkeypatch):
    monkeypatch.setitem(rerun_log.importlib.sys.modules, "rerun", None)
    with pytest.raises(InputError, match=r"pip install 'drive-wm\[viz\]'"):
        show_log(crossroads_log, 0, tmp_path / "x.png", tmp_path / "x.rrd")
    assert list(tmp_path.iterdir()) == []


def test_the_command_names_what_it_wrote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["show", "cut_in", "--step", "9"])
    assert result.exit_code == 0, result.output
    assert result.stdout == "cut_in.png\n"
    assert Image.open(BytesIO((tmp_path / "cut_in.png").read_bytes())).width > 1000
