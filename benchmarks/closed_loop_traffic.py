"""Who drives the others in closed loop: the log, the intelligent driver model, or the world model.

Whoever is there at the start is driven until the end; who comes later is as recorded. Between two ticks the others know the ego
at the first of them and earlier, never what it does next.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from drive_wm.bicycle import STEPS, CarState
from drive_wm.errors import InputError
from drive_wm.geometry import compose, inverse, transform, wrap_angle
from drive_wm.kinematics import DT_S
from drive_wm.log import STATIC, Log
from drive_wm.model.dynamics import Latent
from drive_wm.model.world_model import WorldModel
from drive_wm.scene import Scene
from drive_wm.structs import cat

TRAFFIC = ("replay", "idm", "imagined")
BATCH = 8  # scenes that a model sees at once


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
    """The world model, one step at a time: it encodes the scene at the start, and then hears where the ego has been driven.

    Everybody follows the joint mode that is likeliest at the start. Agents farther away than the scene shows keep their
    velocity; what cannot move stays.
    """

    def __init__(self, present: Tensor, log: Log, model: WorldModel) -> None:
        self.driven = present & torch.from_numpy(log.kind != STATIC)
        self._model = model
        self._begun: Begun | None = None

    def advance(self, moment: Moment) -> Moved:
        begun = self._begun or self._begin(moment)
        with torch.inference_mode():
            latent = self._model.step(with_ego(begun.latent, compose(inverse(begun.start), moment.car.pose), moment.car), None)
            step = self._model.decode(latent)
        self._begun = replace(begun, latent=latent)
        target_m, yaw_rad = moment.position_m + moment.velocity_mps * DT_S, moment.yaw_rad.clone()
        for b, agents in enumerate(begun.agents):
            rows, mode = slice(1, len(agents) + 1), int(step.mode_logits[b].argmax())
            target_m[b, agents] = transform(begun.start[b], step.position_m[b, 0, mode, rows].double())
            yaw_rad[b, agents] = step.yaw_rad[b, 0, mode, rows].double() + begun.start[b, 2]
        return _straight(moment, target_m, yaw_rad)

    def _begin(self, moment: Moment) -> "Begun":
        scene, shown = moment.scene()
        with torch.inference_mode():
            latent = cat([self._model.encode(scene[i : i + BATCH]) for i in range(0, len(shown), BATCH)])
        return Begun(latent, moment.car.pose, tuple(agents[1:] - 1 for agents in shown))


@dataclass(frozen=True)
class Begun:
    """What imagined traffic remembers."""

    latent: Latent  # (B), in the ego frame at the start
    start: Tensor  # (B, 3) the ego's pose there, global
    agents: tuple[Tensor, ...]  # per start the agents that the latent holds, after the ego


def with_ego(latent: Latent, pose: Tensor, car: CarState) -> Latent:
    """The same world with the ego at a pose (B, 3) in its frame, and at the car's speed."""
    velocity_mps = torch.stack([pose[:, 2].cos(), pose[:, 2].sin()], -1) * car.speed_mps[:, None]
    fields = {"pose": pose, "velocity_mps": velocity_mps}
    placed = {name: getattr(latent, name).clone() for name in fields}
    for name, value in fields.items():
        placed[name][:, :, :, 0] = value[:, None, None].to(placed[name].dtype)
    return replace(latent, **placed)


def _straight(moment: Moment, target_m: Tensor, yaw_rad: Tensor) -> Moved:
    """Evenly from where everybody is to positions (B, A, 2) and headings (B, A)."""
    share = torch.arange(1, STEPS + 1, dtype=torch.float64) / STEPS
    step_m = (target_m - moment.position_m)[:, :, None] * share[:, None]
    turn_rad = wrap_angle(yaw_rad - moment.yaw_rad)[..., None] * share
    return Moved(moment.position_m[:, :, None] + step_m, moment.yaw_rad[..., None] + turn_rad)


def stay(moment: Moment) -> Moved:
    """Everybody where they are."""
    many = (*moment.yaw_rad.shape, STEPS)
    return Moved(moment.position_m[:, :, None].expand(*many, 2).clone(), moment.yaw_rad[..., None].expand(many).clone())


def checked_traffic(name: str) -> str:
    """The name; raises InputError where it is none of TRAFFIC."""
    if name not in TRAFFIC:
        raise InputError(f"Unknown traffic {name!r}; known: {', '.join(TRAFFIC)}. Pass one of them with --traffic.")
    return name
