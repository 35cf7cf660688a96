"""The loop: every half second a planner sees the scene as it has become, and a car follows its plan at 10 Hz.

A drive begins at a keyframe with what was recorded until then. From there on the ego is where the simulation has brought
it, the others are where traffic has, and the planner gets both through the one path, Log to Scene. After the horizon the
last plan goes on for a second more, unscored, so that others are known as far ahead as NAVSIM v1 looks. Many starts of one
drive run at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from drive_wm.benchmarks.closed_loop_log import Human, Others, others_at, with_ending
from drive_wm.benchmarks.closed_loop_traffic import BATCH, Moment, Moved, Traffic
from drive_wm.bicycle import STEP_S, STEPS, WHEELBASE_PER_LENGTH, CarState, follow_plan
from drive_wm.errors import InputError
from drive_wm.geometry import compose
from drive_wm.kinematics import DT_S
from drive_wm.log import STATIC, Floats, Log
from drive_wm.metrics.simulated import Crowd, Driven
from drive_wm.rollouts import Trajectory
from drive_wm.scene import Scene
from drive_wm.scene_at import SceneBuilder
from drive_wm.structs import cat

TAIL = 2  # ticks after the horizon
LEAD = 1  # steps before the start that a crowd holds while it is simulated, for its velocities
PLAN_STEPS = 6  # what a plan holds at least: 3 s

Plan = Callable[[Scene], Trajectory]


@dataclass(frozen=True)
class Starts:
    """B keyframes of one drive, and all that was recorded from there on."""

    builder: SceneBuilder
    human: Human
    steps: tuple[int, ...]
    ticks: int  # of half a second, the horizon

    @property
    def log(self) -> Log:
        return self.builder.log

    @property
    def time_s(self) -> Floats:
        """When each begins (B,)."""
        return np.asarray(self.log.time_s[list(self.steps)])

    def recorded(self) -> Crowd:
        """The others (B, A, J) as recorded, from LEAD steps before the start; J = LEAD + 1 + STEPS * (ticks + TAIL)."""
        at_s = STEP_S * np.arange(-LEAD, 1 + STEPS * (self.ticks + TAIL))
        found = [others_at(self.log, start + at_s) for start in self.time_s]
        stacked = {name: torch.from_numpy(np.stack([getattr(o, name) for o in found])) for name in vars(found[0])}
        can_move = torch.from_numpy(self.log.kind != STATIC).expand(len(found), -1)
        return with_speeds(Crowd(**stacked, speed_mps=torch.zeros_like(stacked["yaw_rad"]), can_move=can_move))


@dataclass(frozen=True)
class Simulated:
    """What happened after each start."""

    driven: Driven  # (B, T), T = 1 + STEPS * ticks
    crowd: Crowd  # (B, A, J)


def simulate(starts: Starts, plan: Plan | None, traffic: Callable[[Crowd], Traffic]) -> Simulated:
    """Drive from every start; without a planner the human's own path is the plan, followed by the same car."""
    crowd = starts.recorded()
    others = traffic(crowd)
    crowd = replace(crowd, **_kept(crowd, others.driven))
    car, cars, held = starts.human.car(starts.time_s), [], torch.zeros(0)
    wheelbase_m = torch.full_like(car.speed_mps, WHEELBASE_PER_LENGTH * float(starts.log.ego_size_m[0]))
    cars.append(car)
    for tick in range(starts.ticks + TAIL):
        scene = cache(partial(_scenes, starts, tuple(cars), crowd, tick))
        moment = _moment(starts, car, crowd, tick, scene)
        if tick >= starts.ticks:
            held = held[:, 1:]
        else:
            held = _human_plan(starts, tick) if plan is None else _asked(plan, scene()[0], car)
        moved = others.advance(moment)
        cars += follow_plan(car, held, wheelbase_m)
        car = cars[-1]
        crowd = _with_moved(crowd, others.driven, moved, tick)
    crowd = with_speeds(crowd)
    shown = {n: getattr(crowd, n)[:, :, LEAD:] for n in ("position_m", "yaw_rad", "speed_mps", "size_m", "valid")}
    return Simulated(_driven(starts, cars), replace(crowd, **shown))


def _asked(plan: Plan, scene: Scene, car: CarState) -> Tensor:
    """The planner's poses (B, T, 3) in the global frame; InputError where it returns something else."""
    with torch.inference_mode():
        parts = [plan(scene[i : i + BATCH]).pose for i in range(0, len(scene.has_ego), BATCH)]
    pose = torch.cat(parts).cpu().double()
    if pose.ndim != 3 or len(pose) != len(car.pose) or pose.shape[1] < PLAN_STEPS or pose.shape[2] != 3:
        raise InputError(
            f"The planner returned poses of shape {tuple(pose.shape)}; needed: ({len(car.pose)}, {PLAN_STEPS} or more, 3), "
            "x m, y m and yaw rad of the rear axle every 0.5 s."
        )
    if not bool(pose.isfinite().all()):
        raise InputError("The planner returned poses that are not finite; needed: x m, y m and yaw rad. Check its divisions.")
    return compose(car.pose[:, None], pose.clone())


def _human_plan(starts: Starts, tick: int) -> Tensor:
    """Where the human was after this tick (B, T, 3)."""
    ahead_s = DT_S * (tick + np.arange(1, 2 * PLAN_STEPS + 1))
    return torch.from_numpy(starts.human.pose(starts.time_s[:, None] + ahead_s))


def _kept(crowd: Crowd, driven: Tensor) -> dict[str, Tensor]:
    """Driven agents stay present, with the size that they have at the start."""
    later = driven[..., None] & (torch.arange(crowd.valid.shape[2]) >= LEAD)
    size_m = torch.where(later[..., None], crowd.size_m[:, :, LEAD : LEAD + 1], crowd.size_m)
    return {"valid": crowd.valid | later, "size_m": size_m}


def _moment(starts: Starts, car: CarState, crowd: Crowd, tick: int, scene: Callable[[], tuple[Scene, list[Tensor]]]) -> Moment:
    now = LEAD + STEPS * tick
    seen = (crowd.valid[:, :, now] & crowd.valid[:, :, now - 1])[..., None]
    step_m = torch.where(seen, crowd.position_m[:, :, now] - crowd.position_m[:, :, now - 1], 0.0)
    return Moment(
        car, *_ego_sizes(starts), crowd.position_m[:, :, now], step_m / STEP_S, crowd.yaw_rad[:, :, now],
        crowd.size_m[:, :, now], crowd.valid[:, :, now], scene,
    )  # fmt: skip


def _scenes(starts: Starts, cars: Sequence[CarState], crowd: Crowd, tick: int) -> tuple[Scene, list[Tensor]]:
    """The scene of every start at this tick, from the log with the simulated ending."""
    at = STEPS * torch.arange(1, tick + 1)
    ego = torch.stack([cars[i].pose for i in at.tolist()], 1).numpy() if tick else np.zeros((len(starts.steps), 0, 3))
    fields = {name: getattr(crowd, name)[:, :, LEAD + at].numpy() for name in ("position_m", "yaw_rad", "size_m", "valid")}
    scenes, shown = [], []
    for b, step in enumerate(starts.steps):
        log = with_ending(starts.log, step, ego[b], Others(**{name: value[b] for name, value in fields.items()}))
        builder, last = starts.builder.with_log(log), len(log.keyframes) - 1
        scenes.append(builder.at(last)[0])
        shown.append(torch.from_numpy(builder.shown(last)))
    return cat(scenes), shown


def _with_moved(crowd: Crowd, driven: Tensor, moved: Moved, tick: int) -> Crowd:
    first = LEAD + STEPS * tick + 1
    steps = slice(first, first + STEPS)
    position_m, yaw_rad = crowd.position_m.clone(), crowd.yaw_rad.clone()
    position_m[:, :, steps] = torch.where(driven[..., None, None], moved.position_m, position_m[:, :, steps])
    yaw_rad[:, :, steps] = torch.where(driven[..., None], moved.yaw_rad, yaw_rad[:, :, steps])
    return replace(crowd, position_m=position_m, yaw_rad=yaw_rad)


def at_start(recorded: Crowd) -> Crowd:
    """The others at the start alone, J = 1."""
    fields = ("position_m", "yaw_rad", "speed_mps", "size_m", "valid")
    return replace(recorded, **{name: getattr(recorded, name)[:, :, LEAD : LEAD + 1] for name in fields})


def with_speeds(crowd: Crowd) -> Crowd:
    """Speeds by backward difference, 0 where an agent has just appeared."""
    step_m = (crowd.position_m[:, :, 1:] - crowd.position_m[:, :, :-1]).norm(dim=-1)
    known = crowd.valid[:, :, 1:] & crowd.valid[:, :, :-1]
    later = torch.where(known, step_m / STEP_S, 0.0)
    return replace(crowd, speed_mps=torch.cat([torch.zeros_like(later[:, :, :1]), later], dim=-1))


def _ego_sizes(starts: Starts) -> tuple[Tensor, Tensor]:
    size_m = torch.from_numpy(starts.log.ego_size_m).expand(len(starts.steps), 2)
    return size_m, torch.full((len(starts.steps),), float(starts.log.ego_centre_m), dtype=torch.float64)


def _driven(starts: Starts, cars: Sequence[CarState]) -> Driven:
    shown = cars[: 1 + STEPS * starts.ticks]
    pose, speed_mps, accel = (torch.stack([getattr(c, n) for c in shown], 1) for n in ("pose", "speed_mps", "accel_mps2"))
    return Driven(pose, speed_mps, accel, *_ego_sizes(starts))
