"""Dynamics: one graph step of half a second, the same at every t, for every plan and joint mode at once."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drive_wm.geometry import rotate
from drive_wm.graph import RELATIVE_FEATURES, Neighbours, relative_features, take
from drive_wm.kinematics import MAX_ACCEL_MPS2, MAX_BRAKE_MPS2, limit_action, point_mass, unicycle
from drive_wm.log import PEDESTRIAN, STATIC
from drive_wm.model.bev_encoder import look_ahead, sample
from drive_wm.model.relation import Refine, Relation
from drive_wm.structs import TensorStruct

MIN_SPREAD_M = 0.1
STEP_FEATURES = 2 + 2 + 2  # velocity, displacement since the start, heading since the start


@dataclass(frozen=True)
class DynamicsConfig:
    width: int = 64
    message_width: int = 32  # messages are most of the memory traffic of an imagined step
    modes: int = 6
    neighbours: int = 5  # the ego and the four nearest others, chosen once


@dataclass(frozen=True)
class Context(TensorStruct):
    """What does not change while the scene is imagined."""

    bev: Tensor  # (B, D_bev, Y, X)
    start_pose: Tensor  # (B, A, 3) of the reference point
    centre_m: Tensor  # (B, A) box centre ahead of the reference point: the ego is steered about its rear axle
    size_m: Tensor  # (B, A, 2)
    kind: Tensor  # (B, A)
    valid: Tensor  # (B, A)
    neighbours: Neighbours  # (B, A, N)
    mode_logits: Tensor  # (B, M)


@dataclass(frozen=True)
class Latent(TensorStruct):
    """State of every agent after some steps, per plan and joint mode."""

    pose: Tensor  # (B, K, M, A, 3) reference point in the ego frame of t = 0
    velocity_mps: Tensor  # (B, K, M, A, 2)
    hidden: Tensor  # (B, K, M, A, D)
    variance_m2: Tensor  # (B, K, M, A, 2) along and across the heading
    context: Context


class Dynamics(nn.Module):
    """Latent at t and the ego's action -> Latent at t + dt.

    Agents hear the ego and each other at t, then all move: what the ego does between t and t + dt reaches the others
    one step later, and no plan is ever read ahead.
    """

    def __init__(self, config: DynamicsConfig, bev_width: int) -> None:
        super().__init__()
        self.sense = nn.Linear(STEP_FEATURES + 3 * bev_width, config.width)
        self.relation = Relation(config.width, RELATIVE_FEATURES + 2, config.message_width)
        self.refine = Refine(config.width)
        self.norm = nn.LayerNorm(config.width)
        self.act = nn.Linear(config.width, 4)
        nn.init.normal_(self.act.weight, std=0.01)  # starts near constant velocity and heading
        nn.init.zeros_(self.act.bias)

    def forward(self, latent: Latent, ego_action: Tensor | None, message_passing: bool) -> Latent:
        """ego_action: (B, K, 2) accel_mps2, curvature_per_m; without it the ego acts like any other agent."""
        hidden = latent.hidden + self.sense(self._senses(latent))
        heard = self._hear_ragged(hidden, latent) if message_passing else self._hear_dense(hidden, latent)
        hidden = self.norm(self.refine(hidden + heard))
        out = self.act(hidden)
        pose, velocity_mps = _move(latent, out[..., :2], ego_action)
        grown_m2 = nn.functional.softplus(out[..., 2:] - 1).square()
        return Latent(pose, velocity_mps, hidden, latent.variance_m2 + grown_m2, latent.context)

    def _sense(self, latent: Latent) -> Tensor:
        """`self.sense` of the agent's motion and the map where it looks, in its own frame: (B, K, M, A, D).

        The sampled map stays as columns, each look with its part of the weights: no copy joins or turns them.
        """
        start_x, start_y, start_rad = latent.context.start_pose[:, None, None].unbind(-1)
        x, y, yaw_rad = latent.pose.unbind(-1)
        velocity_x, velocity_y = latent.velocity_mps.unbind(-1)
        cos, sin = yaw_rad.cos(), yaw_rad.sin()
        turn_rad = yaw_rad - start_rad
        motion = torch.stack(
            [
                *(part / 10 for part in _turn_back(velocity_x, velocity_y, cos, sin)),
                *(part / 50 for part in _turn_back(x - start_x, y - start_y, start_rad.cos(), start_rad.sin())),
                turn_rad.cos(),
                turn_rad.sin(),
            ],
            dim=-1,
        )
        bev = latent.context.bev
        own, *looks = self.sense.weight.split([STEP_FEATURES, *(3 * [bev.shape[1]])], dim=1)
        sensed = functional.linear(motion, own, self.sense.bias).flatten(1, 3)
        speed_mps = (velocity_x.square() + velocity_y.square() + 1e-6).sqrt()
        for ahead_m, weight in zip(looks_m(speed_mps), looks, strict=True):
            columns = sample_columns(bev, (x + ahead_m * cos).flatten(1), (y + ahead_m * sin).flatten(1))
            sensed = sensed + columns.transpose(1, 2) @ weight.T
        return sensed.reshape(latent.hidden.shape)

    def _hear_dense(self, hidden: Tensor, latent: Latent) -> Tensor:
        """Neighbours come before agents, so that what an agent subtracts from its neighbours lies in one stretch."""
        context = latent.context
        groups, agents = latent.hidden.shape[1] * latent.hidden.shape[2], hidden.shape[3]
        index = _per_group(context.neighbours.index, groups).transpose(1, 2)
        absent = ~_per_group(context.neighbours.valid, groups).transpose(1, 2)
        x, y, yaw_rad = box_pose(latent).reshape(-1, agents, 3).unbind(-1)
        velocity_x, velocity_y = latent.velocity_mps.reshape(-1, agents, 2).unbind(-1)
        cos, sin = yaw_rad.cos(), yaw_rad.sin()
        none = torch.zeros_like(cos)
        vectors = torch.stack([x, velocity_x, cos, y, velocity_y, sin], dim=-1)
        own = torch.stack([x, velocity_x, none, y, velocity_y, none], dim=-1)
        apart = take(vectors, index) - own[:, None]
        across, along = apart.split(3, dim=-1)
def box_pose(latent: Latent) -> Tensor:
    """Pose (B, K, M, A, 3) of the box centres."""
    return ahead(latent.pose, latent.context.centre_m[:, None, None])


def ahead(pose: Tensor, distance_m: Tensor) -> Tensor:
    """Poses (..., 3) moved along their own heading."""
    step = distance_m[..., None] * torch.stack([pose[..., 2].cos(), pose[..., 2].sin()], dim=-1)
    return torch.cat([pose[..., :2] + step, pose[..., 2:]], dim=-1)


def _per_group(values: Tensor, latent: Latent) -> Tensor:
    """Repeat (B, A, N) for every plan and mode: (B * K * M, A, N)."""
    _, plans, modes, agents, _ = latent.pose.shape
    repeated = values[:, None, None].expand(-1, plans, modes, -1, -1)
    return repeated.reshape(-1, agents, values.shape[-1])


def _move(latent: Latent, out: Tensor, ego_action: Tensor | None) -> tuple[Tensor, Tensor]:
    """Wheeled agents as unicycles, pedestrians as point masses, static ones not at all."""
    kind = latent.context.kind[:, None, None]
    heading = torch.stack([latent.pose[..., 2].cos(), latent.pose[..., 2].sin()], dim=-1)
    speed_mps = (latent.velocity_mps * heading).sum(-1).clamp(min=0.0)
    middle = (MAX_ACCEL_MPS2 + MAX_BRAKE_MPS2) / 2
    action = limit_action(torch.stack([middle * out[..., 0].tanh(), 0.25 * out[..., 1].tanh()], dim=-1), speed_mps)
    if ego_action is not None:
        ego = torch.arange(out.shape[3], device=out.device)[:, None] == 0
        action = torch.where(ego, ego_action[:, :, None, None], action)
    wheeled_pose, wheeled_mps = unicycle(latent.pose, speed_mps, action)
    wheeled_heading = torch.stack([wheeled_pose[..., 2].cos(), wheeled_pose[..., 2].sin()], dim=-1)
    walked_pose, walked_mps = point_mass(latent.pose, latent.velocity_mps, 3.0 * out.tanh())
    walks, stays = (kind == PEDESTRIAN)[..., None], (kind == STATIC)[..., None]
    pose = torch.where(stays, latent.pose, torch.where(walks, walked_pose, wheeled_pose))
    velocity = torch.where(walks, walked_mps, wheeled_mps[..., None] * wheeled_heading)
    return pose, torch.where(stays, 0.0, velocity)
