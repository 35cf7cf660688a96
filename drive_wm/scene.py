"""Scene: everything the model may see, in the ego frame, padded; Future: what then happened, for losses and metrics."""

from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.errors import InputError
from drive_wm.structs import TensorStruct

COMMANDS = ("left", "straight", "right")
COMMAND_ORIGINS = ("none", "route", "ground_truth_offset")
ELEMENTS = ("crosswalk", "stop_line", "lane_divider", "road_divider")
RASTER_LAYERS = (
    "drivable", "lane", "lane_cos", "lane_sin", "crosswalk", "walkway", "lane_divider", "road_divider",
)  # fmt: skip


@dataclass(frozen=True)
class SceneConfig:
    """Sizes of a Scene; two Scenes stack only when these are equal."""

    agents: int = 32  # the ego and the nearest others
    history: int = 5  # steps of 0.5 s, the last is now
    future: int = 12
    lanes: int = 96  # pieces of at most 20 m
    lane_points: int = 10
    elements: int = 48
    element_points: int = 10
    route_points: int = 40  # 2 m apart


# The raster: columns run along x, rows along y, both ascending.
CELL_M = 0.5
X_RANGE_M = (-30.0, 70.0)
Y_RANGE_M = (-50.0, 50.0)
RASTER_SIZE = 200
EDGE_CLIP_M = 10.0  # the signed distance is clipped to this


@dataclass(frozen=True)
class Tracks(TensorStruct):
    """Oriented boxes over time, in the ego frame; where not valid, every other field is 0."""

    position_m: Tensor  # (B, A, T, 2) box centre
    yaw_rad: Tensor  # (B, A, T)
    velocity_mps: Tensor  # (B, A, T, 2) by backward difference, 0 where the step before is not valid
    size_m: Tensor  # (B, A, 2) length, width, as seen last
    kind: Tensor  # (B, A) index into KINDS
    valid: Tensor  # (B, A, T) bool


@dataclass(frozen=True)
class Lanes(TensorStruct):
    """Centreline pieces in driving direction; links are indices into L, -1 for none."""

    position_m: Tensor  # (B, L, P, 2)
    yaw_rad: Tensor  # (B, L, P)
    successor: Tensor  # (B, L, 3) sorted from the leftmost to the rightmost
    left: Tensor  # (B, L)
    right: Tensor  # (B, L)
    in_junction: Tensor  # (B, L) bool
    valid: Tensor  # (B, L) bool


@dataclass(frozen=True)
class Elements(TensorStruct):
    """Crosswalk outlines, stop lines and dividers as polylines."""

    position_m: Tensor  # (B, E, P, 2)
    kind: Tensor  # (B, E) index into ELEMENTS
    valid: Tensor  # (B, E) bool


@dataclass(frozen=True)
class Scene(TensorStruct):
    """One instant; ego frame: origin at the rear axle on the ground, x forward, y left, yaw counter-clockwise."""

    tracks: Tracks  # T = history steps, the last is now; agent 0 is the ego
    lanes: Lanes
    elements: Elements
    raster: Tensor  # (B, C, Y, X) RASTER_LAYERS: covered share of each cell in 0..1, lane_cos and lane_sin in -1..1
    edge_m: Tensor  # (B, Y, X) distance to the border of the drivable area, positive inside and beyond the map
    ego_centre_m: Tensor  # (B,) the ego's box centre lies this far ahead of the rear axle
    route_m: Tensor  # (B, R, 2) points ahead along the route, the last repeated
    has_route: Tensor  # (B,) bool
    command: Tensor  # (B,) index into COMMANDS, meaningful where the origin is not "none"
    command_origin: Tensor  # (B,) index into COMMAND_ORIGINS
    has_ego: Tensor  # (B,) bool
    has_all_traffic: Tensor  # (B,) bool; False: agents may be missing
    has_lanes: Tensor  # (B,) bool; False: the source has no vector map
    has_raster: Tensor  # (B,) bool; False: the source has no drivable area

    def check(self) -> None:
        """Raise InputError that names the field, what was found and what is needed."""
        t, m = self.tracks, self.lanes
        _need(t.position_m.ndim == 4 and t.position_m.shape[-1] == 2, "tracks.position_m", t.position_m, "(B, A, T, 2)")
        b, a, h, _ = t.position_m.shape
        _need(m.position_m.ndim == 4, "lanes.position_m", m.position_m, "(B, L, P, 2)")
        _, lanes, p, _ = m.position_m.shape
        e, q = self.elements.position_m.shape[1:3]
        size = (RASTER_SIZE, RASTER_SIZE)
        shapes: dict[str, tuple[Tensor, tuple[int, ...]]] = {
            "tracks.yaw_rad": (t.yaw_rad, (b, a, h)),
            "tracks.velocity_mps": (t.velocity_mps, (b, a, h, 2)),
            "tracks.size_m": (t.size_m, (b, a, 2)),
            "tracks.kind": (t.kind, (b, a)),
            "tracks.valid": (t.valid, (b, a, h)),
            "lanes.position_m": (m.position_m, (b, lanes, p, 2)),
            "lanes.yaw_rad": (m.yaw_rad, (b, lanes, p)),
            "lanes.successor": (m.successor, (b, lanes, 3)),
            "lanes.left": (m.left, (b, lanes)),
            "lanes.right": (m.right, (b, lanes)),
            "lanes.in_junction": (m.in_junction, (b, lanes)),
            "lanes.valid": (m.valid, (b, lanes)),
            "elements.position_m": (self.elements.position_m, (b, e, q, 2)),
            "elements.kind": (self.elements.kind, (b, e)),
            "elements.valid": (self.elements.valid, (b, e)),
            "raster": (self.raster, (b, len(RASTER_LAYERS), *size)),
            "edge_m": (self.edge_m, (b, *size)),
            "route_m": (self.route_m, (b, self.route_m.shape[1], 2)),
        } | {
            name: (getattr(self, name), (b,))
            for name in (
                "ego_centre_m",
                "has_route",
                "command",
                "command_origin",
                "has_ego",
                "has_all_traffic",
                "has_lanes",
                "has_raster",
            )
        }
        for name, (value, shape) in shapes.items():
            _need(tuple(value.shape) == shape, name, value, str(shape))
            # A sum is read several times as quickly as a mask is made; finite numbers may add up to more than there is.
            if value.is_floating_point() and not bool(value.sum().isfinite()) and not bool(value.isfinite().all()):
                index = tuple((~value.isfinite()).nonzero()[0].tolist())
                raise InputError(f"Scene: {name} is not finite at index {index}; needed: finite numbers.")
        for name, links in (("successor", m.successor), ("left", m.left), ("right", m.right)):
            if bool(((links < -1) | (links >= lanes)).any()):
                raise InputError(f"Scene: lanes.{name} points outside the {lanes} lanes; needed: -1 to {lanes - 1}.")
        seen = t.valid[..., -1]
        if bool((t.size_m[seen] <= 0).any()):
            raise InputError("Scene: tracks.size_m has a size of 0 or less; needed: positive length and width in metres.")


@dataclass(frozen=True)
class Future(TensorStruct):
    """What happened after the Scene, in the Scene's ego frame and agent order; no model takes it."""

    tracks: Tracks  # T = future steps: dt, 2 dt, ...
    ego_pose: Tensor  # (B, T, 3) rear axle: x m, y m, yaw rad
    ego_valid: Tensor  # (B, T) bool


def _need(ok: bool, field: str, value: Tensor, needed: str) -> None:
    if not ok:
        raise InputError(f"Scene: {field} has shape {tuple(value.shape)}; needed: {needed}.")


def ego_speed_mps(scene: Scene) -> Tensor:
    """Speed (B,) of the ego now, forward positive."""
    forward_mps = scene.tracks.velocity_mps[:, 0, -1, 0]
    return torch.relu(forward_mps)


def ego_speed_is_known(scene: Scene) -> Tensor:
    """Whether (B,) the ego was seen half a second ago; at a drive's first keyframe it was not, and its speed reads 0."""
    return scene.tracks.valid[:, 0, -2]
