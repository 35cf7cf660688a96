"""How much of each box the ego sees: nothing hides it but nearer vehicles, in the plane."""

import numpy as np

from drive_wm.log import VEHICLE, Floats, Ints, Log

RAYS = 720
LEVELS = np.array([0.4, 0.6, 0.8])  # nuScenes visibility 1 lies below the first, 4 above the last
CORNERS = 0.5 * np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])


def visibility_of(log: Log) -> Ints:
    """nuScenes visibility (A, S) 1 to 4, 0 where absent: the share of the rays from LIDAR_TOP that reach the box."""
    levels = np.zeros(log.valid.shape, np.int64)
    for step, pose in enumerate(log.ego_pose):
        seen = np.flatnonzero(log.valid[:, step])
        yaw = pose[2]
        eye_m = pose[:2] + log.ego_from_lidar[0] * np.array([np.cos(yaw), np.sin(yaw)])
        first, last, range_m = _rays(log.position_m[seen, step] - eye_m, log.yaw_rad[seen, step], log.size_m[seen, step])
        taken = np.zeros(RAYS, bool)
        for i in np.argsort(range_m, kind="stable"):
            rays = np.arange(first[i], last[i] + 1) % RAYS
            levels[seen[i], step] = 1 + np.searchsorted(LEVELS, 1.0 - taken[rays].mean(), side="right")
            if log.kind[seen[i]] == VEHICLE:
                taken[rays] = True
    return levels


def _rays(centre_m: Floats, yaw_rad: Floats, size_m: Floats) -> tuple[Ints, Ints, Floats]:
    """First and last ray that meets each box (A,), counted from its own bearing so that last >= first; its distance."""
    along = np.stack([np.cos(yaw_rad), np.sin(yaw_rad)], axis=1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    corners = CORNERS * size_m[:, None]
    points = centre_m[:, None] + corners[..., :1] * along[:, None] + corners[..., 1:] * across[:, None]
    bearing = np.arctan2(centre_m[:, 1], centre_m[:, 0])
    aside = np.angle(np.exp(1j * (np.arctan2(points[..., 1], points[..., 0]) - bearing[:, None])))
    rays = np.rint((bearing[:, None] + np.stack([aside.min(1), aside.max(1)], axis=1)) / (2 * np.pi) * RAYS).astype(int)
    return rays[:, 0], rays[:, 1], np.linalg.norm(points, axis=-1).min(axis=1)
