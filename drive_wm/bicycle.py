"""A car that follows a plan at 10 Hz: a kinematic bicycle about the rear axle, steered by linear-quadratic regulators.

Sources: nuPlan devkit (Motional) `KinematicBicycleModel` and `LQRTracker`, which NAVSIM's simulator repeats: limits,
delays, lateral weights and horizon are theirs. Along the plan the regulator here also minds the distance, not the speed
alone, so that the car does not fall behind.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.geometry import wrap_angle
from drive_wm.kinematics import DT_S, MAX_CURVATURE_PER_M
from drive_wm.structs import TensorStruct

STEP_S = 0.1
STEPS = round(DT_S / STEP_S)  # from one plan to the next
WHEELBASE_PER_LENGTH = 2.588 / 4.084  # Renault Zoe, the car of nuScenes
MAX_STEERING_RAD = math.pi / 3
ACCEL_DELAY_S, STEERING_DELAY_S = 0.2, 0.05
HORIZON = 10  # steps over which one command is held when it is weighed
ALONG_WEIGHTS = (10.0, 10.0)  # distance, speed; 1 for the acceleration
ACROSS_WEIGHTS = (1.0, 10.0, 0.0)  # lateral error, heading error, steering angle; 1 for the steering rate
STOPPING_MPS, STOPPING_GAIN_PER_S = 0.2, 0.5


@dataclass(frozen=True)
class CarState(TensorStruct):
    """B cars in one fixed frame."""

    pose: Tensor  # (B, 3) rear axle
    speed_mps: Tensor  # (B,)
    accel_mps2: Tensor  # (B,)
    steering_rad: Tensor  # (B,) of the front wheels, left positive


@dataclass(frozen=True)
class Reference(TensorStruct):
    """A plan at 10 Hz from the moment it was made, R = STEPS + HORIZON steps."""

    pose: Tensor  # (B, R, 3)
    speed_mps: Tensor  # (B, R)
    curvature_per_m: Tensor  # (B, R)


def follow_plan(car: CarState, plan: Tensor, wheelbase_m: Tensor) -> list[CarState]:
    """The next STEPS states on the way along a plan (B, T, 3): poses at 0.5 s, 1 s, ... in the car's fixed frame."""
    reference = reference_of(car.pose, plan)
    states = []
    for step in range(STEPS):
        car = move(car, command(car, reference, step, wheelbase_m), wheelbase_m)
        states.append(car)
    return states


def reference_of(pose: Tensor, plan: Tensor) -> Reference:
    """The plan (B, T, 3) from this pose (B, 3), by a cubic through its poses."""
    knots = torch.cat([pose[:, None], plan], dim=1)
    step_m = knots[:, 1:, :2] - knots[:, :-1, :2]
    turn_rad = wrap_angle(knots[:, 1:, 2] - knots[:, :-1, 2])
    length_m = step_m.norm(dim=-1)
    speed_mps = length_m / DT_S
    curvature = torch.where(length_m > 0.05, turn_rad / length_m.clamp(min=0.05), 0.0)
    at_s = STEP_S * torch.arange(STEPS + HORIZON, dtype=pose.dtype, device=pose.device)
    return Reference(
        _between(knots, turn_rad, speed_mps, at_s),
        _linear(speed_mps, at_s / DT_S - 0.5),
        _linear(curvature, at_s / DT_S - 0.5).clamp(-MAX_CURVATURE_PER_M, MAX_CURVATURE_PER_M),
    )


def _between(knots: Tensor, turn_rad: Tensor, speed_mps: Tensor, at_s: Tensor) -> Tensor:
    """Poses (B, R, 3) by cubic Hermite pieces that leave each knot along its heading."""
    index = (at_s / DT_S).long().clamp(max=turn_rad.shape[1] - 1)
    u = (at_s / DT_S - index)[:, None]
    start, end = knots[:, index], knots[:, index + 1]
    reach_m = (speed_mps[:, index] * DT_S)[..., None]
    leave, arrive = (torch.stack([x[..., 2].cos(), x[..., 2].sin()], -1) * reach_m for x in (start, end))
    h = (2 * u**3 - 3 * u**2 + 1, u**3 - 2 * u**2 + u, -2 * u**3 + 3 * u**2, u**3 - u**2)
    position_m = h[0] * start[..., :2] + h[1] * leave + h[2] * end[..., :2] + h[3] * arrive
    yaw_rad = start[..., 2] + turn_rad[:, index] * u[:, 0]
    return torch.cat([position_m, yaw_rad[..., None]], dim=-1)


def _linear(values: Tensor, at: Tensor) -> Tensor:
    """Values (B, N) at fractional indices (R,), constant beyond either end."""
    inside = at.clamp(0, values.shape[1] - 1)
    index = inside.long().clamp(max=values.shape[1] - 2)
    share = inside - index
    return values[:, index] * (1 - share) + values[:, index + 1] * share


def command(car: CarState, reference: Reference, step: int, wheelbase_m: Tensor) -> tuple[Tensor, Tensor]:
    """Acceleration and steering rate (B,) that minimise the weighted errors HORIZON steps ahead if they are held."""
    then = min(step + HORIZON, reference.speed_mps.shape[1] - 1)
    pose, ahead = reference.pose[:, step], reference.speed_mps[:, step:then]
    offset_m = car.pose[:, :2] - pose[:, :2]
    cos, sin = pose[:, 2].cos(), pose[:, 2].sin()
    span_s = STEP_S * HORIZON
    behind_m = -(offset_m[:, 0] * cos + offset_m[:, 1] * sin) + ahead.mean(1) * span_s - car.speed_mps * span_s
    slower_mps = reference.speed_mps[:, then] - car.speed_mps
    (by_distance, by_speed), reach = ALONG_WEIGHTS, (span_s**2 / 2, span_s)
    accel = by_distance * reach[0] * behind_m + by_speed * reach[1] * slower_mps
    accel = accel / (by_distance * reach[0] ** 2 + by_speed * reach[1] ** 2 + 1.0)
    error = torch.stack(
        [offset_m[:, 1] * cos - offset_m[:, 0] * sin, wrap_angle(car.pose[:, 2] - pose[:, 2]), car.steering_rad], dim=-1
    )
    rate = _steering_rate(error, car.speed_mps, accel, reference.curvature_per_m[:, step : step + HORIZON], wheelbase_m)
    stops = (reference.speed_mps[:, then] <= STOPPING_MPS) & (car.speed_mps <= STOPPING_MPS)
    return torch.where(stops, STOPPING_GAIN_PER_S * slower_mps, accel), torch.where(stops, 0.0, rate)


def _steering_rate(error: Tensor, speed_mps: Tensor, accel: Tensor, curvature: Tensor, wheelbase_m: Tensor) -> Tensor:
    """Of error' = [v heading, v (steering / wheelbase - curvature), rate], linear in the rate while the speed is foreseen."""
    b = len(error)
    state, gain = error, torch.zeros_like(error)
    for i, bend in enumerate(curvature.unbind(1)):
        v = (speed_mps + accel * (i * STEP_S)).clamp(min=0.0) * STEP_S
        step = torch.eye(3, dtype=error.dtype).repeat(b, 1, 1)
        step[:, 0, 1], step[:, 1, 2] = v, v / wheelbase_m
        state = (step @ state[..., None])[..., 0]
        state = state - torch.stack([torch.zeros_like(v), v * bend, torch.zeros_like(v)], -1)
        gain = (step @ gain[..., None])[..., 0] + error.new_tensor([0.0, 0.0, STEP_S])
    weights = error.new_tensor(ACROSS_WEIGHTS)
    return -(gain * weights * state).sum(-1) / ((gain * weights * gain).sum(-1) + 1.0)


def move(car: CarState, wanted: tuple[Tensor, Tensor], wheelbase_m: Tensor) -> CarState:
    """The car STEP_S later: commands arrive with a first-order delay, and it does not roll backwards."""
    accel = car.accel_mps2 + STEP_S / (STEP_S + ACCEL_DELAY_S) * (wanted[0] - car.accel_mps2)
    rate = STEP_S / (STEP_S + STEERING_DELAY_S) * wanted[1]
    x, y, yaw_rad = car.pose.unbind(-1)
    v = car.speed_mps
    turned = wrap_angle(yaw_rad + v * car.steering_rad.tan() / wheelbase_m * STEP_S)
    pose = torch.stack([x + v * yaw_rad.cos() * STEP_S, y + v * yaw_rad.sin() * STEP_S, turned], -1)
    speed_mps = (v + accel * STEP_S).clamp(min=0.0)
    steering = (car.steering_rad + rate * STEP_S).clamp(-MAX_STEERING_RAD, MAX_STEERING_RAD)
    return CarState(pose, speed_mps, (speed_mps - v) / STEP_S, steering)
