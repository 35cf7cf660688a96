"""diagnose: what is installed, what a nuScenes dataroot lacks, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from packaging.requirements import Requirement

from drive_wm.errors import InputError

EXTRAS = {  # top-level module: (extra, what it is for)
    "libsumo": ("sumo", "synthetic drives and closed-loop traffic"),
    "tensorrt": ("tensorrt", "engines for the vehicle"),
    "tensorrt_rtx": ("rtx", "engines built without a GPU"),
    "ray": ("ray", "prepare and evaluate on several machines"),
    "rerun": ("viz", "the interactive viewer"),
}


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    ok: bool
    found: str
    to_do: str = ""  # empty where nothing is to be done
    required: bool = True  # False: something optional is missing


def diagnose(root: Path | None, version: str) -> list[Finding]:
    """Findings on the installation, then on the dataroot where one is given."""
    findings = [*_packages(), *_extras()]
    if root is not None and util.find_spec("nuscenes"):
        findings += _dataroot(root, version)
    return findings


def healthy(findings: list[Finding]) -> bool:
    """Whether nothing required is missing."""
    return all(finding.ok for finding in findings if finding.required)


def _packages() -> Iterator[Finding]:
    for text in metadata.requires("drive-wm") or []:
        need = Requirement(text)
        if need.marker is not None:  # belongs to an extra
            continue
        try:
            found = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            yield Finding(need.name, False, "not installed", f"pip install '{need}'")
            continue
        ok = need.specifier.contains(found, prereleases=True)
        yield Finding(need.name, ok, found, "" if ok else f"pip install '{need}'")


def _extras() -> Iterator[Finding]:
    for module, (extra, purpose) in EXTRAS.items():
        if util.find_spec(module):
            yield Finding(f"{module} ({purpose})", True, "installed", required=False)
        else:
            yield Finding(
                f"{module} ({purpose})", False, "not installed", f"optional: pip install 'drive-wm[{extra}]'", required=False
            )


def _dataroot(root: Path, version: str) -> Iterator[Finding]:
    from drive_wm.datasets import nuscenes_tables as tables

    name = f"tables of {version}"
    try:
        tables.require_tables(root, version)
        present = {scene["name"] for scene in tables.read_table(root / version / "scene.json")}
        places = sorted({log["location"] for log in tables.read_table(root / version / "log.json")})
    except (FileNotFoundError, InputError) as error:
        yield Finding(name, False, "missing or damaged", str(error))
        return
    splits = tables.known_splits(root, version)
    shares = [f"{split} {n}/{len(names)}" for split, names in splits.items() if (n := len(present & set(names)))]
    yield Finding(name, True, f"{len(present)} scenes: {', '.join(shares)}")
    for place in places:
        yield _map(root, place)
    yield _prediction(root)
    yield Finding("CAN bus", True, "not needed", required=False)


def _map(root: Path, location: str) -> Finding:
    from drive_wm.datasets.nuscenes_map import EXPANSION_VERSION, WHERE_TO_GET, expansion_version

    name = f"map of {location}"
    try:
        found = expansion_version(root, location)
    except (FileNotFoundError, InputError) as error:
        return Finding(name, False, "missing or damaged", str(error))
    ok = found >= EXPANSION_VERSION
    return Finding(name, ok, f"expansion {found}", "" if ok else WHERE_TO_GET.format(folder=root / "maps" / "expansion"))


def _prediction(root: Path) -> Finding:
    path = root / "maps" / "prediction" / "prediction_scenes.json"
    to_do = f"only for `evaluate prediction`: unpack nuScenes-map-expansion-v1.3.zip so that {path} exists"
    if path.is_file():
        return Finding("prediction_scenes.json", True, f"{path.stat().st_size} bytes", required=False)
    return Finding("prediction_scenes.json", False, "missing", to_do, required=False)
