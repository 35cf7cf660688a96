"""The demo as a user runs it: one command, no data, and everything it promises is there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drive_wm.deploy.bundle import open_bundle


@pytest.mark.slow
def test_the_demo_writes_plans_bundle_and_report(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "drive_wm.cli", "demo", "--out", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = [row for row in json.loads((tmp_path / "demo/planning.json").read_text())["rows"] if "slice" not in row]
    assert {row["planner"] for row in rows} == {"world_model", "constant_velocity", "log"}
    assert all(row["n"] > 30 for row in rows)
    assert open_bundle(tmp_path / "demo/bundle").golden.inputs
    page = (tmp_path / "demo/report.html").read_text()
    for title in ("Junction", "Roundabout", "Merge", "Crossing pedestrians", "Cut in", "Hard brake"):
        assert f">{title}<" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
