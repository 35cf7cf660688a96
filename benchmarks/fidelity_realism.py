"""Realism of long imagination: distributions of what agents do, imagined against recorded.

Only what lies within the raster around the ego counts, recorded or imagined: beyond it no model sees a road. Nor does one
beyond the map, so who has left it does not count any more. Distributions stop earlier, once an agent sees the end of the map
ahead of it, and in them every agent counts once: maps are small, and those who drive fast are soon gone, while those who
stand stay for the whole rollout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import torch
from torch import Tensor

from drive_wm.benchmarks.bootstrap import draws, interval
from drive_wm.benchmarks.drive_sums import ratio_interval
from drive_wm.boxes import Boxes
from drive_wm.geometry import inverse, transform
from drive_wm.log import CYCLIST, KINDS, PEDESTRIAN, STATIC, VEHICLE, Log
from drive_wm.metrics.distribution import histogram, wasserstein_1
from drive_wm.metrics.traffic import accel_mps2, nearest_gap_m, speed_mps
from drive_wm.model.bev_encoder import FAN
from drive_wm.scene import X_RANGE_M, Y_RANGE_M

SPLITS = 200  # random halves of the logs, whose mean distance is the floor
SIGHT_M = max(distance_m for distance_m, _ in FAN)  # how far ahead the model looks where an agent starts
WINDOWS_S = ((0, 10), (10, 20), (20, 40), (40, 60))


@dataclass(frozen=True)
class Quantity:
    """What is compared, in equal bins of this width; values beyond the ends count in the last bins."""

    unit: str
    low: float
    high: float
    width: float

    @property
    def bins(self) -> int:
        return round((self.high - self.low) / self.width)


# Bins are centred on round numbers: what stands still falls well within one.
QUANTITIES = {
    "speed": Quantity("m/s", -0.05, 30.05, 0.1),
    "acceleration": Quantity("m/s²", -10.05, 10.05, 0.1),
    "gap to nearest": Quantity("m", -2.05, 40.05, 0.1),
}
MOVERS = (VEHICLE, CYCLIST, PEDESTRIAN)


@dataclass(frozen=True)
class Traffic:
    """Histograms and counts of one drive or several rollouts of it."""

    histograms: Mapping[tuple[str, str], Tensor]  # quantity, kind -> (N,), every agent's summing to 1
    rates: Mapping[tuple[str, str], tuple[float, float]]  # rate, window -> how many of how many agent-steps


def traffic(log: Log, first: int) -> Traffic:
    """What agents do from keyframe `first` on; the ego is a vehicle among them.

    Rates. `finite`: agents with finite positions, wherever they are; `off-road`: vehicles whose centre lies outside the
    drivable area; `overlap`: agents, static ones aside, whose box overlaps another's. Without a drivable area, or with part of
    the traffic only, what depends on them is left out.
    """
    boxes, kind, valid = _boxes(log)
    time_s = torch.from_numpy(log.time_s)
    after = torch.arange(len(time_s)) >= first
    near = valid & after & _within_raster(log, boxes.centre_m) & _kept_to_map(log, boxes.centre_m, valid)
    heading = torch.stack([boxes.yaw_rad.cos(), boxes.yaw_rad.sin()], dim=-1)
    free = near & _kept_to_map(log, boxes.centre_m + SIGHT_M * heading, valid)
    speed, known = speed_mps(boxes.centre_m, valid, time_s)
    accel, changed = accel_mps2(speed, known, time_s)
    values = {"speed": (speed, known), "acceleration": (accel, changed)}
    rates = {"finite": (boxes.centre_m.isfinite().all(-1) & boxes.yaw_rad.isfinite(), valid & after)}
    if not log.map.drivable.is_empty:
        off = ~_inside(log.map.drivable, boxes.centre_m)
        rates["off-road"] = (off, near & (kind == VEHICLE)[:, None])
    if log.has_all_traffic:
        gap_m = nearest_gap_m(boxes.map(lambda x: x.transpose(0, 1)), valid.T).T
        values["gap to nearest"] = (gap_m, valid)
        rates["overlap"] = (gap_m < 0, near & (kind != STATIC)[:, None])
    seconds = time_s - time_s[first - 1 if first else 0]
    return Traffic(
        {
            (name, KINDS[k]): _histogram(QUANTITIES[name], value, free & there & (kind == k)[:, None])
            for name, (value, there) in values.items()
            for k in MOVERS
        },
        {
            (name, window): (float((happened & where & when).sum()), float((where & when).sum()))
            for name, (happened, where) in rates.items()
            for window, when in _windows(seconds).items()
        },
    )


def together(parts: Sequence[Traffic]) -> Traffic:
    """Several rollouts of one drive as one."""
    return Traffic(
        {key: torch.stack([part.histograms[key] for part in parts]).sum(0) for key in parts[0].histograms},
        {key: tuple(np.sum([part.rates[key] for part in parts], axis=0)) for key in parts[0].rates},
    )


def realism_rows(logs: Sequence[Traffic], imagined: Sequence[Traffic], about: Mapping[str, object]) -> list[dict[str, object]]:
    """A row per quantity and kind with the Wasserstein-1 distance, then a row per rate and window of time."""
    rows: list[dict[str, object]] = []
    for quantity, kind in dict.fromkeys(key for part in logs for key in part.histograms):
        pairs = [
            (a.histograms.get((quantity, kind)), b.histograms.get((quantity, kind)))
            for a, b in zip(logs, imagined, strict=True)
        ]
        known = [torch.stack(side) for side in zip(*(pair for pair in pairs if None not in pair), strict=True)]
        rows.append({"slice": f"realism: {quantity} of {kind}s"} | dict(about) | _distance(QUANTITIES[quantity], *known))
    for name, window in dict.fromkeys(key for part in imagined for key in part.rates):
        rows.append({"slice": f"realism: {name}, {window}"} | dict(about) | _rates(logs, imagined, (name, window)))
    return [row for row in rows if row["n"]]


def _distance(quantity: Quantity, logs: Tensor, imagined: Tensor) -> dict[str, object]:
    """Histograms (G, N) by drive: their distance, its interval by drive, and the mean distance of halves of the logs."""
    width = quantity.width
    row: dict[str, object] = {"unit": quantity.unit, "n": round(float(imagined.sum())), "n_logs": round(float(logs.sum()))}
    centres = quantity.low + width * (torch.arange(quantity.bins) + 0.5)
    row |= {f"mean_{name}": float((x.sum(0) * centres).sum() / x.sum()) for name, x in (("logs", logs), ("imagined", imagined))}
    row["w1"] = float(wasserstein_1(imagined.sum(0), logs.sum(0), width))
    row["w1_low"], row["w1_high"], row["w1_floor"] = None, None, None
    if len(logs) > 1:
        drawn = torch.from_numpy(draws(len(logs)))
        row["w1_low"], row["w1_high"] = interval(wasserstein_1(drawn @ imagined, drawn @ logs, width).numpy())
        row["w1_floor"] = split_half(logs, width)
    return row


def split_half(logs: Tensor, width: float) -> float | None:
    """Mean Wasserstein-1 distance between random halves of the drives' histograms (G, N): what chance alone makes of it."""
    random = torch.Generator().manual_seed(0)
    order = torch.rand(SPLITS, len(logs), generator=random).argsort(-1)
    first = (order < len(logs) // 2).double()
    found = wasserstein_1(first @ logs, (1 - first) @ logs, width)
    found = found[found.isfinite()]
    return float(found.mean()) if len(found) else None


def _rates(logs: Sequence[Traffic], imagined: Sequence[Traffic], key: tuple[str, str]) -> dict[str, object]:
    """The imagined rate in a window against the recorded one over all time, with intervals by drive."""
    name, _ = key
    table = np.array([part.rates.get(key, (0.0, 0.0)) for part in imagined])
    real = np.array([np.sum([v for (n, _), v in part.rates.items() if n == name] or [(0.0, 0.0)], axis=0) for part in logs])
    row: dict[str, object] = {"n": int(table[:, 1].sum()), "n_logs": int(real[:, 1].sum())}
    for side, counts in (("imagined", table), ("logs", real)):
        happened, asked = counts.sum(0)
        row[f"rate_{side}"] = happened / asked if asked else None
        row[f"rate_{side}_low"], row[f"rate_{side}_high"] = ratio_interval(counts[:, 0], counts[:, 1])
    return row


def _histogram(quantity: Quantity, values: Tensor, counted: Tensor) -> Tensor:
    """Histogram (N,) of values (A, S) where they are counted (A, S), each agent's as much as another's."""
    share = counted / counted.sum(1, keepdim=True).clamp(min=1)
    return histogram(values[counted], quantity.low, quantity.high, quantity.bins, share[counted])


def _boxes(log: Log) -> tuple[Boxes, Tensor, Tensor]:
    """Boxes (1 + A, S), kinds (1 + A,) and presence (1 + A, S) of the ego and all others."""
    pose = torch.from_numpy(log.ego_pose)
    heading = torch.stack([pose[:, 2].cos(), pose[:, 2].sin()], dim=-1)
    steps = len(pose)
    boxes = Boxes(
        torch.cat([(pose[:, :2] + log.ego_centre_m * heading)[None], torch.from_numpy(log.position_m)]),
        torch.cat([pose[None, :, 2], torch.from_numpy(log.yaw_rad)]),
        torch.cat([torch.from_numpy(log.ego_size_m).expand(1, steps, 2), torch.from_numpy(log.size_m)]),
    )
    kind = torch.cat([torch.tensor([VEHICLE]), torch.from_numpy(log.kind)])
    return boxes, kind, torch.cat([torch.full((1, steps), log.has_ego), torch.from_numpy(log.valid)])


def _within_raster(log: Log, centre_m: Tensor) -> Tensor:
    """Whether box centres (A, S, 2) lie within the raster around the ego of their step."""
    ego_from_global = inverse(torch.from_numpy(log.ego_pose))
    x, y = transform(ego_from_global, centre_m.transpose(0, 1)).transpose(0, 1).unbind(-1)
    return (x >= X_RANGE_M[0]) & (x < X_RANGE_M[1]) & (y >= Y_RANGE_M[0]) & (y < Y_RANGE_M[1])


def _kept_to_map(log: Log, points_m: Tensor, valid: Tensor) -> Tensor:
    """Whether points (A, S, 2) have been where the map says something as long as their agents are there (A, S)."""
    if log.map.extent.is_empty:
        return torch.ones_like(valid)
    return (_inside(log.map.extent, points_m) | ~valid).long().cumprod(1).bool()


def _inside(area: shapely.Geometry, centre_m: Tensor) -> Tensor:
    shapely.prepare(area)
    return torch.from_numpy(shapely.contains_xy(area, *centre_m.numpy().transpose(2, 0, 1)))


def _windows(seconds: Tensor) -> dict[str, Tensor]:
    return {f"{low} to {high} s": (low + 1e-3 < seconds) & (seconds <= high + 1e-3) for low, high in WINDOWS_S}
