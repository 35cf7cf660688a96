"""A drive as a Rerun recording (.rrd): map, ego and boxes by kind on the drive's own clock, in metres.

Positions count from the ego's first pose, since Rerun stores them in 32 bits; height is what the eye needs, not data.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from drive_wm.drawing import LIGHT, Look
from drive_wm.errors import InputError
from drive_wm.log import KINDS, Floats, Log

TIMELINE = "drive_s"
HEIGHT_M = {"vehicle": 1.6, "cyclist": 1.6, "pedestrian": 1.8, "static": 1.0}
EGO_HEIGHT_M = 1.6
LINES: Mapping[str, tuple[str, float]] = {  # layer of the map: (colour, half the width of its lines)
    "walkways": ("#c9b88c", 0.08), "drivable": ("#7d8590", 0.12), "crosswalks": ("#5b7fb5", 0.10), "lanes": ("#a8b2bf", 0.05),
    "lane_dividers": ("#d9a441", 0.05), "road_dividers": ("#c46a2b", 0.07), "stop_lines": ("#b5303c", 0.15),
}  # fmt: skip


def rerun_recording(log: Log, look: Look = LIGHT) -> bytes:
    """The bytes of a recording: `world/map/LAYER`, `world/KIND` and `world/ego`, one moment per keyframe.

    Raises InputError where rerun-sdk is not installed.
    """
    rr = _rerun()
    stream = rr.RecordingStream(f"drive-wm {log.source}", recording_id=log.name)
    content = stream.binary_stream()
    origin_m = log.ego_pose[0, :2]
    stream.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    for layer, (colour, radius_m) in LINES.items():
        strips = [_flat(line - origin_m) for line in _strips(getattr(log.map, layer))]
        if strips:
            stream.log(f"world/map/{layer}", rr.LineStrips3D(strips, colors=[to_rgb(colour)], radii=radius_m), static=True)
    for step, seconds in enumerate(log.time_s - log.time_s[0]):
        stream.set_time(TIMELINE, duration=float(seconds))
        for kind, name in enumerate(KINDS):
            here = np.flatnonzero(log.valid[:, step] & (log.kind == kind))
            pose = np.concatenate([log.position_m[here, step] - origin_m, log.yaw_rad[here, step, None]], axis=1)
            labels = [log.categories[agent] for agent in here]
            stream.log(f"world/{name}", _boxes(rr, pose, log.size_m[here, step], HEIGHT_M[name], look.kinds[kind], labels))
        if log.has_ego:
            x_m, y_m, yaw_rad = log.ego_pose[step]
            ahead_m = log.ego_centre_m * np.array([np.cos(yaw_rad), np.sin(yaw_rad)])
            pose = np.array([[*(np.array([x_m, y_m]) + ahead_m - origin_m), yaw_rad]])
            stream.log("world/ego", _boxes(rr, pose, log.ego_size_m[None], EGO_HEIGHT_M, look.ego, ["ego"]))
    return content.read()


def _rerun() -> Any:
    try:
        return importlib.import_module("rerun")
    except ModuleNotFoundError as error:
        raise InputError("Rerun is not installed. Type pip install 'drive-wm[viz]', or leave --rerun out.") from error


def _boxes(rr: Any, pose: Floats, size_m: Floats, height_m: float, colour: str, labels: list[str]) -> Any:
    """Boxes that stand on the ground; pose (N, 3) x m, y m, yaw rad of the centres, size_m (N, 2)."""
    n = len(pose)
    half_yaw = pose[:, 2] / 2
    zeros = np.zeros(n)
    return rr.Boxes3D(
        centers=np.column_stack([pose[:, :2], np.full(n, height_m / 2)]),
        half_sizes=np.column_stack([size_m, np.full(n, height_m)]) / 2,
        quaternions=np.column_stack([zeros, zeros, np.sin(half_yaw), np.cos(half_yaw)]),
        colors=[to_rgb(colour)] * n,
        labels=labels,
        show_labels=False,
    )


def _strips(geometry: shapely.Geometry) -> list[Floats]:
    """Lines, and the outlines of areas with their holes, as point lists (P, 2)."""
    parts: NDArray[np.object_] = shapely.get_parts(geometry)
    if isinstance(geometry, shapely.MultiPolygon):
        parts = shapely.get_rings(parts)
    return [shapely.get_coordinates(part) for part in parts]


def _flat(points_m: Floats) -> Floats:
    return np.column_stack([points_m, np.zeros(len(points_m))])
