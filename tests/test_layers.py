"""Imports point down: the layers of the package, which parts never meet, and what training and vehicles do without."""

import ast
import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
TOP_FOLDERS = ("datasets", "planners", "deploy", "benchmarks", "weights")

# The part of the package below drive_wm -> its layer; a part imports from lower layers, and sideways within its own
# as long as no two files import each other in a circle.
LAYERS = {
    "structs": 0, "geometry": 0, "errors": 0, "files": 0, "boxes": 0, "log": 0, "scene": 0, "rollouts": 0, "weights": 0,
    "scene_at": 1, "log_boxes": 1, "viewpoint": 1, "map_crop": 1, "bev": 1, "coverage": 1, "map_outlines": 1,
    "edge_distance": 1, "raster_bytes": 1, "lane_graph": 1, "graph": 1, "kinematics": 1, "metrics": 1, "drawing": 1,
    "figures": 1, "animation": 1, "mirror": 1, "rerun_log": 1, "bicycle": 1, "ego_past": 1, "told": 1,
    "model": 2, "datasets": 2, "planners": 2, "courses": 2,
    "config": 3, "checkpoint": 3, "losses": 3, "samples": 3, "train": 3, "imagination": 3, "show": 3, "surprise": 3,
    "fit": 3, "train_ego_history": 3,
    "deploy": 4, "benchmarks": 4,
    "demo": 5, "screen": 5,
    "cli": 5, "cli_bench": 5, "cli_evaluate": 5, "cli_options": 5, "cli_synth": 5,
}  # fmt: skip
STRANGERS = ({"model", "datasets", "planners"}, {"deploy", "benchmarks"})  # within each set, none imports another
OPTIONAL = ("libsumo", "traci", "sumolib", "ray", "rerun", "tensorrt", "tensorrt_rtx")  # pip's extras


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "drive_wm" else ("drive_wm", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for top in ("drive_wm", *TOP_FOLDERS) for path in (ROOT / top).rglob("*.py")}


def imports(path: Path) -> set[str]:
    """Every module that the file imports at any depth, `from a import b` as a.b when that is a module of ours."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write the import in full, from drive_wm"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in names}
    return found


def part(module: str) -> str:
    """ "planners" of "drive_wm.planners.choose"; "" of "drive_wm" itself."""
    return module.split(".")[1] if "." in module else ""


OURS = {name: {m for m in imports(path) if m.split(".")[0] == "drive_wm"} for name, path in FILES.items()}


def test_every_module_has_a_layer():
    unknown = sorted({part(name) for name in FILES} - {""} - set(LAYERS))
    assert not unknown, f"{unknown} have no layer: add them to LAYERS in {Path(__file__).name}, as low as their imports allow"


@pytest.mark.parametrize("name", sorted(FILES))
def test_imports_point_down(name):
    if part(name) == "":
        assert OURS[name] == set(), "drive_wm/__init__.py stays empty, so that `drive-wm --help` is quick"
        return
    upward = [m for m in sorted(OURS[name]) if LAYERS.get(part(m), 0) > LAYERS.get(part(name), 5)]
    assert not upward, f"{name} is of layer {LAYERS[part(name)]} and imports {upward} from above"


@pytest.mark.parametrize("name", sorted(FILES))
def test_strangers_do_not_meet(name):
    forbidden = next((group - {part(name)} for group in STRANGERS if part(name) in group), set())
    assert [m for m in sorted(OURS[name]) if part(m) in forbidden] == []


def test_no_import_circle():
    """Take away, again and again, the files whose imports are all gone; a circle is what stays."""
    left = {name: {m for m in targets if m in FILES and m != name} for name, targets in OURS.items()}
    while free := {name for name, targets in left.items() if not targets}:
        left = {name: targets - free for name, targets in left.items() if name not in free}
    assert left == {}


def test_nuscenes_devkit_stays_where_nuscenes_is_read():
    users = {name for name, path in FILES.items() if any(m.split(".")[0] == "nuscenes" for m in imports(path))}
    allowed = {name for name in FILES if name.startswith(("drive_wm.datasets.nuscenes", "drive_wm.benchmarks."))}
    assert users - allowed == set()


def test_every_imported_library_is_declared():
    """A library that only happens to be installed, because another needs it, may vanish with that one's next version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = sum(project["optional-dependencies"].values(), project["dependencies"])
    declared = {canonicalize_name(Requirement(text).name) for text in requirements}
    # The module of tensorrt-rtx lies in the package that it requires for its CUDA version.
    homes = packages_distributions() | {"tensorrt_rtx": ["tensorrt-rtx"]}
    tops = {m.split(".")[0] for path in FILES.values() for m in imports(path)} - sys.stdlib_module_names - {"drive_wm"}
    assert [top for top in sorted(tops) if not declared & {canonicalize_name(d) for d in homes.get(top, [top])}] == []


# Training from a cache and running a bundle need neither the devkit nor an extra.
IMPORT_WITHOUT = """
import importlib, json, sys, traceback

blocked, modules = json.loads(sys.argv[1]), json.loads(sys.argv[2])
sys.modules.update({name: None for name in blocked})  # None makes `import name` raise ModuleNotFoundError
failed = {}
for name in modules:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        failed[name] = str(error)
print(json.dumps(failed))
"""


def test_training_and_vehicle_import_without_devkit_and_extras():
    modules = [name for name in sorted(FILES) if part(name) not in ("benchmarks", "demo") and "datasets.nuscenes" not in name]
    command = [sys.executable, "-c", IMPORT_WITHOUT, json.dumps(["nuscenes", *OPTIONAL]), json.dumps(modules)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT.parent, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == {}
