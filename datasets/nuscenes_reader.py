"""The rows of a nuScenes dataroot that a Log needs: only their columns, and only those of the scenes asked for.

The devkit makes a dictionary of every row of every table, sweeps and masks too: of v1.0-trainval that takes minutes and
more memory than many machines have. Rows, their order and their links are the same; a test compares them.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from drive_wm.datasets.nuscenes_tables import read_table, require_tables
from drive_wm.errors import InputError

Triple = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
LIDAR = "LIDAR_TOP"


class _Row(msgspec.Struct, frozen=True, gc=False):
    token: str


class SceneRow(_Row, frozen=True, gc=False):
    name: str
    log_token: str
    first_sample_token: str
    description: str = ""


class SampleRow(_Row, frozen=True, gc=False):
    timestamp: int  # microseconds
    next: str
    scene_token: str


class PoseRow(_Row, frozen=True, gc=False):
    """A row of ego_pose (global_from_ego) or calibrated_sensor (ego_from_sensor)."""

    translation: Triple
    rotation: Quaternion  # w, x, y, z


class BoxRow(_Row, frozen=True, gc=False):
    """A row of sample_annotation."""

    sample_token: str
    instance_token: str
    translation: Triple
    size: Triple  # width, length, height
    rotation: Quaternion
    visibility_token: str | None = None
    num_lidar_pts: int = -1
    num_radar_pts: int = -1


class _MountRow(PoseRow, frozen=True, gc=False):
    sensor_token: str


class _SensorRow(_Row, frozen=True, gc=False):
    channel: str


class _SensorDataRow(_Row, frozen=True, gc=False):
    sample_token: str
    ego_pose_token: str
    calibrated_sensor_token: str
    is_key_frame: bool


class _LogRow(_Row, frozen=True, gc=False):
    location: str


class _InstanceRow(_Row, frozen=True, gc=False):
    category_token: str


class _CategoryRow(_Row, frozen=True, gc=False):
    name: str


Row = TypeVar("Row", bound=_Row)


@dataclass(frozen=True)
class Tables:
    """Rows of some scenes, by the token that leads to them; what a table lacks is a KeyError where it is looked up."""

    scenes: dict[str, SceneRow]  # by name
    samples: dict[str, SampleRow]
    locations: dict[str, str]  # of a log
    ego_poses: dict[str, PoseRow]  # of a sample: global_from_ego when LIDAR_TOP was taken
    mounts: dict[str, PoseRow]  # of a sample: ego_from_lidar
    boxes: dict[str, list[BoxRow]]  # of a sample, in the order of their table
    categories: dict[str, str]  # of an instance


def read_rows(root: Path, version: str, names: Collection[str]) -> Tables:
    """Read the tables of these scenes. FileNotFoundError, or InputError for what is damaged or does not fit together."""
    require_tables(root, version)
    rows = partial(_rows, root / version)
    scenes = {row.name: row for row in rows("scene", SceneRow) if row.name in names}
    tokens = {row.token for row in scenes.values()}
    samples = {row.token: row for row in rows("sample", SampleRow) if row.scene_token in tokens}
    boxes = defaultdict(list)
    for box in rows("sample_annotation", BoxRow):
        if box.sample_token in samples:
            boxes[box.sample_token].append(box)
    try:
        lidars = {row.token for row in rows("sensor", _SensorRow) if row.channel == LIDAR}
        mounts = {row.token: row for row in rows("calibrated_sensor", _MountRow) if row.sensor_token in lidars}
        sweeps = rows("sample_data", _SensorDataRow)
        shots = {x.sample_token: x for x in sweeps if x.is_key_frame and x.calibrated_sensor_token in mounts}
        shots = {token: shot for token, shot in shots.items() if token in samples}
        wanted = {shot.ego_pose_token for shot in shots.values()}
        poses = {row.token: row for row in rows("ego_pose", PoseRow) if row.token in wanted}
        kinds = {row.token: row.name for row in rows("category", _CategoryRow)}
        categories = {row.token: kinds[row.category_token] for row in rows("instance", _InstanceRow)}
    except KeyError as error:
        raise InputError(
            f"The tables in {root / version} do not fit together: {error} is missing in category.json. {again(version)}"
        ) from error
    return Tables(
        scenes=scenes,
        samples=samples,
        locations={row.token: row.location for row in rows("log", _LogRow)},
        ego_poses={token: poses[shot.ego_pose_token] for token, shot in shots.items() if shot.ego_pose_token in poses},
        mounts={token: mounts[shot.calibrated_sensor_token] for token, shot in shots.items()},
        boxes=boxes,
        categories=categories,
    )


def again(version: str) -> str:
    """What to do about tables that do not fit."""
    return f"Unpack the metadata of {version} from nuscenes.org/nuscenes#download there again."


def _rows(folder: Path, table: str, kind: type[Row]) -> list[Row]:
    path = folder / f"{table}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[kind])  # type: ignore[valid-type]
    except msgspec.DecodeError:
        # Python writes and reads NaN, which JSON does not have: read so, the row that holds it can be named.
        content = read_table(path)
    try:
        return msgspec.convert(content, list[kind])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        raise InputError(f"{path} is damaged ({error}). {again(folder.name)}") from error
