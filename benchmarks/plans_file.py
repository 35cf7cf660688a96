"""A plans file: the plans of any model as JSON, checked, and as rear-axle poses.

    {"frame": "ego" | "lidar_top", "model": NAME, "ego_status": true | false,
     "command_origin": "none" | "route" | "ground_truth_offset", "plans": {SAMPLE_TOKEN: [[x, y], ... six points]}}

Metres, 0.5, 1, ... 3 s after the keyframe, in the frame at the keyframe; a plan is the path of that frame's own origin.
`ego`: the rear axle, x forward, y left. `lidar_top`: the sensor LIDAR_TOP, x right, y forward. `ego_status`: the model reads
the ego's speed or history. `command_origin`: where the command comes from that the model is given.

Protocols need the path of LIDAR_TOP, 0.94 m ahead of the rear axle, or (`bev_planner`) of the rear axle, and to go from one to
the other takes the heading. Points [x, y, yaw] give it: how far the ego has turned since the keyframe, counter-clockwise, rad.
Points [x, y] have it taken from the path as `strict_yaw_rad` does: the chord between the points before and after. On the
human's own paths in 8 nuScenes scenes (275 samples) that moves a point of an ego path by 0.6 cm in the mean and 13 cm at worst,
and of a lidar path, for `bev_planner` alone, by 1.0 cm and 13 cm. The other four score a lidar path unchanged.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from drive_wm.benchmarks.planning_input import checked_protocol
from drive_wm.benchmarks.planning_samples import sampled
from drive_wm.errors import InputError
from drive_wm.geometry import compose, inverse, transform
from drive_wm.log import Log
from drive_wm.metrics.planning import STEPS
from drive_wm.metrics.planning_polygons import strict_yaw_rad

SHOWN = 3  # a message names this many of the samples at fault
MAX_SHOWN = 40  # and so many characters of a value
MAX_M = 1000.0  # nothing on a road goes farther in 3 s


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    frame: Literal["ego", "lidar_top"]
    model: str
    ego_status: bool
    command_origin: Literal["none", "route", "ground_truth_offset"]
    plans: dict[str, Any]


@dataclass(frozen=True)
class PlansFile:
    """What a plans file says."""

    path: Path
    frame: Literal["ego", "lidar_top"]
    model: str
    ego_status: bool
    command_origin: str
    plans: Mapping[str, NDArray[np.float64]]  # sample token: (6, 2) x, y or (6, 3) x, y, yaw

    def check_samples(self, drives: Mapping[str, Sequence[str]], protocols: Sequence[str], split: str) -> None:
        """Raise InputError where a sample of these drives (name: tokens in time) has no plan, or a plan is of none of them."""
        known = {token for tokens in drives.values() for token in tokens}
        needed = {
            tokens[step]: None
            for tokens in drives.values()
            for protocol in protocols
            for step in sampled(checked_protocol(protocol), len(tokens))
        }
        missing = [token for token in needed if token not in self.plans]
        strange = [token for token in self.plans if token not in known]
        faults = [f"no plan for {len(missing)} of {len(needed)} samples ({_few(missing)})"] * bool(missing)
        faults += [f"{len(strange)} samples that are not in {split} ({_few(strange)})"] * bool(strange)
        if faults:
            raise InputError(
                f"{self.path} holds {' and '.join(faults)}. Needed over {split} by {', '.join(protocols)}: one plan "
                f"for each of {len(needed)} samples. Complete the file, or pass its own --split, --version or --protocol."
            )

    def poses(self, log: Log) -> Tensor:
        """Rear-axle poses (S, 6, 3) in the ego frame at each keyframe, float64; nan where the file has no plan."""
        none = np.full((STEPS, 3), np.nan)
        found = [self._pose(self.plans[token], log) if token in self.plans else none for token in log.keyframes]
        return torch.from_numpy(np.stack(found))

    def _pose(self, plan: NDArray[np.float64], log: Log) -> NDArray[np.float64]:
        mount = torch.from_numpy(log.ego_from_lidar)
        lidar = self.frame == "lidar_top"
        points = torch.from_numpy(plan[:, :2])
        position = transform(mount, points) if lidar else points
        offset = position - mount[:2] if lidar else position  # since the keyframe
        yaw = torch.from_numpy(plan[:, 2]) if plan.shape[1] == 3 else _heading(offset)
        pose = torch.cat([position, yaw[:, None]], 1)
        if not lidar:
            return pose.numpy()
        at_ego_heading = torch.cat([mount[:2], mount.new_zeros(1)])  # the sensor's place, turned as the ego is
        return compose(pose, inverse(at_ego_heading).expand_as(pose)).numpy()


def _heading(path_m: Tensor) -> Tensor:
    """Headings (6,) along a path (6, 2), x forward, y left."""
    right_forward = np.stack([-path_m[:, 1].numpy(), path_m[:, 0].numpy()], -1)
    return torch.from_numpy(strict_yaw_rad(right_forward, np.ones(STEPS, bool)) - np.pi / 2)


def read_plans(path: Path) -> PlansFile:
    """Read and check a plans file; FileNotFoundError, or InputError that names the first faults and their number."""
    if not path.is_file():
        raise FileNotFoundError(
            f"No plans at {path}. Pass the file that your model wrote with --plans; the README shows its form."
        )
    data = path.read_bytes()
    if not data.strip():
        raise InputError(f"{path} is empty; needed: a plans file, a JSON object with frame, model, plans and more.")
    try:
        head = _Head.model_validate(json.loads(data, object_pairs_hook=_unique))
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}{_found(fault)}" for fault in error.errors()
        ]
        raise InputError(f"{path} is not a plans file: {'; '.join(faults)}. The README shows its form.") from error
    except _RepeatedError as error:
        raise InputError(f"{path} holds {error}. Keep one plan per sample.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}). Write the plans again.") from error
    faulty = [f"{token!r} {fault}" for token, plan in head.plans.items() if (fault := _fault(plan))]
    if faulty:
        raise InputError(
            f"{path}: {len(faulty)} of {len(head.plans)} plans are not six points [x, y] or [x, y, yaw] of finite numbers in "
            f"metres: {_few(faulty, quoted=False)}. Write them again."
        )
    plans = {token: np.array(plan, np.float64) for token, plan in head.plans.items()}
    return PlansFile(path, head.frame, head.model, head.ego_status, head.command_origin, plans)


def _found(fault: Mapping[str, Any]) -> str:
    """What stands where something else is needed, where that is short."""
    value = fault["input"]
    return "" if value is None or isinstance(value, (dict, list)) else f", found {str(value)[:MAX_SHOWN]!r}"


class _RepeatedError(Exception):
    """A key stands twice in a JSON object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise _RepeatedError(f"{len(twice)} key(s) more than once ({_few(twice)})")
    return found


def _fault(plan: Any) -> str:
    """What is wrong with one plan, "" for nothing."""
    if not isinstance(plan, list) or len(plan) != STEPS:
        return f"(has {len(plan)} points)" if isinstance(plan, list) else f"(is {type(plan).__name__})"
    widths = {len(point) if isinstance(point, list) else -1 for point in plan}
    if widths not in ({2}, {3}):
        return f"(has points of {', '.join(str(w) if w >= 0 else 'no list' for w in sorted(widths))} numbers)"
    values = [value for point in plan for value in point]
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return "(holds what is not a number)"
    for step, point in enumerate(plan):
        if not all(abs(value) <= MAX_M for value in point):  # nan compares as false
            return f"(step {step + 1} is {point})"
    return ""


def _few(names: Iterable[str], quoted: bool = True) -> str:
    listed = [repr(name) if quoted else name for name in names]
    return ", ".join(listed[:SHOWN]) + (f", ... {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")
