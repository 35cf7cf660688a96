"""Terms of NAVSIM's scores for drives that were simulated.

What is read where NAVSIM's data has more than a Log:
- progress is measured along the log's route, or else along the path that the human drove, and straight on after its end;
- the reference that progress is a share of is the human's path, followed by the same car among recorded traffic; nuPlan
  takes the human, too, NAVSIM its PDM-Closed planner;
- lane keeping looks at the nearest centreline that runs the ego's way, since no route says which lane is meant;
- traffic lights are not in the data: the term is 1;
- EPDMS forgives what the human, among recorded traffic, gets 0 for, whatever the traffic; NAVSIM does so among recorded
  traffic alone.
"""

import numpy as np
import shapely
import torch
from torch import Tensor

from drive_wm.benchmarks.closed_loop import Simulated, Starts
from drive_wm.bicycle import STEP_S, STEPS
from drive_wm.geometry import wrap_angle
from drive_wm.kinematics import DT_S
from drive_wm.log import Floats
from drive_wm.metrics.at_fault import TTC_STEPS, no_at_fault_collision, time_to_collision
from drive_wm.metrics.comfort import is_comfortable, motion
from drive_wm.metrics.ego_area import EgoAreas
from drive_wm.metrics.pdm_score import MULTIPLIED, MULTIPLIED_V1, PdmTerms, product
from drive_wm.metrics.pdm_terms import driving_direction, ego_progress, ego_progress_v1, lane_keeping
from drive_wm.metrics.ride_comfort import is_steady, is_within_bounds
from drive_wm.metrics.simulated import Driven

HISTORY_STEPS = 15  # 1.5 s of what the human drove before the start
ONWARD_M = 300.0


def score(starts: Starts, simulated: Simulated, human: Simulated, areas: EgoAreas, before: Tensor) -> PdmTerms:
    """Terms of every start (B,). `human` was simulated from the same starts; before (B,) is which of them began a tick
    earlier, -1 for none."""
    own, reference = (_road_terms(x, areas) for x in (simulated, human))
    gained, human_gained = (_gained_m(starts, x.driven) for x in (simulated, human))

    def safely(which: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        return product(own[name] for name in which), product(reference[name] for name in which)

    driven = simulated.driven
    return PdmTerms(
        **own,
        ego_progress=ego_progress(gained, human_gained, *safely(MULTIPLIED)),
        ego_progress_v1=ego_progress_v1(gained, human_gained, *safely(MULTIPLIED_V1)),
        history_comfort=_flag(is_within_bounds(*_with_history(starts, driven))),
        extended_comfort=_extended(driven, before),
        comfort_v1=_flag(is_within_bounds(driven.accel_mps2, driven.pose[..., 2], v1=True)),
        comfort_nuplan=_flag(_comfort_nuplan(driven)),
    )


def _road_terms(simulated: Simulated, areas: EgoAreas) -> dict[str, Tensor]:
    """The terms that others and the map decide."""
    driven, crowd = simulated.driven, simulated.crowd
    boxes = driven.boxes()
    off_road = areas.off_road(boxes)
    encroaching = off_road | areas.straddles(boxes)
    place = areas.on_lanes(torch.cat([boxes.centre_m, boxes.yaw_rad[..., None]], dim=-1))
    in_junction = areas.on_lanes(driven.pose).in_junction
    last = driven.pose.shape[1] - 1
    missing = torch.full((len(off_road),), torch.nan, dtype=torch.float64)
    return {
        "no_at_fault_collision": no_at_fault_collision(driven, crowd, encroaching),
        "drivable_area": _flag(~off_road.any(-1)) if areas.has_drivable else missing,
        "driving_direction": driving_direction(boxes.centre_m, place.against & ~place.in_junction)
        if areas.has_lanes
        else missing,
        "traffic_light": torch.ones_like(missing),
        "lane_keeping": lane_keeping(place.offset_m, place.in_junction) if areas.has_lanes else missing,
        "time_to_collision": time_to_collision(driven, crowd, encroaching, in_junction, last - max(TTC_STEPS)),
        "time_to_collision_v1": time_to_collision(driven, crowd, encroaching, in_junction, last),
    }


def _gained_m(starts: Starts, driven: Driven) -> Tensor:
    """Metres (B,) that the box centre gained along the way."""
    ends_m = driven.boxes().centre_m[:, [0, -1]].numpy()
    lines = [_way(starts, start) for start in starts.time_s]
    with np.errstate(invalid="ignore"):  # GEOS raises the flag on sound input
        at_m = shapely.line_locate_point(np.array(lines, object)[:, None], shapely.points(ends_m))
    return torch.from_numpy(at_m[:, 1] - at_m[:, 0])


def _way(starts: Starts, start_s: float) -> shapely.LineString:
    """The route, or else the path of the human's box centre from here on; either goes on straight."""
    if starts.log.route.is_empty:
        last_s = max(float(starts.log.time_s[-1]), start_s + DT_S)
        pose = starts.human.pose(np.arange(start_s, last_s + STEP_S / 2, STEP_S))
        heading = np.stack([np.cos(pose[:, 2]), np.sin(pose[:, 2])], -1)
        line_m: Floats = pose[:, :2] + starts.log.ego_centre_m * heading
        way = heading[-1]
    else:
        line_m = shapely.get_coordinates(starts.log.route)
        way = (line_m[-1] - line_m[-2]) / np.linalg.norm(line_m[-1] - line_m[-2])
    return shapely.LineString(np.concatenate([line_m, [line_m[-1] + ONWARD_M * way]]))


def _with_history(starts: Starts, driven: Driven) -> tuple[Tensor, Tensor]:
    """Acceleration and yaw (B, HISTORY_STEPS + T): the human's, then the simulated ego's."""
    past_s = starts.time_s[:, None] + STEP_S * np.arange(-HISTORY_STEPS, 0)
    accel = torch.from_numpy(starts.human.accel_mps2(past_s))
    yaw_rad = torch.from_numpy(starts.human.pose(past_s)[..., 2])
    return torch.cat([accel, driven.accel_mps2], 1), torch.cat([yaw_rad, driven.pose[..., 2]], 1)


def _extended(driven: Driven, before: Tensor) -> Tensor:
    """Extended comfort (B,) against the drive that began a tick earlier; nan where there is none."""
    other = before.clamp(min=0)
    now = (driven.accel_mps2[:, :-STEPS], driven.pose[:, :-STEPS, 2])
    then = (driven.accel_mps2[other][:, STEPS:], driven.pose[other][:, STEPS:, 2])
    return torch.where(before >= 0, _flag(is_steady(now, then)), torch.nan)


def _comfort_nuplan(driven: Driven) -> Tensor:
    """nuPlan's bounds (B,) bool on the motion from tick to tick."""
    speed_mps, yaw_rad = driven.speed_mps[:, ::STEPS], driven.pose[:, ::STEPS, 2]
    turn_rad = wrap_angle(yaw_rad[:, 1:] - yaw_rad[:, :-1])
    along_m = (speed_mps[:, 1:] * DT_S).clamp(min=0.05)
    return is_comfortable(motion(speed_mps[:, None, 1:], (turn_rad / along_m)[:, None], speed_mps[:, :1]))[:, 0]


def _flag(kept: Tensor) -> Tensor:
    return kept.double()
