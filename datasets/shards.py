"""One drive in a cache: NAME.log.safetensors, and NAME.scenes.safetensors with every Scene and Future, packed.

A tensor that is the same in every scene of the drive is stored once, the layers of the raster apart: a source without
crosswalks needs no room for them.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from drive_wm.datasets.manifest import Settings, Shard, need_same
from drive_wm.datasets.tensor_file import file_parts
from drive_wm.errors import InputError
from drive_wm.files import write_atomically
from drive_wm.log import Log, read_log, write_log
from drive_wm.raster_bytes import edge_m_of, raster_of
from drive_wm.scene import RASTER_LAYERS, Future, Scene, SceneConfig
from drive_wm.structs import from_tensors, tensors
from drive_wm.viewpoint import views_of

HEADER = "drive_wm_scenes"
REBUILD = "Run the same `drive-wm prepare` again with --rebuild: it makes anew what is damaged or foreign, and nothing else."
RASTER, EDGE = "scene.raster", "scene.edge_m"
LAYER = RASTER + "."


def write_drive(log: Log, out: Path, settings: Settings, config: SceneConfig) -> tuple[Shard, str]:
    """Write a drive's two files unless they are there already; what they are, and a note on what was done."""
    log_path, scenes_path = _log_path(out, log.name), _scenes_path(out, log.name)
    # One entry: safetensors writes several in no fixed order, and equal input should give equal bytes.
    about = {"settings": settings.model_dump(), "keyframes": list(log.keyframes), "targets": log.targets.tolist()}
    ego_views, target_views = len(log.keyframes) if log.has_ego else 0, len(log.targets)
    if not ego_views + target_views:
        raise InputError(f"Log {log.name!r} has neither an ego nor targets to look from. Leave it out.")
    note = f"{ego_views + target_views} scenes"
    if log_path.is_file() and scenes_path.is_file() and _about(scenes_path) == about and _header(log_path):
        note += ", already there"
        scenes_sha256 = _sha256(scenes_path)
    else:
        parts = file_parts(_packed(views_of(log, config), ego_views + target_views), {HEADER: json.dumps(about)})
        write_log(log, log_path)
        write_atomically(scenes_path, *parts)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        scenes_sha256 = digest.hexdigest()
    shard = Shard(
        name=log.name,
        location=log.location,
        ego_views=ego_views,
        target_views=target_views,
        log_bytes=log_path.stat().st_size,
        log_sha256=_sha256(log_path),
        scenes_bytes=scenes_path.stat().st_size,
        scenes_sha256=scenes_sha256,
    )
    return shard, note


def read_drive(out: Path, shard: Shard) -> Log:
    """The Log of a drive, compared with its hash."""
    path = _log_path(out, shard.name)
    _need_hash(path, shard.log_sha256)
    return read_log(path)


def read_scenes(parts: Sequence[tuple[Path, Shard, range]]) -> tuple[Scene, Future]:
    """Some scenes of some drives, each by its cache folder, stacked on B.

    Rows are copied from the mapped files as they are stored and unpacked once for all; after its first use nothing else of
    a file is read.
    """
    files = [(_opened(_scenes_path(out, shard.name), shard.scenes_sha256), which) for out, shard, which in parts]
    size = sum(len(which) for _, which in files)
    packed = {key: _rows([(file[key], which) for file, which in files], size) for key in files[0][0] if LAYER not in key}
    height, width = files[0][0][EDGE].shape[1:]
    raster = torch.empty(size, len(RASTER_LAYERS), height, width, dtype=torch.uint8)
    for i, name in enumerate(RASTER_LAYERS):
        _rows([(file[LAYER + name], which) for file, which in files], size, raster[:, i])
    flat = {key: _unpack(x, key) for key, x in (packed | {RASTER: raster}).items()}
    return from_tensors(Scene, flat, "scene."), from_tensors(Future, flat, "future.")


def need_settings(out: Path, needed: Settings) -> None:
    """Raise InputError that names a drive of an unfinished cache that is damaged or was written with other settings."""
    for path in sorted(out.glob("*.scenes.safetensors")):
        need_same(path, _settings(path), needed)
        _header(path.with_name(path.name.replace(".scenes.", ".log.")))


def discard_unusable(out: Path, needed: Settings, shards: Sequence[Shard]) -> list[str]:
    """Delete what another run left unfinished, and the drives that are damaged, foreign or not as written; their names."""
    gone = []
    for temporary in out.glob(".*.tmp"):
        temporary.unlink()
    written = {shard.name: shard for shard in shards}
    for path in sorted(out.glob("*.scenes.safetensors")):
        name = path.name.removesuffix(".scenes.safetensors")
        try:
            need_same(path, _settings(path), needed)
            _header(_log_path(out, name))
            if name in written:
                _need_hash(path, written[name].scenes_sha256)
                _need_hash(_log_path(out, name), written[name].log_sha256)
        except (InputError, FileNotFoundError):
            path.unlink()
            _log_path(out, name).unlink(missing_ok=True)
            gone.append(name)
    return gone


def need_sizes(out: Path, shard: Shard) -> None:
    """Raise where a drive's file is missing or has another size than when it was written."""
    _need_size(_log_path(out, shard.name), shard.log_bytes)
    _need_size(_scenes_path(out, shard.name), shard.scenes_bytes)


def _packed(views: Iterable[tuple[Scene, Future]], size: int) -> dict[str, Tensor]:
    """Scenes and futures stacked on B, as stored."""
    rows: dict[str, Tensor] = {}
    start = 0
    for scene, future in views:
        scene.check()
        flat = tensors(scene, "scene.") | tensors(future, "future.")
        flat |= {LAYER + name: layer for name, layer in zip(RASTER_LAYERS, flat.pop(RASTER).unbind(1), strict=True)}
        for name, x in flat.items():
            part = x.to(torch.int16) if x.dtype == torch.int64 else x
            if name not in rows:
                rows[name] = part if len(part) == size else part.new_empty((size, *part.shape[1:]))
            if rows[name] is not part:
                rows[name][start : start + len(part)] = part
        start += len(scene.has_ego)
    return {name: x[:1].clone() if _constant(x) else x for name, x in rows.items()}


def _constant(x: Tensor) -> bool:
    """Whether all rows are the same; mostly the first and the last tell."""
    return torch.equal(x[0], x[-1]) and bool((x == x[:1]).all())


def _rows(stored: Sequence[tuple[Tensor, range]], size: int, rows: Tensor | None = None) -> Tensor:
    """Rows (size, ...) of stored tensors one after the other, of what is stored once as often as needed."""
    first = stored[0][0]
    rows = first.new_empty((size, *first.shape[1:])) if rows is None else rows
    start = 0
    for x, which in stored:
        rows[start : start + len(which)] = x if len(x) == 1 else x[which.start : which.stop]
        start += len(which)
    return rows


def _unpack(x: Tensor, name: str) -> Tensor:
    if name in (RASTER, EDGE):
        return raster_of(x) if name == RASTER else edge_m_of(x)
    return x.long() if x.dtype == torch.int16 else x


@lru_cache(maxsize=4096)
def _opened(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of a shard's file, mapped into memory; hashed once per process."""
    _need_hash(path, sha256)
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def _about(path: Path) -> Any:
    """What a drive's scenes say of themselves."""
    try:
        return json.loads(_header(path)[HEADER])
    except (KeyError, json.JSONDecodeError) as error:
        raise InputError(f"{path} was not written by this version. {REBUILD}") from error


def _settings(path: Path) -> Settings:
    try:
        return Settings.model_validate(_about(path)["settings"])
    except (ValidationError, KeyError, TypeError) as error:
        raise InputError(f"{path} was not written by this version. {REBUILD}") from error


def _header(path: Path) -> dict[str, str]:
    """The header of a file of the length that it states."""
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error


def _need_size(path: Path, size: int) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {REBUILD}")
    if path.stat().st_size != size:
        raise _damaged(path, f"{path.stat().st_size} bytes, {size} were written")


def _need_hash(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {REBUILD}")
    if _sha256(path) != sha256:
        raise _damaged(path, "its SHA-256 differs from the manifest's")


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is damaged ({reason}). {REBUILD}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _log_path(out: Path, name: str) -> Path:
    return out / f"{name}.log.safetensors"


def _scenes_path(out: Path, name: str) -> Path:
    return out / f"{name}.scenes.safetensors"
