"""Score: one named (B, K) tensor per term; the total is weighed when it is read."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from drive_wm.metrics.collision import blame, collision, ego_boxes, nearest_others, time_to_collision
from drive_wm.metrics.comfort import discomfort, effort, motion
from drive_wm.metrics.drivable import offroad_m
from drive_wm.metrics.lane import against_raster, fit_to_lanes, wrong_way_m
from drive_wm.metrics.progress import command_shortfall_m, progress_m, route_offset_m
from drive_wm.planners.routes import SPACING_M, Routes, routes
from drive_wm.rollouts import Plans, Rollouts, Trajectory
from drive_wm.scene import COMMAND_ORIGINS, Scene, ego_speed_is_known, ego_speed_mps
from drive_wm.structs import TensorStruct

NEAREST = 8  # agents whose boxes are compared with each plan
MARGIN_M = 0.4
LATER_MARGIN_M = 0.1  # of a time to collision; without any, what one runtime rounds up and another down would be two costs
MARGIN_PER_SPREAD = 0.3
FADE = 0.5  # what is imagined 6 s ahead counts half
EDGE_TOLERANCE_M = 0.3
COMMAND_STEP = 5  # 3 s ahead, where nuScenes planning work reads its commands


@dataclass(frozen=True)
class Scores(TensorStruct):
    """Terms of each plan, 0 where a term has nothing to read; every term but progress is a cost."""

    collision: Tensor  # (B, K) probability
    time_to_collision: Tensor  # (B, K) probability of less than 1 s
    offroad_m: Tensor  # (B, K) needs has_area
    wrong_way_m: Tensor  # (B, K) needs has_lane_direction
    lane_offset_m: Tensor  # (B, K) needs has_lanes
    route_offset_m: Tensor  # (B, K) needs has_route
    command_m: Tensor  # (B, K) needs has_command
    discomfort: Tensor  # (B, K) excess over nuPlan's comfort bounds
    effort: Tensor  # (B, K) mean square share of these bounds
    human_m: Tensor  # (B, K) mean distance from what a human is expected to drive; needs has_human
    progress_m: Tensor  # (B, K)
    has_area: Tensor  # (B,) bool
    has_lane_direction: Tensor  # (B,) bool
    has_lanes: Tensor  # (B,) bool
    has_route: Tensor  # (B,) bool
    has_command: Tensor  # (B,) bool
    has_human: Tensor  # (B,) bool


@dataclass(frozen=True)
class Weights:
    """What one unit of each term costs; progress_m is what the first metre earns, and less with every enough_m."""

    collision: float = 100.0
    time_to_collision: float = 10.0
    offroad_m: float = 20.0
    wrong_way_m: float = 1.0
    lane_offset_m: float = 0.3
    route_offset_m: float = 2.0
    command_m: float = 1.0
    discomfort: float = 2.0
    effort: float = 20.0
    human_m: float = 5.0
    progress_m: float = 0.06
    enough_m: float = 20.0


TERMS = tuple(f.name for f in fields(Weights) if f.name not in ("progress_m", "enough_m"))


def score(
    scene: Scene, plans: Plans, rollouts: Rollouts, found: Routes | None = None, human: Trajectory | None = None
) -> Scores:
    """Every term of every plan; terms of a map, route or command that the scene lacks are 0, and flags say so.

    `human` is a learned forecast of the human driver, where there is one.
    """
    found = found or routes(scene)
    ego = ego_boxes(plans.pose, scene.ego_centre_m, scene.tracks.size_m[:, 0])
    others = nearest_others(ego.centre_m, rollouts, NEAREST)
    blamed = blame(ego, plans.speed_mps, others)
    moving = motion(plans.speed_mps, plans.action[..., 1], _start_mps(scene, plans))
    lane = fit_to_lanes(plans.pose, scene.lanes)
    has_lanes = scene.has_lanes[:, None, None]
    against = (has_lanes & lane.against) | (~has_lanes & against_raster(plans.pose, scene.raster))
    has_direction = scene.has_lanes | scene.has_raster
    has_command = scene.command_origin != COMMAND_ORIGINS.index("none")
    lane_offset = _where(scene.has_lanes, lane.offset_m.mean(-1))
    onward = _leading(scene, found)
    return Scores(
        collision=collision(ego, others, blamed, rollouts.mode_logits, MARGIN_M, MARGIN_PER_SPREAD, FADE),
        time_to_collision=time_to_collision(ego, plans.speed_mps, others, blamed, rollouts.mode_logits, LATER_MARGIN_M),
        offroad_m=_where(scene.has_raster, offroad_m(scene.edge_m, ego, EDGE_TOLERANCE_M)),
        wrong_way_m=_where(has_direction, wrong_way_m(against, plans.speed_mps)),
        lane_offset_m=lane_offset,
        route_offset_m=_where(scene.has_route, route_offset_m(plans.pose[..., :2], found.position_m[:, 0])),
        command_m=_where(has_command, command_shortfall_m(plans.pose[:, :, COMMAND_STEP, :2], scene.command)),
        discomfort=discomfort(moving),
        effort=effort(moving),
        human_m=torch.zeros_like(lane_offset) if human is None else _apart_m(plans, human),
        progress_m=progress_m(plans.pose[:, :, -1, :2], found.position_m, onward, SPACING_M),
        has_area=scene.has_raster,
        has_lane_direction=has_direction,
        has_lanes=scene.has_lanes,
        has_route=scene.has_route,
        has_command=has_command,
        has_human=torch.zeros_like(scene.has_lanes) if human is None else torch.ones_like(scene.has_lanes),
    )


def total(scores: Scores, weights: Weights) -> Tensor:
    """Weighted sum (B, K), higher is better."""
    # From a standstill a metre matters; at speed the wish to go faster must not outweigh a calm drive.
    gained = weights.progress_m * weights.enough_m * (1 - (-scores.progress_m.clamp(min=0.0) / weights.enough_m).exp())
    return gained - sum((getattr(weights, name) * getattr(scores, name) for name in TERMS), torch.zeros_like(gained))


def _start_mps(scene: Scene, plans: Plans) -> Tensor:
    """The ego's speed now (B, K); where it is not known, that which each plan begins with."""
    return torch.where(ego_speed_is_known(scene)[:, None], ego_speed_mps(scene)[:, None], plans.speed_mps[..., 0])


def _leading(scene: Scene, found: Routes) -> Tensor:
    """Routes (B, R) along which metres count as progress: the scene's own where it has one, otherwise any."""
    first = torch.arange(found.valid.shape[1], device=found.valid.device) == 0
    return found.valid & (first | ~scene.has_route[:, None])


def _apart_m(plans: Plans, human: Trajectory) -> Tensor:
    """Mean distance (B, K) between positions at equal times."""
    offset_m = plans.pose[..., :2] - human.pose[:, None, :, :2]
    return (offset_m.square().sum(-1) + 1e-6).sqrt().mean(-1)


def _where(known: Tensor, term: Tensor) -> Tensor:
    return torch.where(known[:, None], term, 0.0)
