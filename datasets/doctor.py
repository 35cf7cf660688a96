"""diagnose: what is installed, what a nuScenes dataroot lacks, and what to do about it."""

import json
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
PARSED_BYTES = 50_000_000


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
    from drive_wm.datasets.nuscenes_map import LOCATIONS
    from drive_wm.datasets.nuscenes_tables import OPTIONAL_TABLES, TABLES

    folder = root / version
    if not folder.is_dir():
        others = sorted(path.parent.name for path in root.glob("*/scene.json"))
        found = f"no folder {folder}" + (f"; there: {', '.join(others)}" if others else "")
        yield Finding(f"tables of {version}", False, found, _download(root, version))
    else:
        damage = {name: _damage(folder / f"{name}.json") for name in TABLES}
        yield from (Finding(f"{name}.json", False, bad, _download(root, version)) for name, bad in damage.items() if bad)
        if not any(damage.values()):
            yield _scenes(root, version)
        absent = [f"{name}.json" for name in OPTIONAL_TABLES if not (folder / f"{name}.json").is_file()]
        if absent:
            yield Finding(", ".join(absent), True, "missing, and not needed", required=False)
    yield from (_map(root, place) for place in _places(folder) or LOCATIONS)
    yield _prediction(root)
    yield Finding("CAN bus, camera, lidar and radar files", True, "not needed", required=False)


def _download(root: Path, version: str) -> str:
    archive = {"v1.0-mini": "v1.0-mini.tgz", "v1.0-trainval": "v1.0-trainval_meta.tgz", "v1.0-test": "v1.0-test_meta.tgz"}
    what = archive.get(version, f"the metadata of {version}")
    return f"download {what} from nuscenes.org/nuscenes#download and unpack it, so that {root / version}/scene.json exists"


def _damage(path: Path) -> str:
    """What is wrong with a table, "" for nothing; of the largest only the two ends are read, since parsing takes a minute."""
    from drive_wm.datasets.nuscenes_tables import read_table

    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64).lstrip()[:1]
        file.seek(max(0, size - 64))
        end = file.read().rstrip()[-1:]
    if (start, end) != (b"[", b"]"):
        return f"damaged: {size} bytes, not a whole JSON list"
    try:
        if size < PARSED_BYTES:
            read_table(path)
    except InputError as error:
        return f"damaged: {error.__cause__}"
    return ""


def _scenes(root: Path, version: str) -> Finding:
    from drive_wm.datasets import nuscenes_tables as tables

    name = f"tables of {version}"
    try:
        present = {scene["name"] for scene in tables.read_table(root / version / "scene.json")}
        splits = tables.known_splits(root, version)
    except InputError as error:
        return Finding(name, False, "damaged", str(error))
    shares = [f"{split} {n}/{len(names)}" for split, names in splits.items() if (n := len(present & set(names)))]
    return Finding(name, True, f"{len(present)} scenes: {', '.join(shares)}")


def _places(folder: Path) -> list[str]:
    """Locations that the log table names; none where it cannot be read."""
    from drive_wm.datasets.nuscenes_tables import read_table

    path = folder / "log.json"
    return [] if _damage(path) else sorted({log["location"] for log in read_table(path)})


def _map(root: Path, location: str) -> Finding:
    from drive_wm.datasets.nuscenes_map import EXPANSION_VERSION, WHERE_TO_GET, expansion_version

    name = f"map of {location}"
    try:
        found = expansion_version(root, location)
    except FileNotFoundError as error:
        return Finding(name, False, "missing", str(error))
    except InputError as error:
        return Finding(name, False, "damaged", str(error))
    ok = found >= EXPANSION_VERSION
    where = WHERE_TO_GET.format(folder=root / "maps" / "expansion")
    return Finding(name, ok, f"expansion {found}", "" if ok else f"needed: {EXPANSION_VERSION}. {where}")


def _prediction(root: Path) -> Finding:
    name, path = "prediction_scenes.json", root / "maps" / "prediction" / "prediction_scenes.json"
    to_do = f"only for `evaluate prediction`: unpack nuScenes-map-expansion-v1.3.zip in {root / 'maps'}, so that {path} exists"
    if not path.is_file():
        return Finding(name, False, "missing", to_do, required=False)
    try:
        targets = sum(len(tokens) for tokens in json.loads(path.read_bytes()).values())
    except (ValueError, AttributeError, TypeError) as error:
        return Finding(name, False, f"damaged ({error})", to_do, required=False)
    return Finding(name, True, f"{targets:,} targets", required=False)
