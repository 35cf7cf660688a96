"""nuscenes_pred as Logs: the vehicles of the nuScenes prediction challenge as text, with map pictures.

Only vehicles that the challenge asks about are recorded, so absence is not emptiness; instants, instance tokens and the
place are not recorded at all. A step is nominally 0.5 s; the real ones, 0.40 to 0.60 s, are unknown.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely

from drive_wm.bev import raster_corners_m
from drive_wm.datasets.nuscenes_ego import EGO_CENTRE_M, EGO_FROM_LIDAR, EGO_SIZE_M
from drive_wm.datasets.nuscenes_pred_map import FOLDER, map_files, read_picture, vector_map
from drive_wm.datasets.nuscenes_pred_rows import EGO, Rows, read_rows
from drive_wm.errors import InputError
from drive_wm.log import VEHICLE, Ints, Log, LogMap

VERSION = FOLDER
STEP_S = 0.5
PAST = 4  # rows before a target that the challenge would allow to look at
EVERY = 8  # each eighth scene of train is of ego_val
# "val" is the official split train_val, and "test" the official val: the folders' own names.
SPLITS = {"train": "train", "val": "val", "test": "test", "ego_val": "train", "train_fit": "train"}


def read_logs(root: Path, split: str) -> Iterator[Log]:
    """The drives of a split by name, checked; keyframes are named SCENE/FRAME.

    A scene with an ego is cut into several drives where frames are missing, since its ego's pose there is unknown; the
    second is named SCENE-b. One without an ego stays whole and has keyframes at which nobody is there.
    """
    for scene in scene_names(root, split):
        rows = read_rows(_label_file(root, split, scene))
        drawn = vector_map(read_picture(root, scene))
        for part, frames in enumerate(_drives(rows)):
            log = _log(scene, rows, frames, drawn, part)
            log.check()
            yield log


def scene_names(root: Path, split: str) -> list[str]:
    """Scenes of a split in order; ego_val is each eighth of train, train_fit the others."""
    if split not in SPLITS:
        raise InputError(f"No split {split!r} in nuscenes_pred; known: {', '.join(SPLITS)}. Pass one of them with --split.")
    folder = root / "label" / SPLITS[split]
    names = sorted(path.stem for path in folder.glob("scene-*.txt"))
    if not names:
        raise FileNotFoundError(
            f"No scene-*.txt in {folder}. Pass --root with the folder of nuscenes_pred that holds label and {FOLDER}, "
            "or another --split."
        )
    held_out = names[EVERY - 1 :: EVERY]
    return {"ego_val": held_out, "train_fit": [name for name in names if name not in set(held_out)]}.get(split, names)


def drive_count(root: Path, split: str) -> int:
    """How many drives `read_logs` will give."""
    return sum(len(_drives(read_rows(_label_file(root, split, scene)))) for scene in scene_names(root, split))


def source_files(root: Path, split: str) -> dict[str, int]:
    """Bytes of what a split reads, folder by folder."""
    names = scene_names(root, split)
    labels = sum(_label_file(root, split, name).stat().st_size for name in names)
    pictures = sum(file.stat().st_size for name in names for file in map_files(root, name) if file.is_file())
    return {f"label/{SPLITS[split]}": labels, FOLDER: pictures}


def defects(root: Path, split: str) -> dict[str, int]:
    """How often the source is known to lack something, by what it is."""
    total = np.zeros(5, np.int64)
    for scene in scene_names(root, split):
        rows = read_rows(_label_file(root, split, scene))
        frames, cut = rows.frames, rows.has_ego and len(rows.runs) > 1
        alone = sum(len(run) == 1 for run in rows.runs) if cut else 0
        picture = read_picture(root, scene)
        poses = np.column_stack([rows.position_m, rows.yaw_rad])[rows.asked]
        beyond = ~picture.inside(raster_corners_m(poses)).all(-1)
        total += frames[-1] - frames[0] + 1 - len(frames), cut, alone, _short_pasts(rows), beyond.sum()
    names = (
        "keyframes without any row",
        "scenes cut there, since the pose of their ego is unknown",
        "keyframes left out, alone between two such gaps",
        f"targets with fewer than {PAST} rows in the {PAST} keyframes before them",
        "targets whose surroundings reach beyond the map's picture",
    )
    return dict(zip(names, total.tolist(), strict=True))


def _short_pasts(rows: Rows) -> int:
    there = set(zip(rows.id.tolist(), rows.frame.tolist(), strict=True))
    asked = zip(rows.id[rows.asked].tolist(), rows.frame[rows.asked].tolist(), strict=True)
    return sum(any((id, frame - step) not in there for step in range(1, PAST + 1)) for id, frame in asked)


def _drives(rows: Rows) -> list[Ints]:
    """Keyframes of each drive of a scene; one that stands alone between gaps has no velocity and makes no drive."""
    if rows.has_ego:
        return [run for run in rows.runs if len(run) > 1]
    return [np.arange(rows.frames[0], rows.frames[-1] + 1)]


def _log(scene: str, rows: Rows, frames: Ints, drawn: LogMap, part: int) -> Log:
    here = (rows.frame >= frames[0]) & (rows.frame <= frames[-1])
    ego, others = np.flatnonzero(here & (rows.id == EGO)), np.flatnonzero(here & (rows.id != EGO))
    ids, agent = np.unique(rows.id[others], return_inverse=True)
    step = rows.frame[others] - frames[0]
    position_m, size_m = np.zeros((2, len(ids), len(frames), 2))
    yaw_rad, valid = np.zeros((len(ids), len(frames))), np.zeros((len(ids), len(frames)), bool)
    position_m[agent, step], size_m[agent, step] = rows.position_m[others], rows.size_m[others]
    yaw_rad[agent, step], valid[agent, step] = rows.yaw_rad[others], True
    ego_pose = np.zeros((len(frames), 3))
    ego_pose[rows.frame[ego] - frames[0]] = np.column_stack([rows.position_m[ego], rows.yaw_rad[ego]])
    return Log(
        name=scene + (f"-{chr(ord('a') + part)}" if part else ""),
        source="nuscenes_pred",
        location="unknown",
        description="Vehicles of the nuScenes prediction challenge",
        keyframes=tuple(f"{scene}/{frame}" for frame in frames),
        agents=tuple(map(str, ids)),
        categories=tuple(rows.category[others[np.flatnonzero(agent == i)[0]]] for i in range(len(ids))),
        time_s=STEP_S * frames,
        ego_pose=ego_pose,
        ego_size_m=np.array(EGO_SIZE_M),
        ego_centre_m=EGO_CENTRE_M,
        ego_from_lidar=np.array(EGO_FROM_LIDAR),
        position_m=position_m,
        yaw_rad=yaw_rad,
        size_m=size_m,
        kind=np.full(len(ids), VEHICLE, np.int64),
        points=np.where(valid, -1, 0),
        visibility=np.zeros(valid.shape, np.int64),
        valid=valid,
        map=drawn,
        route=shapely.LineString(),
        targets=np.column_stack([agent, step])[rows.asked[others]].astype(np.int64),
        has_ego=rows.has_ego,
        has_all_traffic=False,
    )


def _label_file(root: Path, split: str, scene: str) -> Path:
    return root / "label" / SPLITS[split] / f"{scene}.txt"
