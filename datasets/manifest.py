"""Manifest: what a cache folder holds and which settings made it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from drive_wm import scene
from drive_wm.errors import InputError
from drive_wm.scene import SceneConfig

CACHE_VERSION = 6  # raise it whenever the same settings would give other shards
Views = Literal["ego", "targets", "all"]  # whose view of a drive a scene is
RASTER_CONSTANTS = ("CELL_M", "X_RANGE_M", "Y_RANGE_M", "RASTER_SIZE", "EDGE_CLIP_M", "RASTER_LAYERS")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(_Record):
    """Everything that decides what the shards hold; equal settings give equal shards."""

    cache_version: int
    source: str
    version: str
    split: str
    source_files: dict[str, int]  # bytes of each file that the source read: a new map or table is then noticed
    scene: dict[str, int]  # SceneConfig
    raster: dict[str, Any]  # constants of drive_wm.scene


class Shard(_Record):
    """The two files of one drive; its scenes are first those seen from the ego, then those seen from targets."""

    name: str
    location: str
    ego_views: int  # one per keyframe, 0 where the drive has no ego
    target_views: int  # one per target of the log
    log_bytes: int
    log_sha256: str
    scenes_bytes: int
    scenes_sha256: str

    @property
    def views(self) -> int:
        return self.ego_views + self.target_views

    def span(self, views: Views) -> range:
        """Which scenes of the drive these views are."""
        return range(self.ego_views if views == "targets" else 0, self.ego_views if views == "ego" else self.views)


class Manifest(_Record):
    """Settings and shards of a finished cache."""

    created: str
    settings: Settings
    defects: dict[str, int]  # what the source is known to lack, and how often
    shards: tuple[Shard, ...]

    @property
    def samples(self) -> int:
        return sum(shard.views for shard in self.shards)

    @property
    def config(self) -> SceneConfig:
        return SceneConfig(**self.settings.scene)


def settings_of(source: str, version: str, split: str, source_files: dict[str, int], config: SceneConfig) -> Settings:
    """The settings that a cache written by this program has."""
    # Through JSON, so that tuples compare equal to what a manifest gives back.
    raster = json.loads(json.dumps({name: getattr(scene, name) for name in RASTER_CONSTANTS}))
    return Settings(
        cache_version=CACHE_VERSION,
        source=source,
        version=version,
        split=split,
        source_files=source_files,
        scene=asdict(config),
        raster=raster,
    )


def need_same(out: Path, found: Settings, needed: Settings) -> None:
    """Raise InputError that names the settings in which a folder differs."""
    a, b = found.model_dump(), needed.model_dump()
    differing = [f"{key} is {_short(a[key])}, not {_short(b[key])}" for key in a if a[key] != b[key]]
    if differing:
        raise InputError(
            f"{out} was prepared from something else: {'; '.join(differing)}. "
            "Pass an empty folder with --out, or --rebuild to make it anew."
        )


def read_manifest(path: Path) -> Manifest:
    """Read a folder's manifest; FileNotFoundError where it is missing, InputError where it is damaged or another version's."""
    file = path / "manifest.json"
    if not file.is_file():
        begun = sum(1 for _ in path.glob("*.scenes.safetensors"))
        state = f"{begun} drives of an unfinished one are there" if begun else "nothing of one is there"
        raise FileNotFoundError(f"No finished cache in {path} ({state}). Run `drive-wm prepare --out {path}` with your data.")
    try:
        version = json.loads(file.read_bytes())["settings"]["cache_version"]
        if version != CACHE_VERSION:
            raise InputError(
                f"{path} is a cache of version {version}, this program reads {CACHE_VERSION}. "
                "Run `drive-wm prepare` again into an empty folder, or with --rebuild."
            )
        return Manifest.model_validate_json(file.read_bytes())
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{file} is damaged ({type(error).__name__}). Run `drive-wm prepare` with --rebuild.") from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."
