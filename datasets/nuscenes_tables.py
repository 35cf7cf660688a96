"""The tables of a nuScenes dataroot: which scenes there are, and what is missing or damaged."""

import json
from pathlib import Path
from typing import Any

from nuscenes.utils.splits import create_splits_scenes

from drive_wm.errors import InputError

TABLES = (
    "category", "instance", "sensor", "calibrated_sensor", "ego_pose", "log", "scene", "sample", "sample_data",
    "sample_annotation",
)  # fmt: skip
OPTIONAL_TABLES = ("attribute", "visibility", "map")  # the devkit reads them, a Log needs nothing of them


def scene_names(root: Path, version: str, split: str) -> list[str]:
    """Names of the split's scenes that the tables hold."""
    require_tables(root, version)
    present = {scene["name"] for scene in read_table(root / version / "scene.json")}
    splits = known_splits(root, version)
    if split not in splits:
        raise InputError(f"No split {split!r} in nuScenes; known: {', '.join(splits)}. Pass one of them with --split.")
    names = [name for name in splits[split] if name in present]
    if not names:
        usable = [other for other, members in splits.items() if present & set(members)]
        raise InputError(
            f"None of the {len(splits[split])} scenes of split {split!r} is in {root / version}. "
            f"Splits with scenes there: {', '.join(usable) or 'none'}. Pass one of them with --split, or another --version."
        )
    return names


def split_samples(root: Path, version: str, split: str) -> dict[str, tuple[str, ...]]:
    """Sample tokens in time, per scene of the split; quick, since it reads two tables only."""
    names = scene_names(root, version, split)
    tokens: dict[str, list[tuple[int, str]]] = {}
    for sample in read_table(root / version / "sample.json"):
        tokens.setdefault(sample["scene_token"], []).append((sample["timestamp"], sample["token"]))
    scenes = {scene["name"]: scene["token"] for scene in read_table(root / version / "scene.json")}
    return {name: tuple(token for _, token in sorted(tokens.get(scenes[name], []))) for name in names}


def known_splits(root: Path, version: str) -> dict[str, list[str]]:
    """Scene names of the official splits, and of those in splits.json, the devkit's place for a dataset's own."""
    own = root / version / "splits.json"
    return create_splits_scenes() | (read_table(own) if own.is_file() else {})


def require_tables(root: Path, version: str) -> None:
    """Raise FileNotFoundError that names what is missing of a version's tables."""
    folder = root / version
    if not folder.is_dir():
        versions = sorted(path.parent.name for path in root.glob("*/scene.json"))
        found = f"versions there: {', '.join(versions)}" if versions else "no nuScenes tables are there"
        raise FileNotFoundError(
            f"No nuScenes tables in {folder} ({found}). "
            f"Download {version} from nuscenes.org/nuscenes#download and pass its folder with --root and --version."
        )
    missing = [name for name in TABLES if not (folder / f"{name}.json").is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(f'{name}.json' for name in missing)}. "
            f"Unpack the metadata of {version} from nuscenes.org/nuscenes#download there again."
        )


def source_files(root: Path, version: str) -> dict[str, int]:
    """Bytes of each table and map file, by its path below the dataroot."""
    paths = [root / version / f"{name}.json" for name in TABLES] + sorted((root / "maps" / "expansion").glob("*.json"))
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in paths}


def read_table(path: Path) -> Any:
    """Parse a JSON table; InputError names the file where it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({error}). Unpack the metadata from nuscenes.org/nuscenes#download again."
        ) from error
