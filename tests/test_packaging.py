"""The wheel works on its own: installed away from the checkout, it runs and finds its data."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
pytestmark = pytest.mark.slow

READ_SAMPLES = """
import json

import drive_wm
from drive_wm.datasets.sumo_samples import sample_logs

print(json.dumps({"home": drive_wm.__file__, "samples": [log.name for log in sample_logs()]}))
"""

READ_WEIGHTS = """
from drive_wm.checkpoint import load_weights
load_weights("synthetic")
"""


def run(command: list[str], cwd: Path) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv that holds the wheel, and sees this environment's other packages but not its editable drive_wm."""
    home = tmp_path_factory.mktemp("installed")
    source = home / "source"  # a copy: setuptools leaves build/ beside what it builds, and would ship stale files from it
    for folder in set(PYPROJECT["tool"]["setuptools"]["package-dir"].values()):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(home), str(source)], home)
    (wheel,) = home.glob("drive_wm-*.whl")
    venv.create(home / "venv", with_pip=False)
    python = home / "venv/bin/python"
    run([sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", str(wheel)], home)
    # A path in a .pth file is searched last, and .pth files inside it (the editable install is one) are not read.
    site = sysconfig.get_path("purelib", vars={"base": str(home / "venv"), "platbase": str(home / "venv")})
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


def test_wheel_finds_its_own_code_and_samples(installed):
    found = json.loads(run([str(installed / "venv/bin/python"), "-c", READ_SAMPLES], installed).splitlines()[-1])
    assert found["home"].startswith(str(installed / "venv"))
    shipped = {path.name.removesuffix(".log.safetensors") for path in (ROOT / "datasets/samples").glob("*.safetensors")}
    assert set(found["samples"]) == shipped


def test_wheel_finds_its_weights(installed):
    run([str(installed / "venv/bin/python"), "-c", READ_WEIGHTS], installed)


def test_command_runs(installed):
    assert "demo" in run([str(installed / "venv/bin/drive-wm"), "--help"], installed)


def test_wheel_leaves_plain_names_alone(installed):
    """A top-level `datasets` would overwrite another project's package of that name."""
    (record,) = installed.glob("venv/lib/python*/site-packages/drive_wm-*.dist-info/RECORD")
    tops = {line.split("/")[0].split(",")[0] for line in record.read_text().splitlines() if not line.startswith("..")}
    assert {top for top in tops if not top.startswith("drive_wm")} == set()


def test_constraints_pin_every_dependency():
    """constraints.txt holds one exact version, inside pyproject's range, of each package that pyproject names."""
    extras = {k: v for k, v in PYPROJECT["project"]["optional-dependencies"].items() if k != "tensorrt"}  # only on the target
    needed = [Requirement(r) for r in sum(extras.values(), PYPROJECT["project"]["dependencies"])]
    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    outside = [
        str(r) for r in needed if r.name != "drive-wm" and not r.specifier.contains(pinned.get(canonicalize_name(r.name), ""))
    ]
    assert outside == []
