"""One Log as rows of the nuScenes tables."""

from typing import Any

import numpy as np

from drive_wm.datasets.nuscenes import KIND_OF_CATEGORY
from drive_wm.datasets.nuscenes_layers import token
from drive_wm.log import CYCLIST, PEDESTRIAN, VEHICLE, Floats, Log

Row = dict[str, Any]
Rows = dict[str, list[Row]]

DIGITS, TURN_DIGITS = 4, 9  # of metres, of quaternions
LIDAR_HEIGHT_M = 1.84023
HEIGHT_M = {"vehicle.truck": 3.0, "vehicle.bus.rigid": 3.2, "vehicle.car": 1.6, "vehicle.bicycle": 1.5}
OTHER_HEIGHT_M = 1.75
MOVES_MPS = 0.2
ATTRIBUTES = {
    (VEHICLE, True): "vehicle.moving", (VEHICLE, False): "vehicle.stopped", (PEDESTRIAN, True): "pedestrian.moving",
    (PEDESTRIAN, False): "pedestrian.standing", (CYCLIST, True): "cycle.with_rider", (CYCLIST, False): "cycle.with_rider",
}  # fmt: skip
FUTURE_STEPS, PAST_STEPS = 12, 2  # a target of the prediction challenge is seen this long
EVERY_STEPS = 4  # targets are this far apart
LEAST_WAY_M, FARTHEST_M = 1.0, 60.0  # a target goes this far, this close to the ego


def fixed_rows() -> Rows:
    """The tables that every dataroot shares."""
    levels = ("v0-40", "v40-60", "v60-80", "v80-100")
    names = (*dict.fromkeys(ATTRIBUTES.values()), "vehicle.parked", "pedestrian.sitting_lying_down", "cycle.without_rider")
    return {
        "category": [{"token": token("category", c), "name": c, "description": ""} for c in KIND_OF_CATEGORY],
        "attribute": [{"token": token("attribute", a), "name": a, "description": ""} for a in names],
        "visibility": [{"token": str(i), "level": level, "description": level[1:] + " %"} for i, level in enumerate(levels, 1)],
        "sensor": [{"token": token("sensor", "LIDAR_TOP"), "channel": "LIDAR_TOP", "modality": "lidar"}],
    }  # fmt: skip


def scene_rows(log: Log, salt: str, name: str, log_token: str, offset_m: Floats, start_us: int) -> Rows:
    """Rows of scene `name`: scene, sample, sample_data, ego_pose, calibrated_sensor, instance, sample_annotation."""
    stamps_us = [start_us + round(1e6 * float(t - log.time_s[0])) for t in log.time_s]
    samples = [token(salt, name, i) for i in range(len(stamps_us))]
    mount = token(salt, name, "LIDAR_TOP")
    instances, annotations = _boxes(log, salt, name, samples, offset_m)
    x, y, yaw = log.ego_from_lidar.tolist()
    keyframes = list(zip(samples, stamps_us, _chain(samples), strict=True))
    lidar = {"calibrated_sensor_token": mount, "is_key_frame": True, "fileformat": "pcd", "height": 0, "width": 0}
    return {
        "scene": [{"token": token(salt, name), "log_token": log_token, "nbr_samples": len(samples), "name": name,
                   "first_sample_token": samples[0], "last_sample_token": samples[-1], "description": log.description}],
        "sample": [{"token": own, "timestamp": stamp, "scene_token": token(salt, name), **links}
                   for own, stamp, links in keyframes],
        "sample_data": [{"token": own, "sample_token": own, "ego_pose_token": own, "timestamp": stamp, **lidar,
                         "filename": f"samples/LIDAR_TOP/{name}__LIDAR_TOP__{stamp}.pcd.bin", **links}
                        for own, stamp, links in keyframes],
        "ego_pose": [{"token": own, "timestamp": stamp, "rotation": quaternion(pose[2]),
                      "translation": _metres(pose[:2] + offset_m, 0.0)}
                     for own, stamp, pose in zip(samples, stamps_us, log.ego_pose, strict=True)],
        "calibrated_sensor": [{"token": mount, "sensor_token": token("sensor", "LIDAR_TOP"), "camera_intrinsic": [],
                               "translation": [x, y, LIDAR_HEIGHT_M], "rotation": quaternion(yaw)}],
        "instance": instances,
        "sample_annotation": annotations,
    }  # fmt: skip


def challenge_targets(log: Log, salt: str, name: str) -> list[str]:
    """INSTANCE_SAMPLE of the vehicles to predict: every 2 s, near the ego, in motion, seen 1 s before and 6 s after."""
    targets = []
    for step in range(PAST_STEPS, len(log.keyframes) - FUTURE_STEPS, EVERY_STEPS):
        seen = log.valid[:, step - PAST_STEPS : step + FUTURE_STEPS + 1].all(axis=1)
        way_m = np.linalg.norm(log.position_m[:, step + FUTURE_STEPS] - log.position_m[:, step], axis=1)
        apart_m = np.linalg.norm(log.position_m[:, step] - log.ego_pose[step, :2], axis=1)
        wanted = seen & (way_m > LEAST_WAY_M) & (apart_m < FARTHEST_M) & (log.kind == VEHICLE)
        targets += [f"{token(salt, name, 'agent', log.agents[i])}_{token(salt, name, step)}" for i in np.flatnonzero(wanted)]
    return targets


def quaternion(yaw_rad: float) -> list[float]:
    """w, x, y, z of a turn about the vertical."""
    return [round(float(np.cos(yaw_rad / 2)), TURN_DIGITS), 0.0, 0.0, round(float(np.sin(yaw_rad / 2)), TURN_DIGITS)]


def _metres(point_m: Floats, height_m: float) -> list[float]:
    return [*point_m.round(DIGITS).tolist(), height_m]


def _boxes(log: Log, salt: str, name: str, samples: list[str], offset_m: Floats) -> tuple[list[Row], list[Row]]:
    """Rows of instance, and of sample_annotation sample by sample."""
    instances: list[Row] = []
    by_step: list[list[Row]] = [[] for _ in samples]
    for i, agent in enumerate(log.agents):
        instance, category = token(salt, name, "agent", agent), log.categories[i]
        steps = np.flatnonzero(log.valid[i])
        if not len(steps):
            continue
        tokens = [token(salt, name, "agent", agent, step) for step in steps]
        instances.append({"token": instance, "category_token": token("category", category), "nbr_annotations": len(steps),
                          "first_annotation_token": tokens[0], "last_annotation_token": tokens[-1]})  # fmt: skip
        height_m, attributes = HEIGHT_M.get(category, OTHER_HEIGHT_M), _attributes(log, i, steps)
        for own, step, links, attribute in zip(tokens, steps, _chain(tokens), attributes, strict=True):
            length_m, width_m = log.size_m[i, step].round(DIGITS).tolist()
            # nuScenes counts points of lidar and radar apart, a Log their sum.
            radar = 0 if log.points[i, step] >= 0 else -1
            by_step[step].append({
                "token": own, "sample_token": samples[step], "instance_token": instance,
                "visibility_token": str(log.visibility[i, step] or ""), "attribute_tokens": attribute,
                "translation": _metres(log.position_m[i, step] + offset_m, height_m / 2),
                "size": [width_m, length_m, height_m], "rotation": quaternion(log.yaw_rad[i, step]), **links,
                "num_lidar_pts": int(log.points[i, step]), "num_radar_pts": radar,
            })  # fmt: skip
    return instances, [row for rows in by_step for row in rows]


def _attributes(log: Log, agent: int, steps: Any) -> list[list[str]]:
    """At most one attribute token per step; what is seen once counts as standing."""
    speed_mps = np.zeros(len(steps))
    if len(steps) > 1:
        moved_m = np.linalg.norm(np.diff(log.position_m[agent, steps], axis=0), axis=1)
        speed_mps[1:] = moved_m / np.diff(log.time_s[steps])
        speed_mps[0] = speed_mps[1]
    names = [ATTRIBUTES.get((int(log.kind[agent]), bool(speed > MOVES_MPS))) for speed in speed_mps]
    return [[token("attribute", name)] if name else [] for name in names]


def _chain(tokens: list[str]) -> list[dict[str, str]]:
    """prev and next of each."""
    return [{"prev": a, "next": b} for a, b in zip(["", *tokens[:-1]], [*tokens[1:], ""], strict=True)]
