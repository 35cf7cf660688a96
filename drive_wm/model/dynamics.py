"""Dynamics: one graph step of half a second, the same at every t, for every plan and joint mode at once."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from drive_wm.graph import RELATIVE_FEATURES, Neighbours
from drive_wm.kinematics import (
    MAX_ACCEL_MPS2,
    MAX_BRAKE_MPS2,
    MAX_CURVATURE_PER_M,
    arc,
    max_curvature_per_m,
    walk,
)
from drive_wm.log import PEDESTRIAN, STATIC
from drive_wm.model.bev_encoder import LOOKS, look, look_rows, looks_m, sample_columns
from drive_wm.model.relation import ABSENT, Refine, Relation
from drive_wm.rollouts import Trajectory
from drive_wm.structs import TensorStruct

MIN_SPREAD_M = 0.07  # at the start: what is likeliest on scenes for validation; with more, those who stand are spread too wide
EDGE_FEATURES = RELATIVE_FEATURES + 2 + 3  # where the other is, relative velocity, in the way
CORRIDOR_M, LEAD_M = 3.0, 10.0  # half width of an agent's way, falling off linearly; how fast a leader's weight falls
CONFLICT_M, CONFLICT_S = 3.0, 3.0  # the same for how close two come and how soon
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
    look_rows: Tensor  # what a look adds in each cell, as `bev_encoder.look_rows` says; empty where `bev` itself is sampled
    start_pose: Tensor  # (B, A, 3) of the reference point
    centre_m: Tensor  # (B, A) box centre ahead of the reference point: the ego is steered about its rear axle
    size_m: Tensor  # (B, A, 2)
    kind: Tensor  # (B, A)
    valid: Tensor  # (B, A)
    neighbours: Neighbours  # (B, A, N)
    mode_logits: Tensor  # (B, M)
    expected: Trajectory  # of agent 0, left to itself


@dataclass(frozen=True)
class Latent(TensorStruct):
    """State of every agent after some steps, per plan and joint mode."""

    pose: Tensor  # (B, K, M, A, 3) reference point in the ego frame of t = 0
    velocity_mps: Tensor  # (B, K, M, A, 2)
    hidden: Tensor  # (B, K, M, A, D)
    variance_m2: Tensor  # (B, K, M, A, 2) along and across the heading
    context: Context


Spoken = tuple[Tensor, Latent]  # what agents tell others: hidden states (B, K, M, A, D), and where they are


class Dynamics(nn.Module):
    """Latent at t and the ego's action -> Latent at t + dt.

    Agents hear the ego and each other at t, then all move: what the ego does between t and t + dt reaches the others
    one step later, and no plan is ever read ahead. Training does not differentiate what they see by where they are: with
    those gradients, through all steps, runs from the start broke off.
    """

    def __init__(self, config: DynamicsConfig, bev_width: int) -> None:
        super().__init__()
        self.sense = nn.Linear(STEP_FEATURES + LOOKS * bev_width, config.width)
        self.relation = Relation(config.width, EDGE_FEATURES, config.message_width)
        self.refine = Refine(config.width)
        self.norm = nn.LayerNorm(config.width)
        self.act = nn.Linear(config.width, 4)
        nn.init.normal_(self.act.weight, std=0.01)  # starts near constant velocity and heading
        nn.init.zeros_(self.act.bias)

    def forward(self, latent: Latent, ego_action: Tensor | None, message_passing: bool, crowd: Latent | None = None) -> Latent:
        """ego_action: (B, K, 2) accel_mps2, curvature_per_m; without it the ego acts like any other agent.

        Agents that `latent` leaves out are heard from `crowd` (K = 1), which holds all agents at the same t.
        """
        here, there = _placed(latent), _placed(crowd) if crowd else None
        hidden = self._aware(here)
        spoken = (self._aware(there), there) if there else None
        hear = self._hear_ragged if message_passing else self._hear_dense
        hidden = self.norm(self.refine(hear((hidden, here), spoken).add_(hidden)))
        # Four numbers per agent, each kind apart.
        said = torch.addmm(self.act.bias[:, None], self.act.weight, hidden.flatten(0, 3).T).unflatten(1, hidden.shape[:-1])
        pose, velocity_mps = _move(latent, said[:2], ego_action)
        grown_m2 = functional.softplus(said[2:] - 1).square().movedim(0, -1)
        return Latent(pose, velocity_mps, hidden, latent.variance_m2 + grown_m2, latent.context)

    def for_many(self, latent: Latent) -> Latent:
        """With what a look adds in each cell, which many plans share; with gradients and in ONNX the map is sampled."""
        if torch.is_grad_enabled() or torch.onnx.is_in_onnx_export():
            return latent
        weights = self.sense.weight[:, STEP_FEATURES:].unflatten(1, (-1, LOOKS)).permute(2, 1, 0)
        return replace(latent, context=replace(latent.context, look_rows=look_rows(latent.context.bev, weights)))

    def _aware(self, latent: Latent) -> Tensor:
        """Hidden state (B, K, M, A, D) after a look at the own motion and the map."""
        motion, (look_x, look_y) = _motion(latent), _looks(latent)
        context, hidden = latent.context, latent.hidden.flatten(1, 3)
        own, map_ahead = self.sense.weight.split([STEP_FEATURES, LOOKS * context.bev.shape[1]], dim=1)
        own = torch.cat([own, self.sense.bias[:, None]], dim=1)  # the bias is the weight of a constant 1
        # Products by columns read both as they lie.
        own, map_ahead = (weight.T.expand(len(hidden), -1, -1) for weight in (own, map_ahead))
        if len(context.look_rows):
            seen = look(context.look_rows, context.bev, torch.stack(look_x, dim=2), torch.stack(look_y, dim=2))
            return seen.add_(hidden).baddbmm_(motion.transpose(1, 2), own).reshape(latent.hidden.shape)
        # All looks in one call: its gradient fills a whole map.
        sampled = sample_columns(context.bev, torch.cat(look_x, dim=1), torch.cat(look_y, dim=1))
        sampled = sampled.reshape(len(hidden), -1, hidden.shape[1])
        moved = torch.baddbmm(hidden, motion.transpose(1, 2), own)
        return torch.baddbmm(moved, sampled.transpose(1, 2), map_ahead).reshape(latent.hidden.shape)

    def _hear_dense(self, here: Spoken, there: Spoken | None) -> Tensor:
        """Neighbours come first: what is the same for all neighbours of an agent then adds in long stretches."""
        hidden, latent = here
        rows, absent = _by_neighbour(latent, there[1] if there else None)
        sent = self.relation.send(hidden).flatten(0, 3)
        if there:
            sent = torch.cat([sent, self.relation.send(there[0]).flatten(0, 3)])
        features = torch.stack([*_edges(here, there, rows), absent]).flatten(1)
        weight = self.relation.relate.weight
        weight = torch.cat([weight, torch.full_like(weight[:, :1], ABSENT)], dim=1)
        heard = sent.index_select(0, rows.flatten()).addmm_(features.T, weight.T)
        return self.relation.strongest(hidden, heard.reshape(*rows.shape, -1).amax(0).reshape(*hidden.shape[:-1], -1))

    def _hear_ragged(self, here: Spoken, there: Spoken | None) -> Tensor:
        hidden, latent = here
        rows, absent = _by_neighbour(latent, there[1] if there else None)
        present = absent == 0
        senders = torch.cat([side[0].flatten(0, 3) for side in (here, there) if side])
        receiver = torch.arange(rows.shape[1], device=rows.device).expand_as(rows)
        edge_attr = torch.stack([feature[present] for feature in _edges(here, there, rows)], dim=-1)
        edge_index = torch.stack([rows[present], receiver[present]])
        heard = self.relation((senders, hidden.flatten(0, 3)), edge_index, edge_attr)
        return heard.reshape(latent.hidden.shape)


def _placed(latent: Latent) -> Latent:
    """The same with place and motion as given numbers."""
    return replace(latent, pose=latent.pose.detach(), velocity_mps=latent.velocity_mps.detach())


# Below, a vector is two tensors and a set of features is stacked in front: numbers of one kind lie together, which
# the processor adds and multiplies many times faster than pairs.


def _motion(latent: Latent) -> Tensor:
    """The agent's motion in its own frame and a 1: (B, F, G), where G counts K, M and A."""
    start_x, start_y, start_rad = latent.context.start_pose[:, None, None].unbind(-1)
    x, y, yaw_rad = latent.pose.unbind(-1)
    vx, vy = latent.velocity_mps.unbind(-1)
    turn_rad = yaw_rad - start_rad
    velocity = _turn_back(vx / 10, vy / 10, yaw_rad.cos(), yaw_rad.sin())
    moved = _turn_back((x - start_x) / 50, (y - start_y) / 50, start_rad.cos(), start_rad.sin())
    return torch.stack([*velocity, *moved, turn_rad.cos(), turn_rad.sin(), torch.ones_like(x)], dim=1).flatten(2)


def _looks(latent: Latent) -> tuple[list[Tensor], list[Tensor]]:
    """Where on the map it looks: x and y of each look, (B, G)."""
    x, y, yaw_rad = latent.pose.flatten(1, 3).unbind(-1)
    vx, vy = latent.velocity_mps.flatten(1, 3).unbind(-1)
    cos, sin = yaw_rad.cos(), yaw_rad.sin()
    looks = looks_m((vx * vx + vy * vy + 1e-6).sqrt())
    look_x = [x + ahead_m * cos - left_m * sin for ahead_m, left_m in looks]
    look_y = [y + ahead_m * sin + left_m * cos for ahead_m, left_m in looks]
    return look_x, look_y


def _by_neighbour(latent: Latent, crowd: Latent | None) -> tuple[Tensor, Tensor]:
    """Where each neighbour stands among all agents of all plans and modes, followed by those of the crowd: rows (N, G);
    and 1 where there is none. G counts B, K, M and A."""
    batch, plans, modes, agents, _ = latent.pose.shape
    neighbours = latent.context.neighbours
    index = neighbours.index.permute(2, 0, 1)[:, :, None, None]
    group = torch.arange(batch * plans * modes, device=index.device).reshape(batch, plans, modes, 1)
    rows = index + group * agents
    if crowd:
        shared = torch.arange(batch * modes, device=index.device).reshape(batch, 1, modes, 1) * crowd.pose.shape[3]
        rows = torch.where(index < agents, rows, index + shared + group.numel() * agents)
    absent = (~neighbours.valid).to(latent.pose.dtype).permute(2, 0, 1)[:, :, None, None].expand_as(rows)
    return rows.flatten(1), absent.flatten(1)


def _edges(here: Spoken, there: Spoken | None, rows: Tensor) -> tuple[Tensor, ...]:
    """`relative_features`, relative velocity in the receiver's frame, `_in_the_way` of each neighbour: ten of (N, G)."""
    own = _body(here[1])
    bodies = torch.cat([own, _body(there[1])], dim=1) if there else own
    seen_x, seen_y, seen_vx, seen_vy, seen_cos, seen_sin = torch.gather(
        bodies, 1, rows.reshape(1, -1).expand(len(bodies), -1)
    ).unflatten(1, rows.shape)
    x, y, vx, vy, cos, sin = own
    ahead_m, left_m = _turn_back(seen_x - x, seen_y - y, cos, sin)
    distance_m = (ahead_m * ahead_m + left_m * left_m + 1e-4).sqrt()
    offset = ahead_m / 10, left_m / 10, distance_m.log1p() / 2
    velocity = _turn_back((seen_vx - vx) / 10, (seen_vy - vy) / 10, cos, sin)
    in_the_way = _in_the_way(ahead_m, left_m, 10 * velocity[0], 10 * velocity[1])
    return *offset, *_turn_back(seen_cos, seen_sin, cos, sin), *velocity, *in_the_way


def _in_the_way(ahead_m: Tensor, left_m: Tensor, vx: Tensor, vy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What no sum over the other's place and velocity tells: how much it leads, 1 at the own bumper, how fast the gap closes
    (5 m/s is 1), weighted by that, and how near and how soon both come if they keep their velocities, 1 for now and here.
    """
    leads = (1 - left_m.abs() / CORRIDOR_M).clamp(min=0) * (ahead_m / 2).clamp(0, 1) / (1 + ahead_m.clamp(min=0) / LEAD_M)
    # The closest approach of two points that move straight: |r + v t| is least at t = -r v / v v.
    soon_s = (-(ahead_m * vx + left_m * vy) / (vx * vx + vy * vy + 1e-2)).clamp(0, 2 * CONFLICT_S)
    x, y = ahead_m + vx * soon_s, left_m + vy * soon_s
    near_m = (x * x + y * y + 1e-4).sqrt()
    return leads, leads * (vx / -5), (-near_m / CONFLICT_M - soon_s / CONFLICT_S).exp()


def _body(latent: Latent) -> Tensor:
    """Where every box stands, how it moves, cosine and sine of its yaw: (6, B * K * M * A)."""
    x, y, yaw_rad = box_pose(latent).unbind(-1)
    return torch.stack([x, y, *latent.velocity_mps.unbind(-1), yaw_rad.cos(), yaw_rad.sin()]).flatten(1)


def _turn_back(x: Tensor, y: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors as seen in a frame whose x axis has this cosine and sine."""
    return cos * x + sin * y, cos * y - sin * x


def box_pose(latent: Latent) -> Tensor:
    """Pose (B, K, M, A, 3) of the box centres."""
    return ahead(latent.pose, latent.context.centre_m[:, None, None])


def ahead(pose: Tensor, distance_m: Tensor) -> Tensor:
    """Poses (..., 3) moved along their own heading."""
    x, y, yaw_rad = pose.unbind(-1)
    return torch.stack([x + distance_m * yaw_rad.cos(), y + distance_m * yaw_rad.sin(), yaw_rad]).movedim(0, -1)


def _move(latent: Latent, out: Tensor, ego_action: Tensor | None) -> tuple[Tensor, Tensor]:
    """Wheeled agents as unicycles, pedestrians as point masses, static ones not at all."""
    kind = latent.context.kind[:, None, None]
    x, y, yaw_rad = latent.pose.unbind(-1)
    vx, vy = latent.velocity_mps.unbind(-1)
    push, turn = out.tanh()
    speed_mps = (vx * yaw_rad.cos() + vy * yaw_rad.sin()).clamp(min=0.0)
    accel_mps2 = ((MAX_ACCEL_MPS2 + MAX_BRAKE_MPS2) / 2 * push).clamp(max=MAX_ACCEL_MPS2)
    bound_per_m = max_curvature_per_m(speed_mps)
    curvature_per_m = torch.minimum(torch.maximum(MAX_CURVATURE_PER_M * turn, -bound_per_m), bound_per_m)
    if ego_action is not None:
        ego = torch.arange(kind.shape[-1], device=kind.device) == 0
        ego_accel, ego_curvature = ego_action[:, :, None, None].unbind(-1)
        accel_mps2 = torch.where(ego, ego_accel, accel_mps2)
        curvature_per_m = torch.where(ego, ego_curvature, curvature_per_m)
    *driven, speed_mps = arc(x, y, yaw_rad, speed_mps, accel_mps2, curvature_per_m)
    driven += [speed_mps * driven[2].cos(), speed_mps * driven[2].sin()]
    walked = walk(x, y, yaw_rad, vx, vy, 3.0 * push, 3.0 * turn)
    stayed = x, y, yaw_rad, torch.zeros_like(vx), torch.zeros_like(vy)
    # Padding stays too, at 0.
    walks, stays = kind == PEDESTRIAN, (kind == STATIC) | ~latent.context.valid[:, None, None]
    moved = [torch.where(stays, s, torch.where(walks, w, d)) for s, w, d in zip(stayed, walked, driven, strict=True)]
    return torch.stack(moved[:3]).movedim(0, -1), torch.stack(moved[3:]).movedim(0, -1)
