"""A small network on the ego's own past and command, blind to everything else: the planner that others must beat.

After Zhai et al., Rethinking the open-loop evaluation of end-to-end autonomous driving in nuScenes, 2023 (AD-MLP).
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from drive_wm.ego_past import FAR_M, EgoPast, count_features, ego_past, features
from drive_wm.errors import InputError
from drive_wm.kinematics import DT_S
from drive_wm.rollouts import Trajectory
from drive_wm.scene import Scene


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
        widths = [count_features(config.history), *[config.width] * config.layers]
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
