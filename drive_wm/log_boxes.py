"""The boxes of a log, and those nearest to the ego as padded Tracks of some keyframes at once."""

from dataclasses import dataclass

import numpy as np
import torch

from drive_wm.log import VEHICLE, Bools, Floats, Ints, Log
from drive_wm.map_crop import single, to_ego, wrap
from drive_wm.scene import Tracks


@dataclass(frozen=True)
class LogBoxes:
    """The ego and every other agent of a log, in the global frame."""

    position_m: Floats  # (1 + A, S, 2)
    yaw_rad: Floats  # (1 + A, S)
    velocity_mps: Floats  # (1 + A, S, 2)
    size_m: Floats  # (1 + A, S, 2)
    kind: Ints  # (1 + A,)
    valid: Bools  # (1 + A, S)

    def nearest(self, now: Ints, limit: int) -> tuple[Ints, Bools]:
        """The ego, then those present, nearest first, (B, limit), and which of these slots are taken.

        Distances are compared to the micrometre, so that ties keep the log's order.
        """
        away_m = np.linalg.norm(self.position_m[:, now] - self.position_m[0, now], axis=-1).round(6).T
        away_m[~self.valid[:, now].T] = np.inf
        away_m[:, 0] = -1.0
        shown, there = np.zeros((len(now), limit), np.int64), np.zeros((len(now), limit), bool)
        order = np.argsort(away_m, axis=1, kind="stable")[:, :limit]
        shown[:, : order.shape[1]] = order
        there[:, : order.shape[1]] = np.isfinite(np.take_along_axis(away_m, order, axis=1))
        return shown, there

    def tracks(self, shown: Ints, there: Bools, now: Ints, offsets: Ints, poses: Floats) -> Tracks:
        """Tracks (B, limit, T) of the agents shown at some steps from now; steps outside the log are not valid."""
        steps = now[:, None] + offsets
        at = steps.clip(0, self.valid.shape[1] - 1)
        grid = shown[:, :, None], at[:, None, :]
        valid = self.valid[grid] & (at == steps)[:, None] & there[:, :, None]
        position_m = to_ego(self.position_m[grid], poses)
        standing = np.concatenate([np.zeros((len(poses), 2)), poses[:, 2:]], axis=1)
        velocity_mps = to_ego(self.velocity_mps[grid], standing)
        yaw_rad = wrap(self.yaw_rad[grid] - poses[:, 2, None, None])
        return Tracks(
            position_m=single(np.where(valid[..., None], position_m, 0.0)),
            yaw_rad=single(np.where(valid, yaw_rad, 0.0)),
            velocity_mps=single(np.where(valid[..., None], velocity_mps, 0.0)),
            size_m=single(np.where(there[..., None], self.size_m[shown, now[:, None]], 0.0)),
            kind=torch.from_numpy(np.where(there, self.kind[shown], 0)),
            valid=torch.from_numpy(valid),
        )


def boxes_of(log: Log) -> LogBoxes:
    heading = np.stack([np.cos(log.ego_pose[:, 2]), np.sin(log.ego_pose[:, 2])], axis=-1)
    ego_m = log.ego_pose[:, :2] + log.ego_centre_m * heading
    steps = len(log.keyframes)
    position_m = np.concatenate([ego_m[None], log.position_m])
    valid = np.concatenate([np.ones((1, steps), bool), log.valid])
    # Backward difference: a centred one, as the devkit's box_velocity, reads the next frame, the future to be predicted.
    velocity_mps = np.zeros_like(position_m)
    velocity_mps[:, 1:] = np.diff(position_m, axis=1) / np.diff(log.time_s)[:, None]
    velocity_mps[:, 1:][~(valid[:, 1:] & valid[:, :-1])] = 0.0
    return LogBoxes(
        position_m=position_m,
        yaw_rad=np.concatenate([log.ego_pose[None, :, 2], log.yaw_rad]),
        velocity_mps=velocity_mps,
        size_m=np.concatenate([np.broadcast_to(log.ego_size_m, (1, steps, 2)), log.size_m]),
        kind=np.concatenate([[VEHICLE], log.kind]),
        valid=valid,
    )
