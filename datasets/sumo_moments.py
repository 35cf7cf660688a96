"""Whether a thing worth showing happens in a Log: measured from its tracks alone."""

import numpy as np
import shapely

from drive_wm.log import PEDESTRIAN, VEHICLE, Bools, Floats, Log


def speeds_mps(position_m: Floats, time_s: Floats) -> Floats:
    """Speeds (..., S) by backward difference of positions (..., S, 2); the first equals the second."""
    speed = np.linalg.norm(np.diff(position_m, axis=-2), axis=-1) / np.diff(time_s)
    return np.concatenate([speed[..., :1], speed], axis=-1)


def ahead_left_m(log: Log) -> Floats:
    """Box centres (A, S, 2) in the frame of the ego's box centre: metres ahead, metres to the left."""
    yaw = log.ego_pose[:, 2]
    along = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    offset = log.position_m - log.ego_pose[:, :2] - log.ego_centre_m * along
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    return np.stack([(offset * along).sum(-1), (offset * across).sum(-1)], axis=-1)


def gaps_m(log: Log) -> Floats:
    """Free length (A, S) between the ego's front and the agent's rear, for agents that head the same way."""
    return ahead_left_m(log)[..., 0] - (log.size_m[..., 0] + log.ego_size_m[0]) / 2


def same_way(log: Log) -> Bools:
    """Vehicles (A, S) within 17 degrees of the ego's heading."""
    turn = np.angle(np.exp(1j * (log.yaw_rad - log.ego_pose[:, 2])))
    return (np.abs(turn) < 0.3) & log.valid & (log.kind == VEHICLE)[:, None]


def road_width_m(log: Log, step: int) -> float:
    """How much drivable ground lies across the ego's axle, in one piece, within 20 m to each side."""
    x, y, yaw = log.ego_pose[step]
    left = 20.0 * np.array([-np.sin(yaw), np.cos(yaw)])
    across = shapely.LineString([[x, y] - left, [x, y] + left]).intersection(log.map.drivable)
    return max((part.length for part in shapely.get_parts(across) if part.distance(shapely.Point(x, y)) < 0.1), default=0.0)


def turns_left(log: Log) -> bool:
    """The ego turns left by about a right angle; vehicles come the other way, on its left, before and while it turns."""
    yaw, at = np.unwrap(log.ego_pose[:, 2]), ahead_left_m(log)
    oncoming = (np.cos(log.yaw_rad - yaw[0]) < -0.8) & log.valid & (log.kind == VEHICLE)[:, None]
    oncoming &= np.linalg.norm(at, axis=-1) < 40.0
    still_straight = np.abs(yaw - yaw[0]) < 0.3
    turning = ~still_straight & (np.abs(yaw - yaw[-1]) > 0.3)
    side_m = at[..., 1][oncoming & still_straight]
    met = side_m.size > 0 and side_m.min() > 0 and bool((oncoming & turning).any())
    return 1.2 < yaw[-1] - yaw[0] < 2.0 and met and _mean_speed(log) > 4.0


def circles(log: Log) -> bool:
    """The ego's heading swings aside, then the other way by 1.8 rad or more, and back: in, around, out."""
    yaw = np.unwrap(log.ego_pose[:, 2])
    for side in (yaw, -yaw):
        end = int(np.argmax(side - np.minimum.accumulate(side)))
        start = int(np.argmin(side[: end + 1]))
        swings = side[: start + 1].max() - side[start], side[end] - side[start], side[end] - side[end:].min()
        if swings[0] > 0.3 and swings[1] > 1.8 and swings[2] > 0.3:
            return _mean_speed(log) > 4.0 and len(log.agents) > 7
    return False


def merges(log: Log) -> bool:
    """The ego comes on a road of one lane and ends on a wide one, with a vehicle of that road close behind it."""
    at = ahead_left_m(log)
    beside = (same_way(log) & (np.abs(at[..., 1]) > 3.0))[:, :15].any(axis=1)
    behind = (same_way(log) & (np.abs(at[..., 1]) < 1.2) & (at[..., 0] < 0) & (at[..., 0] > -35.0))[:, 25:].any(axis=1)
    widths_m = road_width_m(log, 0), road_width_m(log, -1)
    return widths_m[0] < 5.0 and widths_m[1] > 9.0 and bool((beside & behind).any()) and _mean_speed(log) > 6.0


def crosses_ahead(log: Log) -> bool:
    """Two pedestrians or more walk through the ego's path, close ahead, while it waits; it came and leaves at speed."""
    at = ahead_left_m(log)
    speed = speeds_mps(log.ego_pose[:, :2], log.time_s)
    waiting = speed < 1.0
    in_path = log.valid & (np.abs(at[..., 1]) < 1.5) & (at[..., 0] > 2.5) & (at[..., 0] < 14.0) & waiting
    walkers = in_path.any(axis=1) & (log.kind == PEDESTRIAN)
    return int(walkers.sum()) >= 2 and speed[:8].max() > 6.0 and speed[-6:].min() > 4.0


def cuts_in(log: Log) -> bool:
    """A vehicle beside the ego's lane is in it 5 s later, less than 14 m ahead of the ego, which keeps its lane."""
    at, gap = ahead_left_m(log), gaps_m(log)
    close = same_way(log) & (gap > 0.0) & (gap < 14.0)
    beside = close & (np.abs(at[..., 1]) > 2.4) & (np.abs(at[..., 1]) < 4.5)
    in_lane = close & (np.abs(at[..., 1]) < 0.9)
    return bool((beside[:, 6:-18] & in_lane[:, 16:-8]).any()) and _keeps_lane(log) and _mean_speed(log) > 6.0


def brakes_hard(log: Log) -> bool:
    """The vehicle ahead in the ego's lane slows by 5 m/s2 or more, and the ego by 3 or more within 3 s."""
    at, gap = ahead_left_m(log), gaps_m(log)
    own = np.diff(speeds_mps(log.ego_pose[:, :2], log.time_s)) / np.diff(log.time_s)
    other = np.diff(speeds_mps(log.position_m, log.time_s), axis=-1) / np.diff(log.time_s)
    lead = same_way(log) & (np.abs(at[..., 1]) < 1.0) & (gap > 0.0) & (gap < 25.0)
    seen = log.valid[:, 2:] & log.valid[:, 1:-1] & log.valid[:, :-2]
    hits = np.flatnonzero((lead[:, 2:] & seen & (other[:, 1:] < -5.0)).any(axis=0))
    return any(own[t : t + 7].min() < -3.0 and 10 <= t <= 28 for t in hits)


def _mean_speed(log: Log) -> float:
    return float(speeds_mps(log.ego_pose[:, :2], log.time_s).mean())


def _keeps_lane(log: Log) -> bool:
    """The ego stays within 0.8 m of its route."""
    return bool((shapely.distance(shapely.points(log.ego_pose[:, :2]), log.route) < 0.8).all())
