"""Expectation: the one path of agent 0 that is least far, on average, from all that it may take by itself."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from drive_wm.ego_past import count_features, ego_past, features
from drive_wm.geometry import wrap_angle
from drive_wm.kinematics import DT_S, MAX_ACCEL_MPS2, MAX_BRAKE_MPS2, max_curvature_per_m
from drive_wm.rollouts import Trajectory
from drive_wm.scene import Scene, ego_speed_is_known, ego_speed_mps


class Expectation(nn.Module):
    """What a unicycle does from agent 0's present speed: changes of speed and shares of the sharpest turn.

    The past alone says most of it, to the centimetre; a network of its own reads that before the scene corrects it.
    """

    def __init__(self, width: int, history: int, steps: int) -> None:
        super().__init__()
        past = count_features(history)
        self.norm = nn.LayerNorm(width)
        self.from_past = _network(past, 2 * width, 3, 2 * steps)
        self.from_scene = _network(past + width, width, 2, 2 * steps)

    def forward(self, agent: Tensor, scene: Scene) -> Trajectory:
        """Agent 0's features (B, D) and the scene that they come from -> Trajectory (B, T)."""
        past = features(ego_past(scene))
        said = self.from_past(past) + self.from_scene(torch.cat([self.norm(agent), past], dim=-1))
        push, turn = said.unflatten(1, (-1, 2)).unbind(-1)
        accel_mps2 = MAX_ACCEL_MPS2 * push
        # From a speed that is not known, which a Scene writes as 0, the first step is as fast as the scene suggests.
        free = ~ego_speed_is_known(scene)[:, None] & (torch.arange(push.shape[1], device=push.device) == 0)
        accel_mps2 = torch.where(free, accel_mps2, accel_mps2.clamp(-MAX_BRAKE_MPS2, MAX_ACCEL_MPS2))
        speed_mps = torch.relu(ego_speed_mps(scene)[:, None] + (DT_S * accel_mps2).cumsum(1))
        return driven(speed_mps, max_curvature_per_m(speed_mps) * turn.tanh())


def driven(speed_mps: Tensor, curvature_per_m: Tensor) -> Trajectory:
    """Along arcs at speeds and curvatures (B, T) from the origin; no step waits for the one before."""
    arc_m = DT_S * speed_mps
    turned_rad = arc_m * curvature_per_m
    yaw_rad = turned_rad.cumsum(1)
    heading_rad, chord_m = yaw_rad - turned_rad / 2, arc_m * (1 - turned_rad.square() / 24)
    x_m, y_m = (chord_m * heading_rad.cos()).cumsum(1), (chord_m * heading_rad.sin()).cumsum(1)
    return Trajectory(torch.stack([x_m, y_m, wrap_angle(yaw_rad)], dim=-1), speed_mps)


def _network(features: int, width: int, layers: int, outputs: int) -> nn.Sequential:
    """A perceptron whose first answer is close to 0."""
    widths = [features, *[width] * layers]
    hidden = [layer for sizes in pairwise(widths) for layer in (nn.Linear(*sizes), nn.ReLU())]
    last = nn.Linear(width, outputs)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*hidden, last)
