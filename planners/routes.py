"""Routes: where the road lets the ego go, as evenly spaced centrelines that start beside the ego."""

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from drive_wm.geometry import wrap_angle
from drive_wm.planners.polyline import project_origin, sample, take
from drive_wm.scene import Lanes, Scene, ego_speed_mps
from drive_wm.structs import TensorStruct

SPACING_M = 1.5
POINTS = 60
HOPS = 9  # pieces after the first; nuScenes lanes of at most 20 m a piece reach 80 m and more
MAX_OFFSET_M = 4.0  # farther from every lane, the ego is off the road network
MAX_TURN_RAD = 1.3
DUPLICATE_M = 0.7
STRAIGHT, LEFTMOST, RIGHTMOST = range(3)
CORRIDORS_PER_M = (0.005, -0.005, 0.015, -0.015, 0.04, -0.04)


@dataclass(frozen=True)
class Routes(TensorStruct):
    """Centrelines ahead in the ego frame; point 0 lies beside the ego."""

    position_m: Tensor  # (B, R, Q, 2) SPACING_M apart, straight on where the map ends
    valid: Tensor  # (B, R) bool; False: nothing there, or equal to an earlier route


def routes(scene: Scene) -> Routes:
    """R = 8: the scene's own route; this lane's straightest, leftmost and rightmost way on; the left and right
    neighbours; the two pieces next nearest to the ego. Off the lanes or without them, arcs take the last seven places."""
    asked, asked_valid = _own_route(scene)
    lane, lane_valid = _lane_routes(scene.lanes)
    arcs = _corridors(scene)
    on_lane = lane_valid[:, :1] & scene.has_lanes[:, None]
    valid = lane_valid | ~on_lane
    position_m = torch.cat([asked, torch.where(on_lane[..., None, None], lane, arcs)], dim=1)
    valid = torch.cat([asked_valid, valid], dim=1)
    return Routes(position_m, valid & ~_repeats(position_m, valid))


def resample(points_m: Tensor) -> Tensor:
    """Polylines (B, R, N, 2) as (B, R, POINTS, 2), SPACING_M apart from the ego's projection on."""
    ahead_m = torch.arange(POINTS, dtype=points_m.dtype, device=points_m.device) * SPACING_M
    return sample(points_m, project_origin(points_m)[..., None] + ahead_m)


def yaw_rate_per_m(scene: Scene) -> Tensor:
    """Curvature (B,) that the ego drives now, from its last two steps; 0 where it hardly moves."""
    yaw_rad, valid, velocity = scene.tracks.yaw_rad[:, 0], scene.tracks.valid[:, 0], scene.tracks.velocity_mps[:, 0, -1]
    step_m = 0.5 * velocity.square().sum(-1).sqrt()
    known = valid[:, -1] & valid[:, -2] & (step_m > 0.5)
    curvature = wrap_angle(yaw_rad[:, -1] - yaw_rad[:, -2]) / step_m.clamp(min=0.5)
    return torch.where(known, curvature, 0.0).clamp(-0.2, 0.2)


def _own_route(scene: Scene) -> tuple[Tensor, Tensor]:
    """The scene's route (B, 1, Q, 2) and where there is one; a straight line elsewhere, so that no length is 0."""
    distance_m = torch.arange(scene.route_m.shape[1], dtype=scene.route_m.dtype, device=scene.route_m.device)
    ahead = torch.stack([distance_m, torch.zeros_like(distance_m)], dim=-1)
    points_m = torch.where(scene.has_route[:, None, None], scene.route_m, ahead)
    return resample(points_m[:, None]), scene.has_route[:, None]


def _lane_routes(lanes: Lanes) -> tuple[Tensor, Tensor]:
    """Seven routes (B, 7, Q, 2) along the lane graph, and where they exist."""
    nearest, near = _nearest_pieces(lanes)
    here = nearest[:, :1]
    sides = torch.cat([torch.gather(side.long(), 1, here) for side in (lanes.left, lanes.right)], dim=1)
    starts = torch.cat([here, here, here, sides, nearest[:, 1:]], dim=1)
    exists = torch.cat([near[:, :1].expand(-1, 3), near[:, :1] & (sides >= 0), near[:, 1:]], dim=1)
    branch = torch.tensor([STRAIGHT, LEFTMOST, RIGHTMOST, STRAIGHT, STRAIGHT, STRAIGHT, STRAIGHT], device=starts.device)
    onward = _onward(lanes).index_select(1, branch)  # (B, 7, L)
    piece = starts.clamp(min=0)
    points_m = [_piece_points(lanes, piece)]
    alive = exists
    for _ in range(HOPS):
        following = torch.gather(onward, 2, piece[..., None])[..., 0]
        alive = alive & (following >= 0)
        piece = torch.where(alive, following, piece)
        end_m = points_m[-1][:, :, -1:]
        points_m.append(torch.where(alive[..., None, None], _piece_points(lanes, piece), end_m))
    return resample(torch.cat(points_m, dim=2)), exists


def _nearest_pieces(lanes: Lanes) -> tuple[Tensor, Tensor]:
    """The three pieces (B, 3) nearest to the origin and parallel to x, and whether they are near."""
    start = lanes.position_m[:, :, :-1]
    step = lanes.position_m[:, :, 1:] - start
    share = (-(start * step).sum(-1) / step.square().sum(-1).clamp(min=1e-6)).clamp(0.0, 1.0)
    distance_m = (start + step * share[..., None]).square().sum(-1).sqrt()
    yaw_rad = lanes.yaw_rad[:, :, :-1]
    parallel = yaw_rad.abs() < MAX_TURN_RAD
    # A heading 30 degrees off weighs as much as 1.3 m: crossing lanes lie near, the ego's own is parallel.
    cost = torch.where(parallel, distance_m + 10.0 * (1.0 - yaw_rad.cos()), 1e3).amin(-1)
    in_reach = torch.where(parallel, distance_m, 1e3).amin(-1) < MAX_OFFSET_M
    # Connectors overlap where they begin; the index breaks ties in one way in every runtime.
    order = torch.arange(cost.shape[1], dtype=cost.dtype, device=cost.device)
    cost = torch.where(lanes.valid & in_reach, cost, 1e3) + 1e-3 * order
    lowest, index = torch.topk(cost, 3, dim=1, largest=False)
    return index, lowest < 500.0


def _onward(lanes: Lanes) -> Tensor:
    """Successor (B, 3, L) of each piece, -1 for none: the straightest, the leftmost, the rightmost."""
    b, count, _ = lanes.successor.shape
    links = lanes.successor.long()
    exists = links >= 0
    end_yaw_rad = lanes.yaw_rad[:, :, -1]
    next_yaw_rad = torch.gather(end_yaw_rad, 1, links.clamp(min=0).reshape(b, -1)).reshape(b, count, 3)
    turn_rad = wrap_angle(next_yaw_rad - end_yaw_rad[..., None]).abs()
    order = torch.arange(3, dtype=turn_rad.dtype, device=turn_rad.device)
    costs = torch.stack([turn_rad + 1e-3 * order, order.expand_as(turn_rad), -order.expand_as(turn_rad)], dim=1)
    best = torch.where(exists[:, None], costs, 1e3).argmin(-1)  # (B, 3, L)
    return torch.gather(links[:, None].expand(b, 3, count, 3), 3, best[..., None])[..., 0]


def _piece_points(lanes: Lanes, piece: Tensor) -> Tensor:
    """Points (B, R, P, 2) of the pieces (B, R)."""
    b, r = piece.shape
    p = lanes.position_m.shape[2]
    return take(lanes.position_m.flatten(2), piece).reshape(b, r, p, 2)


def _corridors(scene: Scene) -> Tensor:
    """Arcs (B, 7, Q, 2) from the origin: the present curvature, then CORRIDORS_PER_M; a quarter turn at most."""
    now = torch.where(ego_speed_mps(scene) > 1.0, yaw_rate_per_m(scene), 0.0)
    others = torch.tensor(CORRIDORS_PER_M, dtype=now.dtype, device=now.device).expand(now.shape[0], -1)
    curvature = torch.cat([now[:, None], others], dim=1)
    middle_m = (torch.arange(POINTS - 1, dtype=now.dtype, device=now.device) + 0.5) * SPACING_M
    yaw_rad = (curvature[..., None] * middle_m).clamp(-pi / 2, pi / 2)
    steps = SPACING_M * torch.stack([yaw_rad.cos(), yaw_rad.sin()], dim=-1)
    return torch.cat([torch.zeros_like(steps[:, :, :1]), steps.cumsum(2)], dim=2)


def _repeats(position_m: Tensor, valid: Tensor) -> Tensor:
    """Whether a route (B, R) runs along an earlier valid one."""
    apart_m = (position_m[:, :, None] - position_m[:, None]).square().sum(-1).sqrt().amax(-1)
    r = valid.shape[1]
    earlier = torch.ones(r, r, dtype=torch.bool, device=valid.device).tril(-1)
    return ((apart_m < DUPLICATE_M) & earlier & valid[:, None]).any(-1)
