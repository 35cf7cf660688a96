"""The command line: quick help, one clean message for what the user can put right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from drive_wm.cli import app
from drive_wm.datasets.cache import write_cache
from drive_wm.errors import InputError
from drive_wm.log import Log
from drive_wm.scene import SceneConfig
from drive_wm.screen import Commands, interruptible, show

runner = CliRunner()


def test_help_loads_no_heavy_library():
    """torch alone takes seconds to load: what --help imports is the standard library, Typer and Rich."""
    code = (
        "import sys; from drive_wm.cli import app; print(sorted({'torch', 'numpy', 'shapely', 'nuscenes'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def commands(group: typer.Typer, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command's words, for example ("evaluate", "planning")."""
    own = [(*prefix, c.name or c.callback.__name__.replace("_", "-")) for c in group.registered_commands]
    return own + [words for g in group.registered_groups for words in commands(g.typer_instance, (*prefix, g.name))]


@pytest.mark.parametrize("words", commands(app), ids=" ".join)
def test_every_command_has_help(words):
    result = runner.invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def failing_app(error: BaseException) -> typer.Typer:
    """An app of the same make whose command `one two` raises."""
    group, outer = typer.Typer(), typer.Typer(cls=Commands)

    @group.command()
    def two() -> None:
        raise error

    @outer.command()
    def other() -> None: ...

    @group.command()
    def three() -> None: ...

    outer.add_typer(group, name="one")
    return outer


@pytest.mark.parametrize(
    "error", [InputError("No [lanes] here."), FileNotFoundError("No file a.json. Type --cache.")], ids=repr
)
def test_user_errors_are_one_message_on_stderr(error):
    result = runner.invoke(failing_app(error), ["one", "two"])
    assert result.exit_code == 1
    assert result.stderr == f"drive-wm: {error}\n"
    assert result.stdout == ""


def test_a_bug_keeps_its_traceback():
    result = runner.invoke(failing_app(ZeroDivisionError("bug")), ["one", "two"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_ctrl_c_says_how_to_go_on():
    outer = typer.Typer(cls=Commands)

    @outer.command()
    def long() -> None:
        with interruptible("Go on with: drive-wm long --resume"):
            raise KeyboardInterrupt

    result = runner.invoke(outer, [])
    assert result.exit_code == 130
    assert result.stderr == "Interrupted. Go on with: drive-wm long --resume\n"


def test_show_prints_the_columns_in_order_and_format(capsys):
    rows = [{"planner": "log", "n": 7, "l2_avg": 0.0}, {"planner": "idm", "l2_avg": 1.256, "n": 7}]
    show("Planning", rows, {"planner": "", "l2_avg": ".2f", "n": ""})
    printed = capsys.readouterr().out
    assert printed.index("planner") < printed.index("l2 avg") < printed.index("n ")
    assert "1.26" in printed


MISTAKES = {  # what was typed: what the one message must say
    "prepare --out {tmp}/out --root {tmp}/nowhere": "No nuScenes tables in",
    "prepare --out {tmp}/out": "Pass --root",
    "prepare --out {tmp}/out --data waymo": "known: nuscenes, nuscenes_pred, sumo",
    "train --cache {tmp}/nowhere --out {tmp}/run": "Run `drive-wm prepare",
    "train --cache {tmp}/nowhere --out {tmp}/run --preset huge": "known: tiny, base",
    "train --cache {tmp}/nowhere --out {tmp}/run model.speed=3": "there is no 'speed'",
    "evaluate planning --cache {tmp}/nowhere": "Run `drive-wm prepare",
    "evaluate planning --plans {tmp}/plans.json": "Pass --root",
    "evaluate planning": "Pass --plans",
    "compare {tmp}/a.parquet {tmp}/b.parquet": "--rows",
    "inspect {tmp}/a.parquet --sample x": "--rows",
    "export --weights {tmp}/nowhere --out {tmp}/bundle": "No weights at",
    "bench tick --bundle {tmp}/nowhere": "Make one with `drive-wm export",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_are_explained(line, tmp_path):
    result = runner.invoke(app, line.format(tmp=tmp_path).split())
    assert result.exit_code == 1, result.output
    *_, message = result.stderr.splitlines()  # a bar may stand above it
    assert message.startswith("drive-wm: ")
    assert MISTAKES[line] in message


def test_doctor_without_data_finds_this_installation_whole():
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    assert "torch" in result.output


@pytest.fixture(scope="module")
def crossroads_cache(crossroads_log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cache")
    write_cache(iter([crossroads_log]), out, "crossroads", "1", "all", SceneConfig(), lambda done, of, note: None)
    return out


def test_evaluate_planning_prints_and_writes(crossroads_cache, tmp_path):
    files = f"--json {tmp_path}/rows.json --rows {tmp_path}/rows.parquet"
    line = f"evaluate planning --cache {crossroads_cache} --planner constant_velocity --protocol strict {files}"
    result = runner.invoke(app, line.split())
    assert result.exit_code == 0, result.output
    assert "constant_velocity" in result.stdout
    first = json.loads((tmp_path / "rows.json").read_text())["rows"][0]
    assert (first["planner"], first["protocol"]) == ("constant_velocity", "strict")
    assert (tmp_path / "rows.parquet").stat().st_size > 0


def test_unknown_protocol_lists_the_known(crossroads_cache):
    line = f"evaluate planning --cache {crossroads_cache} --planner constant_velocity --protocol best"
    result = runner.invoke(app, line.split())
    assert result.exit_code == 1
    assert "Use one of: uniad, stp3_vad, bev_planner, sparsedrive, strict" in result.stderr
