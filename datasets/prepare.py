"""prepare: a data source, by name, into a cache folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from drive_wm.datasets.cache import Progress, write_cache
from drive_wm.datasets.manifest import Manifest
from drive_wm.errors import InputError
from drive_wm.log import Log, read_log
from drive_wm.scene import SceneConfig


@dataclass(frozen=True)
class Request:
    """What to prepare; a source reads the fields it knows."""

    root: Path | None = None  # nuscenes: the dataroot; nuscenes_pred: the folder that holds label; logs: theirs
    version: str = "v1.0-trainval"
    split: str = "train"
    scenes: int = 100  # sumo: how many drives to simulate
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """A source ready to be read; its names go into the manifest."""

    version: str
    split: str
    files: dict[str, int]  # bytes of every file that it reads
    drives: int
    logs: Callable[[], Iterator[Log]]
    defects: Callable[[], dict[str, int]] = dict  # what it is known to lack, and how often


def nuscenes_source(request: Request) -> Source:
    # Imported here, as the next one: a cache is read where neither devkit nor simulator is installed.
    from drive_wm.datasets.nuscenes import read_logs
    from drive_wm.datasets.nuscenes_tables import scene_names, source_files

    if request.root is None:
        raise InputError("No nuScenes folder was given. Pass --root with the folder that holds v1.0-mini or v1.0-trainval.")
    root, version, split = request.root, request.version, request.split
    drives = len(scene_names(root, version, split))
    return Source(version, split, source_files(root, version), drives, lambda: read_logs(root, version, split))


def nuscenes_pred_source(request: Request) -> Source:
    from drive_wm.datasets import nuscenes_pred as pred

    if request.root is None:
        raise InputError("No nuscenes_pred folder was given. Pass --root with the folder that holds label and map_0.1.")
    root, split = request.root, request.split
    files, drives = pred.source_files(root, split), pred.drive_count(root, split)
    return Source(pred.VERSION, split, files, drives, lambda: pred.read_logs(root, split), lambda: pred.defects(root, split))


def sumo_source(request: Request) -> Source:
    from drive_wm.datasets.sumo import read_logs

    scenes, seed = request.scenes, request.seed
    return Source(f"seed {seed}", f"{scenes} scenes", {}, scenes, lambda: read_logs(scenes, seed))


def logs_source(request: Request) -> Source:
    if request.root is None:
        raise InputError("No folder of logs was given. Pass --root with the folder that holds *.log.safetensors files.")
    paths = sorted(request.root.glob("*.log.safetensors"))
    if not paths:
        raise FileNotFoundError(
            f"No *.log.safetensors file in {request.root}. "
            f"Make some with `drive-wm synth --counterfactual --out {request.root}`."
        )
    files = {path.name: path.stat().st_size for path in paths}
    return Source("logs", request.root.name, files, len(paths), lambda: map(read_log, paths))


PREPARE: dict[str, Callable[[Request], Source]] = {
    "nuscenes": nuscenes_source,
    "nuscenes_pred": nuscenes_pred_source,
    "sumo": sumo_source,
    "logs": logs_source,
}


def prepare(
    data: str,
    request: Request,
    out: Path,
    config: SceneConfig,
    progress: Progress,
    engine: str = "local",
    workers: int = 1,
    rebuild: bool = False,
) -> Manifest:
    """Write a source's drives and scenes to `out`, or find them finished there; see write_cache."""
    if data not in PREPARE:
        raise InputError(f"No data source {data!r}; known: {', '.join(PREPARE)}. Pass one of them with --data.")
    source = PREPARE[data](request)
    return write_cache(
        source.logs(),
        out,
        data,
        source.version,
        source.split,
        config,
        progress,
        source.files,
        source.drives,
        engine,
        workers,
        source.defects,
        lambda: PREPARE[data](request).files,
        rebuild,
    )
