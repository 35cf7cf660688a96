"""A small network on the ego's own past and command, blind to everything else: the planner that others must beat.

After Zhai et al., Rethinking the open-loop evaluation of end-to-end autonomous driving in nuScenes, 2023 (AD-MLP).
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_wm.ego_past import EgoPast, ego_past
from drive_wm.errors import InputError
from drive_wm.kinematics import DT_S
from drive_wm.rollouts import Trajectory
from drive_wm.scene import COMMAND_ORIGINS, COMMANDS, Scene

FAR_M, FAST_MPS, TURN_RAD = 10.0, 10.0, 0.2  # what the network reads or says as 1
# Position, heading as cosine, sine and angle, velocity, its change since the step before, and whether it is known.
STEP_FEATURES = 2 + 3 + 2 + 2 + 1


@dataclass(frozen=True)
class EgoHistoryConfig:
    width: int = 128
    layers: int = 3
    history: int = 5  # steps of 0.5 s, the last is now
    steps: int = 12


class EgoHistory(nn.Module):
    """What the ego does next, as a correction of keeping its velocity."""

    def __init__(self, config: EgoHistoryConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.history * STEP_FEATURES + len(COMMANDS), *[config.width] * config.layers]
        hidden = [layer for sizes in pairwise(widths) for layer in (nn.Linear(*sizes), nn.ReLU())]
        self.network = nn.Sequential(*hidden, nn.Linear(widths[-1], 3 * config.steps))

    def forward(self, past: EgoPast) -> Trajectory:
        """Rear-axle poses (B, T, 3) in the ego frame, and speeds."""
        changed = self.network(features(past)).unflatten(1, (self.config.steps, 3))
        times_s = DT_S * torch.arange(1, self.config.steps + 1, dtype=changed.dtype, device=changed.device)
        kept_m = past.tracks.velocity_mps[:, 0, -1, :1] * times_s
        pose = torch.cat([kept_m[..., None] + FAR_M * changed[..., :1], FAR_M * changed[..., 1:2], changed[..., 2:]], dim=-1)
        moved_m = torch.diff(pose[..., :2], dim=1, prepend=torch.zeros_like(pose[:, :1, :2]))
        return Trajectory(pose, moved_m.square().sum(-1).sqrt() / DT_S)

    def plan(self, scene: Scene) -> Trajectory:
        """The planner; raises InputError where scenes hold another past than the network was trained on."""
        found = scene.tracks.valid.shape[2]
        if found != self.config.history:
            raise InputError(
                f"Scenes hold {found} past steps, these weights read {self.config.history}. Train again on such a cache."
            )
        trajectory: Trajectory = self(ego_past(scene))
        return trajectory


def features(past: EgoPast) -> Tensor:
    """What the network reads (B, D); zeros stand for what is not known."""
    tracks = past.tracks
    known = tracks.valid[:, 0, :, None].to(tracks.yaw_rad.dtype)
    yaw_rad, velocity_mps = tracks.yaw_rad[:, 0, :, None], tracks.velocity_mps[:, 0]
    heading = torch.cat([yaw_rad.cos(), yaw_rad.sin()], dim=-1)
    axle_m = tracks.position_m[:, 0] - past.ego_centre_m[:, None, None] * heading
    parts = [axle_m / FAR_M, heading, yaw_rad / TURN_RAD, velocity_mps / FAST_MPS, _change(velocity_mps)]
    steps = torch.cat([*parts, torch.ones_like(known)], dim=-1) * known
    told = (past.command_origin != COMMAND_ORIGINS.index("none"))[:, None]
    return torch.cat([steps.flatten(1), F.one_hot(past.command, len(COMMANDS)) * told], dim=-1)


def _change(velocity_mps: Tensor) -> Tensor:
    """How much each velocity (B, T, 2) differs from the one before; 0 where that is not known, which a Scene writes as 0."""
    before_mps = torch.cat([torch.zeros_like(velocity_mps[:, :1]), velocity_mps[:, :-1]], dim=1)
    return torch.where((before_mps != 0).any(-1, keepdim=True), velocity_mps - before_mps, 0.0)
