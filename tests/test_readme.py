"""What the README says is so: its commands parse, its code runs, its paths exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from drive_wm.benchmarks.planner_named import planner_named
from drive_wm.benchmarks.planning import score_planner
from drive_wm.cli import app
from drive_wm.log import Log
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import scenes_of

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [line.split("#")[0] for block in blocks("sh") for line in block.splitlines() if line.startswith("drive-wm ")]
COMMANDS += re.findall(r"`(drive-wm [^`]*)`", README)


@pytest.mark.parametrize("line", COMMANDS)
def test_command_parses(line):
    """Parsed, not run: an unknown command, option or a missing one raises."""
    words = shlex.split(line)[1:]
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(line, words)


def test_make_targets_exist():
    targets = {line.split()[1] for block in blocks("sh") for line in block.splitlines() if line.startswith("make ")}
    makefile = (ROOT / "Makefile").read_text()
    assert {name for name in targets if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)} == set()
    assert targets == {"demo", "test"}


def test_links_and_pictures_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_planner_in_ten_lines_runs_and_is_scored(tmp_path, crossroads_log: Log):
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line]) <= 10
    (tmp_path / "my_planner.py").write_text(code)
    plan = planner_named(f"{tmp_path}/my_planner.py:plan", "")
    scene, _ = scenes_of(crossroads_log, SceneConfig())
    trajectory = plan(scene)
    assert trajectory.pose.shape == (len(crossroads_log.keyframes), 12, 3)
    assert bool((trajectory.speed_mps.diff(dim=1) <= 0).all())
    first = score_planner([(crossroads_log, scene)], plan, "mine", ["strict"]).table()[0]
    assert first["planner"] == "mine"
    assert first["l2_avg"] > 0
