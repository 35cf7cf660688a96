"""A cache folder: manifest.json, and per drive NAME.log.safetensors and NAME.scenes.safetensors.

Files appear whole, drive by drive, and the manifest last: an interrupted run leaves drives that the next takes over.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from drive_wm.datasets.engines import ENGINES
from drive_wm.datasets.manifest import Manifest, Settings, Shard, need_same, read_manifest, settings_of
from drive_wm.scene_at import scenes_of
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from drive_wm.errors import InputError
from drive_wm.files import write_atomically
from drive_wm.log import Log, read_log, write_log
from drive_wm.scene import Future, Scene, SceneConfig
from drive_wm.structs import from_tensors, tensors

Progress = Callable[[int, int, str], None]  # finished drives, of how many (0: unknown), what just happened
HEADER = "drive_wm_scenes"
RASTER_STEPS = 127  # the raster is stored as int8


def write_cache(
    logs: Iterator[Log],
    out: Path,
    source: str,
    version: str,
    split: str,
    config: SceneConfig,
    progress: Progress,
    source_files: dict[str, int] | None = None,
    drives: int = 0,
    engine: str = "local",
) -> Manifest:
    """Write two files per drive, then the manifest; a finished cache and finished drives stay as they are.

    `source_files` (name: bytes) tells data apart that share a version, `drives` is for progress alone.
    """
    if engine not in ENGINES:
        raise InputError(f"No engine {engine!r}; known: {', '.join(ENGINES)}. Pass one of them with --engine.")
    settings = settings_of(source, version, split, source_files or {}, config)
    done = finished(out, settings)
    if done:
        n = len(done.shards)
        progress(n, n, f"{out} already holds this: {n} drives, {done.samples} scenes")
        return done
    shards = []
    for shard, note in ENGINES[engine](partial(_write_drive, out=out, settings=settings, config=config), _unique(logs)):
        shards.append(shard)
        progress(len(shards), drives, f"{shard.name}: {note}")
    if not shards:
        raise InputError(f"{source} {version} {split} gave no drive. Choose another split or version.")
    created = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(created=created, settings=settings, shards=tuple(shards))
    write_atomically(out / "manifest.json", manifest.model_dump_json(indent=1))
    return manifest


def finished(out: Path, settings: Settings) -> Manifest | None:
    """The manifest of a finished cache with these settings, None where there is none yet; InputError where others are."""
    if (out / "manifest.json").is_file():
        manifest = open_cache(out).manifest
        need_same(out, manifest.settings, settings)
        return manifest
    for path in sorted(out.glob("*.scenes.safetensors"))[:1]:
        need_same(out, _settings_in(path), settings)
    return None


@dataclass(frozen=True)
class Cache:
    """A finished cache; drives by index, scenes by one flat index over all drives."""

    path: Path
    manifest: Manifest

    def __len__(self) -> int:
        """Number of drives."""
        return len(self.manifest.shards)

    @property
    def samples(self) -> int:
        """Number of scenes, the bound of `sample`."""
        return self.manifest.samples

    def log(self, i: int) -> Log:
        shard = self.manifest.shards[i]
        path = _log_path(self.path, shard.name)
        _need_hash(path, shard.log_sha256)
        return read_log(path)

    def scenes(self, i: int) -> tuple[Scene, Future]:
        """Every keyframe of drive i, stacked on B."""
        return self._read(i, slice(None))

    def sample(self, j: int) -> tuple[Scene, Future]:
        """Scene and Future with B = 1."""
        i, step = self.place(j)
        return self._read(i, slice(step, step + 1))

    def place(self, j: int) -> tuple[int, int]:
        """Drive and step of sample j."""
        if not 0 <= j < self.samples:
            raise IndexError(f"Sample {j} of a cache with {self.samples}")
        i = bisect_right(self._ends, j)
        return i, j - (self._ends[i] - self.manifest.shards[i].keyframes)

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(shard.keyframes for shard in self.manifest.shards))

    def _read(self, i: int, steps: slice) -> tuple[Scene, Future]:
        shard = self.manifest.shards[i]
        file = _opened(_scenes_path(self.path, shard.name), shard.scenes_sha256)
        flat = {key: _unpack(file.get_slice(key)[steps]) for key in file.keys()}  # noqa: SIM118
        return from_tensors(Scene, flat, "scene."), from_tensors(Future, flat, "future.")


def open_cache(path: Path) -> Cache:
    """Open a finished cache. Sizes are compared now, hashes when a process first reads a file."""
    manifest = read_manifest(path)
    for shard in manifest.shards:
        _need_size(_log_path(path, shard.name), shard.log_bytes)
        _need_size(_scenes_path(path, shard.name), shard.scenes_bytes)
    return Cache(path, manifest)


def _unique(logs: Iterator[Log]) -> Iterator[Log]:
    seen: set[str] = set()
    for log in logs:
        if log.name in seen:
            raise InputError(f"Two drives of {log.source} are named {log.name!r}; names must differ. Rename one.")
        seen.add(log.name)
        yield log


def _write_drive(log: Log, out: Path, settings: Settings, config: SceneConfig) -> tuple[Shard, str]:
    log_path, scenes_path = _log_path(out, log.name), _scenes_path(out, log.name)
    # One entry: safetensors writes several in no fixed order, and equal input should give equal bytes.
    header = {HEADER: json.dumps({"settings": settings.model_dump(), "keyframes": log.keyframes})}
    note = f"{len(log.keyframes)} scenes"
    if log_path.is_file() and scenes_path.is_file() and _header(scenes_path) == header:
        note += ", already there"
    else:
        scene, future = scenes_of(log, config)
        scene.check()
        packed = {name: _pack(name, x) for name, x in (tensors(scene, "scene.") | tensors(future, "future.")).items()}
        write_log(log, log_path)
        write_atomically(scenes_path, save(packed, header))
    shard = Shard(
        name=log.name,
        location=log.location,
        keyframes=len(log.keyframes),
        log_bytes=log_path.stat().st_size,
        log_sha256=_sha256(log_path),
        scenes_bytes=scenes_path.stat().st_size,
        scenes_sha256=_sha256(scenes_path),
    )
    return shard, note


def _pack(name: str, x: Tensor) -> Tensor:
    """A tensor as stored: the dtype alone says how `_unpack` undoes it."""
    if name == "scene.raster":
        return (x * RASTER_STEPS).round().to(torch.int8)
    if name == "scene.edge_m":
        return x.half()
    if x.is_floating_point():
        return x.float().contiguous()
    return (x if x.dtype == torch.bool else x.to(torch.int16)).contiguous()


def _unpack(x: Tensor) -> Tensor:
    if x.dtype == torch.int8:
        return x.float() / RASTER_STEPS
    return {torch.float16: x.float, torch.int16: x.long}.get(x.dtype, x.clone)()


@lru_cache(maxsize=4096)
def _opened(path: Path, sha256: str) -> Any:
    """A shard's file, mapped into memory; hashed once per process."""
    _need_hash(path, sha256)
    return safe_open(path, framework="pt")


def _header(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise InputError(f"{path} is damaged ({error}). Delete it and run `drive-wm prepare` again.") from error


def _settings_in(path: Path) -> Settings:
    try:
        return Settings.model_validate(json.loads(_header(path)[HEADER])["settings"])
    except (ValidationError, KeyError, json.JSONDecodeError) as error:
        raise InputError(f"{path} was not written by this version. Pass an empty folder with --out, or delete it.") from error


def _need_size(path: Path, size: int) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. Delete manifest.json beside it and run `drive-wm prepare` again.")
    if path.stat().st_size != size:
        raise _damaged(path, f"{path.stat().st_size} bytes, {size} were written")


def _need_hash(path: Path, sha256: str) -> None:
    if _sha256(path) != sha256:
        raise _damaged(path, "its SHA-256 differs from the manifest's")


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path} is damaged ({reason}). Delete it and manifest.json beside it, then run `drive-wm prepare` again."
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _log_path(out: Path, name: str) -> Path:
    return out / f"{name}.log.safetensors"


def _scenes_path(out: Path, name: str) -> Path:
    return out / f"{name}.scenes.safetensors"
