"""Who drives the others in closed loop: the log, the intelligent driver model, or the world model.

Whoever is there at the start is driven until the end; who comes later is as recorded. Between two ticks the others know the ego
at the first of them and earlier, never what it does next.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from drive_wm.bicycle import STEPS, CarState
from drive_wm.errors import InputError
from drive_wm.geometry import transform, wrap_angle
from drive_wm.kinematics import DT_S
from drive_wm.log import STATIC, Log
from drive_wm.rollouts import Rollouts
from drive_wm.scene import Scene

TRAFFIC = ("replay", "idm", "imagined")
BATCH = 8  # scenes that a model sees at once

Imagine = Callable[[Scene], Rollouts]  # one step of the world model, the ego by itself


@dataclass(frozen=True)
class Moment:
    """All that traffic may know at a tick; scenes are built when asked for."""

    car: CarState  # (B,)
    ego_size_m: Tensor  # (B, 2)
    ego_centre_m: Tensor  # (B,)
    position_m: Tensor  # (B, A, 2) of the others, global
    velocity_mps: Tensor  # (B, A, 2) over the last 0.1 s
    yaw_rad: Tensor  # (B, A)
    size_m: Tensor  # (B, A, 2)
    valid: Tensor  # (B, A)
    scene: Callable[[], tuple[Scene, list[Tensor]]]  # of each start, and the numbers of the agents that it shows


@dataclass(frozen=True)
class Moved:
    """Where the others are STEPS times 0.1 s after a tick."""

    position_m: Tensor  # (B, A, STEPS, 2)
    yaw_rad: Tensor  # (B, A, STEPS)


class Traffic(Protocol):
    """Moves the agents of `driven` (B, A); the rest is as recorded."""

    driven: Tensor

    def advance(self, moment: Moment) -> Moved: ...


class Replayed:
    """Everybody as recorded, whatever the ego does."""

    def __init__(self, present: Tensor) -> None:
        self.driven = torch.zeros_like(present)

    def advance(self, moment: Moment) -> Moved:
        return stay(moment)


class Imagined:
    """The world model, one step at a time from the scene as it has become; the likeliest joint mode.

    Agents farther away than a scene shows keep their velocity; what cannot move stays.
    """

    def __init__(self, present: Tensor, log: Log, imagine: Imagine) -> None:
        self.driven = present & torch.from_numpy(log.kind != STATIC)
        self._imagine = imagine

    def advance(self, moment: Moment) -> Moved:
        target_m, turn_rad = moment.position_m + moment.velocity_mps * DT_S, torch.zeros_like(moment.yaw_rad)
        scene, shown = moment.scene()
        for first in range(0, len(shown), BATCH):
            with torch.inference_mode():
                imagined = self._imagine(scene[first : first + BATCH])
            best = imagined.mode_logits.argmax(-1)
            for b, mode in enumerate(best.tolist(), start=first):
                agents = shown[b][1:] - 1
                rows = slice(1, len(agents) + 1)
                local_m = imagined.position_m[b - first, 0, mode, rows, 0].double()
                yaw_rad = imagined.yaw_rad[b - first, 0, mode, rows, 0].double() + moment.car.pose[b, 2]
                target_m[b, agents] = transform(moment.car.pose[b], local_m)
                turn_rad[b, agents] = wrap_angle(yaw_rad - moment.yaw_rad[b, agents])
        share = torch.arange(1, STEPS + 1, dtype=torch.float64) / STEPS
        step_m = (target_m - moment.position_m)[:, :, None] * share[:, None]
        return Moved(moment.position_m[:, :, None] + step_m, moment.yaw_rad[..., None] + turn_rad[..., None] * share)


def stay(moment: Moment) -> Moved:
    """Everybody where they are."""
    many = (*moment.yaw_rad.shape, STEPS)
    return Moved(moment.position_m[:, :, None].expand(*many, 2).clone(), moment.yaw_rad[..., None].expand(many).clone())


def checked_traffic(name: str) -> str:
    """The name; raises InputError where it is none of TRAFFIC."""
    if name not in TRAFFIC:
        raise InputError(f"Unknown traffic {name!r}; known: {', '.join(TRAFFIC)}. Pass one of them with --traffic.")
    return name
