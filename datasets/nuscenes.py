"""nuScenes tables as Logs: one per scene, keyframes at 2 Hz, boxes of every annotated instance."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from drive_wm.datasets.nuscenes_ego import EGO_CENTRE_M, EGO_SIZE_M
from drive_wm.datasets.nuscenes_map import map_at
from drive_wm.datasets.nuscenes_reader import BoxRow, PoseRow, SampleRow, SceneRow, Tables, again, read_rows
from drive_wm.datasets.nuscenes_tables import known_splits, scene_names
from drive_wm.errors import InputError
from drive_wm.log import CYCLIST, PEDESTRIAN, STATIC, VEHICLE, Floats, Log

KIND_OF_CATEGORY = {
    "animal": PEDESTRIAN,
    "human.pedestrian.adult": PEDESTRIAN,
    "human.pedestrian.child": PEDESTRIAN,
    "human.pedestrian.construction_worker": PEDESTRIAN,
    "human.pedestrian.personal_mobility": CYCLIST,  # scooters and the like move as bicycles do
    "human.pedestrian.police_officer": PEDESTRIAN,
    "human.pedestrian.stroller": PEDESTRIAN,
    "human.pedestrian.wheelchair": PEDESTRIAN,
    "movable_object.barrier": STATIC,
    "movable_object.debris": STATIC,
    "movable_object.pushable_pullable": STATIC,
    "movable_object.trafficcone": STATIC,
    "static_object.bicycle_rack": STATIC,
    "vehicle.bicycle": CYCLIST,
    "vehicle.bus.bendy": VEHICLE,
    "vehicle.bus.rigid": VEHICLE,
    "vehicle.car": VEHICLE,
    "vehicle.construction": VEHICLE,
    "vehicle.emergency.ambulance": VEHICLE,
    "vehicle.emergency.police": VEHICLE,
    "vehicle.motorcycle": CYCLIST,
    "vehicle.trailer": VEHICLE,
    "vehicle.truck": VEHICLE,
}


def read_logs(root: Path, version: str, split: str) -> Iterator[Log]:
    """The scenes of a split, in the split's order, checked; those that the tables lack are counted in a warning."""
    names = scene_names(root, version, split)
    wanted = len(known_splits(root, version)[split])
    if len(names) < wanted:
        warnings.warn(f"{wanted - len(names)} of {wanted} scenes of {split} are not in {root / version}.", stacklevel=2)
    tables = read_rows(root, version, names)
    for name in names:
        log = _read_scene(tables, root, version, tables.scenes[name])
        log.check()
        yield log


def _read_scene(tables: Tables, root: Path, version: str, scene: SceneRow) -> Log:
    try:
        samples = list(_samples(tables, scene))
        place = tables.locations[scene.log_token]
        ego_pose = _planar([tables.ego_poses[sample.token] for sample in samples])
        [mount] = _planar([tables.mounts[samples[0].token]])
        boxes = _boxes(tables, samples)
    except KeyError as error:
        raise InputError(
            f"Scene {scene.name!r}: {error} is missing in the tables of {root / version}. {again(version)}"
        ) from error
    return Log(
        name=scene.name,
        source="nuscenes",
        location=place,
        description=scene.description,
        keyframes=tuple(sample.token for sample in samples),
        time_s=np.array([sample.timestamp for sample in samples]) * 1e-6,
        ego_pose=ego_pose,
        ego_size_m=np.array(EGO_SIZE_M),
        ego_centre_m=EGO_CENTRE_M,
        ego_from_lidar=mount,
        map=map_at(root, place, ego_pose[:, :2]),
        route=shapely.LineString(),
        targets=np.zeros((0, 2), np.int64),
        has_ego=True,
        has_all_traffic=True,
        **boxes,
    )


def _samples(tables: Tables, scene: SceneRow) -> Iterator[SampleRow]:
    token = scene.first_sample_token
    while token:
        sample = tables.samples[token]
        yield sample
        token = sample.next


def _planar(rows: list[PoseRow]) -> Floats:
    """Poses (N, 3)."""
    numbers = np.array([(*row.translation[:2], *row.rotation) for row in rows])
    return np.column_stack([numbers[:, :2], heading_rad(numbers[:, 2:])])


def _boxes(tables: Tables, samples: list[SampleRow]) -> dict[str, Any]:
    """The agent fields of a Log; agents in order of appearance."""
    rows = [(step, row) for step, sample in enumerate(samples) for row in tables.boxes.get(sample.token, ())]
    annotations = [row for _, row in rows]
    _check_boxes(annotations)
    index = {token: i for i, token in enumerate(dict.fromkeys(row.instance_token for row in annotations))}
    categories = [tables.categories[token] for token in index]
    at = (np.array([index[row.instance_token] for row in annotations], int), np.array([step for step, _ in rows], int))

    def spread(values: Sequence[Any] | NDArray[Any], dtype: type, *shape: int) -> Any:
        grid: Any = np.zeros((len(index), len(samples), *shape), dtype)
        grid[at] = np.array(values, dtype).reshape(-1, *shape)
        return grid

    rotations = np.array([row.rotation for row in annotations]).reshape(-1, 4)
    counts = np.array([(row.num_lidar_pts, row.num_radar_pts) for row in annotations]).reshape(-1, 2)
    return {
        "agents": tuple(index),
        "categories": tuple(categories),
        "kind": np.array([_kind(category) for category in categories], np.int64),
        "position_m": spread([row.translation[:2] for row in annotations], np.float64, 2),
        "yaw_rad": spread(heading_rad(rotations), np.float64),
        "size_m": spread([(row.size[1], row.size[0]) for row in annotations], np.float64, 2),
        "points": spread(np.where((counts < 0).any(axis=1), -1, counts.sum(axis=1)), np.int64),
        "visibility": spread([int(row.visibility_token or 0) for row in annotations], np.int64),
        "valid": spread([True] * len(annotations), np.bool_),
    }


def heading_rad(quaternion: Floats) -> Floats:
    """Direction (...) of the turned x axis seen from above, for w, x, y, z quaternions (..., 4), tilted or not."""
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    return np.arctan2(2 * (w * z + x * y), w**2 + x**2 - y**2 - z**2)


def _kind(category: str) -> int:
    if category not in KIND_OF_CATEGORY:
        raise InputError(
            f"Category {category!r} is not one of nuScenes' 23; known: {', '.join(KIND_OF_CATEGORY)}. "
            "Rename it in category.json, or add it to KIND_OF_CATEGORY in datasets/nuscenes.py."
        )
    return KIND_OF_CATEGORY[category]


def _check_boxes(rows: list[BoxRow]) -> None:
    numbers = np.array([(*row.translation, *row.rotation, *row.size) for row in rows]).reshape(-1, 10)
    bad = ~np.isfinite(numbers).all(axis=1) | (numbers[:, 7:].min(axis=1, initial=np.inf) <= 0)
    if bad.any():
        row = rows[int(bad.argmax())]
        raise InputError(
            f"Annotation {row.token!r} of instance {row.instance_token!r} has translation {_text(row.translation)}, "
            f"rotation {_text(row.rotation)}, size {_text(row.size)}; needed: finite numbers and sizes above 0 m. "
            "Repair or delete this row of sample_annotation.json."
        )


def _text(numbers: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{number:g}' for number in numbers)}]"
