"""One drive in a cache: NAME.log.safetensors, and NAME.scenes.safetensors with every Scene and Future, packed."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from drive_wm.datasets.manifest import Settings, Shard
from drive_wm.errors import InputError
from drive_wm.files import write_atomically
from drive_wm.log import Log, read_log, write_log
from drive_wm.scene import Future, Scene, SceneConfig
from drive_wm.scene_at import scenes_of
from drive_wm.structs import from_tensors, tensors

HEADER = "drive_wm_scenes"
RASTER_STEPS = 127  # the raster is stored as int8


def write_drive(log: Log, out: Path, settings: Settings, config: SceneConfig) -> tuple[Shard, str]:
    """Write a drive's two files unless they are there already; what they are, and a note on what was done."""
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


def read_drive(out: Path, shard: Shard) -> Log:
    """The Log of a drive, compared with its hash."""
    path = _log_path(out, shard.name)
    _need_hash(path, shard.log_sha256)
    return read_log(path)


def read_scenes(out: Path, shard: Shard, steps: slice) -> tuple[Scene, Future]:
    """Some keyframes of a drive stacked on B; nothing else of the file is read after its first use."""
    file = _opened(_scenes_path(out, shard.name), shard.scenes_sha256)
    flat = {key: _unpack(file.get_slice(key)[steps]) for key in file.keys()}  # noqa: SIM118
    return from_tensors(Scene, flat, "scene."), from_tensors(Future, flat, "future.")


def settings_of_drives(out: Path) -> Settings | None:
    """The settings that the drives of an unfinished cache were written with, None where there are none."""
    path = next(iter(sorted(out.glob("*.scenes.safetensors"))), None)
    if path is None:
        return None
    try:
        return Settings.model_validate(json.loads(_header(path)[HEADER])["settings"])
    except (ValidationError, KeyError, json.JSONDecodeError) as error:
        raise InputError(f"{path} was not written by this version. Pass an empty folder with --out, or delete it.") from error


def need_sizes(out: Path, shard: Shard) -> None:
    """Raise where a drive's file is missing or has another size than when it was written."""
    _need_size(_log_path(out, shard.name), shard.log_bytes)
    _need_size(_scenes_path(out, shard.name), shard.scenes_bytes)


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
