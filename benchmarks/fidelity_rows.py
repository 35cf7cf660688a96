"""The rows of `drive-wm evaluate world-model`, and what their keys mean.

Every row has `model`, `ego`, `drives`, `n`; most have a `slice`. The first row is the whole set with the ego free; the three
other rows without a slice are the model with the ego's logged action given, and constant velocity as control, both ways.

Displacement, likelihood, spread. n counts agent-steps of all that could move, unless the slice names another set: a horizon
(`1 s` to `6 s`), a kind (`ego`, `vehicle`, `cyclist`, `pedestrian`, `static`), a speed now.

- `min_ade`, `min_fde`: metres, mean up to and at the horizon (6 s by default), of the joint mode nearest to the truth;
  one mode for all agents of a scene, chosen anew for each horizon
- `likeliest_ade`, `likeliest_fde`: the same of the joint mode with the highest probability
- `expected_ade`, `expected_fde`: the same, mean over the modes by probability
- `nll`: nats, negative log-likelihood of where an agent was, under the mixture of modes; at the horizon, in its slice
- `cover_50_along`, `cover_90_across`, ...: share within the central 50 (90) % of that mixture, along (across) the heading of
  the likeliest mode; calibrated where 0.5 (0.9)
- `best_cover_50_along`, ...: the same of the own spread of the joint mode nearest to the truth

Modes. First row: `mode_ece`, the expected calibration error of mode probabilities against being the joint mode nearest to the
truth. Slices `probability 0.1 to 0.2`: `mode_probability` (mean given), `mode_is_best` (share), n modes of scenes.

Surprise, at what followed half a second after each scene; n counts scenes. `surprise: clean`: `most_p50`, `most_p90`,
`most_p99`, nats that this share of scenes stays below, by the most surprising agent; `mean_p50`, by the mean over agents;
`agent_p50`, of single agents. `surprise: CORRUPTION` (benchmarks/corruptions.py): `auroc_most`, `auroc_mean`, `auroc_agent`
of clean against corrupted by these scores; `control_auroc_most`, `control_auroc_agent` of constant velocity. Both:
`alarms_p5`, `alarms_p1`, share of scenes whose p-value, by the clean scenes of other drives, is at most 5 (1) %.

Reaction; n counts agents. `reaction: ego brakes`: `followers_slow`, share at least 0.5 m/s slower 3 s after the ego brakes at
6 m/s² than when it drives as logged; `followers_change_mps`; `followers_speed_mps`, as logged. `reaction: ego absent, 20 to
40 m`: `absence_change_m`, mean displacement over 6 s that taking the ego away makes, by distance from it now.

Branches, where a cache holds them (`drive-wm synth --counterfactual`): each is compared with that in which the ego just goes
on, from the keyframe after which they part, over six seconds; the ego's path in each is given (`ego` is `branch`). Models:
`world_model`; `world_model_blind`, what it says where the ego goes on, whatever the ego does; `constant_velocity`; `idm`,
vehicles along lanes. The model `majority` says of all what most of them do. Both slices also by what the ego does.

- `branches: reacted`, those that in truth are over 1 m from where they are when the ego goes on, at some step: displacement;
  n counts agent-steps; of `min_ade` and `min_fde` the joint mode is the one nearest to the truth of these
- `branches: sign`, those that the ego comes within 30 m of or that reacted: who yields, that is makes over 1 m less way within
  six seconds than when the ego goes on. `n`, `n_yields`, `sign_accuracy`, `yields_recall`, `yields_precision`;
  `change_of_yielding_m`, `true_change_of_yielding_m`, mean change of the way of those that yield, as imagined and in truth;
  `branches: sign, reacted`: of those that reacted alone

Realism of rollouts over `seconds`, within the raster's reach of the ego. `realism: speed of vehicles`, ...: `w1`, the
Wasserstein-1 distance of imagined from recorded, in `unit`; `w1_floor`, its mean between random halves of the recorded drives;
`mean_imagined`, `mean_logs`; n counts imagined agents, `n_logs` recorded ones: each counts once, until it sees the end of the
map. `realism: off-road, 0 to 10 s`, `realism: overlap, ...`, `realism: finite, ...`: `rate_imagined` in that window of the
rollouts, `rate_logs` over all time; n and `n_logs` count agent-steps.

`_low` and `_high` end a 95 % interval by drive; null for a single drive. `not_measured` in the first row says what was left
out, in how many drives, and why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from drive_wm.benchmarks.bootstrap import draws, interval
from drive_wm.benchmarks.drive_sums import Sums, mean_rows
from drive_wm.benchmarks.fidelity_forecast import SHARES
from drive_wm.benchmarks.fidelity_realism import Traffic, realism_rows
from drive_wm.benchmarks.fidelity_surprise import DriveSurprise, surprise_rows
from drive_wm.errors import InputError
from drive_wm.metrics.calibration import calibration_error

Row = dict[str, object]
MAIN = (
    "min_ade", "min_fde", "likeliest_ade", "expected_ade", "nll", "followers_slow", "followers_change_mps", "absence_change_m",
    *(f"cover_{percent}_{way}" for percent in SHARES for way in ("along", "across")),
)  # fmt: skip
BRANCH_MAIN = (
    "min_ade", "min_fde", "likeliest_ade", "likeliest_fde", "sign_accuracy", "yields_share", "yields_recall",
    "yields_precision",
)  # fmt: skip
MODEL, CONTROL, BLIND, LANES, MAJORITY = "world_model", "constant_velocity", "world_model_blind", "idm", "majority"


@dataclass(frozen=True)
class Found:
    """What was measured of one drive."""

    forecasts: Mapping[tuple[str, str], Sums]  # model, ego ("free" or "logged")
    modes: Sums
    surprises: Mapping[str, DriveSurprise]  # model
    reaction: Sums
    recorded: Traffic | None  # None where the log has no ego
    imagined: Traffic | None
    has_ego: bool
    has_all_traffic: bool
    has_road: bool


def fidelity_rows(found: Sequence[Found], seconds: float, branched: Sequence[Mapping[str, Sums]] = ()) -> list[Row]:
    """All rows, the whole set first; `branched` holds what each model says of the branches of each drive that has them."""
    about = {"model": MODEL, "ego": "free", "drives": len(found)}
    forecasts = [
        row
        for model, ego in found[0].forecasts
        for row in mean_rows([one.forecasts[model, ego] for one in found], about | {"model": model, "ego": ego}, MAIN)
    ]
    if not forecasts or forecasts[0]["ego"] != "free":
        raise InputError("No agent of these drives is seen again half a second later. Pass another cache.")
    whole, sliced = [r for r in forecasts if "slice" not in r], [r for r in forecasts if "slice" in r]
    whole[0] |= _mode_error([one.modes for one in found]) | {"not_measured": _not_measured(found)}
    surprises = surprise_rows([one.surprises[MODEL] for one in found], [one.surprises[CONTROL] for one in found])
    reaction = mean_rows([one.reaction for one in found], about, MAIN)
    seen = [(one.recorded, one.imagined) for one in found if one.recorded and one.imagined]
    recorded, imagined = [a for a, _ in seen], [b for _, b in seen]
    rollouts = about | {"drives": len(seen), "seconds": seconds}
    return [
        *whole,
        *sliced,
        *mean_rows([one.modes for one in found], about),
        *(about | row for row in surprises),
        *reaction,
        *_branch_rows(branched),
        *(realism_rows(recorded, imagined, rollouts) if seen else []),
    ]


def _branch_rows(branched: Sequence[Mapping[str, Sums]]) -> list[Row]:
    """The rows of the branches by model, and what saying of all what most do would get."""
    about = {"ego": "branch", "drives": len(branched)}
    rows = [
        row
        for model in (branched[0] if branched else ())
        for row in mean_rows([one[model] for one in branched], about | {"model": model}, BRANCH_MAIN)
    ]
    yielding = _yielding([one[MODEL] for one in branched])
    for row in rows:
        if str(row["slice"]) in yielding:
            row["n_yields"] = yielding[str(row["slice"])][0]
    most = [
        about | {"model": MAJORITY, "n": n, "n_yields": some, "sign_accuracy": max(some, n - some) / n, "slice": name}
        for name, (some, n) in yielding.items()
        if n
    ]
    return rows + most


def _yielding(drives: Sequence[Sums]) -> dict[str, tuple[int, int]]:
    """By slice, how many yield in truth and of how many."""
    found: dict[str, tuple[int, int]] = {}
    for drive in drives:
        for name, figures in drive.items():
            if "yields_share" in figures:
                some, n = found.get(name, (0, 0))
                found[name] = some + round(figures["yields_share"][0]), n + round(figures["yields_share"][1])
    return found


def _mode_error(modes: Sequence[Sums]) -> Row:
    """Expected calibration error of mode probabilities with its interval by drive."""
    bins = list(dict.fromkeys(name for one in modes for name in one))
    empty = {"mode_probability": (0.0, 0.0), "mode_is_best": (0.0, 0.0)}
    table = torch.tensor([[list(one.get(name, empty).values()) for name in bins] for one in modes])  # (G, N, 2, 2)
    said, happened, count = table[..., 0, 0], table[..., 1, 0], table[..., 0, 1]
    error = float(calibration_error(count.sum(0), said.sum(0), happened.sum(0)))
    low, high = None, None
    if len(modes) > 1:
        drawn = torch.from_numpy(draws(len(modes)))
        low, high = interval(np.asarray(calibration_error(*(drawn @ x.double() for x in (count, said, happened)))))
    return {"mode_ece": error, "mode_ece_low": low, "mode_ece_high": high}


def _not_measured(found: Sequence[Found]) -> str:
    """What could not be measured in how many drives, as one line."""
    lacks = {
        "no ego: no logged ego action, reaction, rollouts": [not one.has_ego for one in found],
        "part of the traffic only: no gaps and overlaps": [one.has_ego and not one.has_all_traffic for one in found],
        "no drivable area: no off-road rate": [one.has_ego and not one.has_road for one in found],
        "shorter than a scene's past: no rollouts": [one.has_ego and one.recorded is None for one in found],
    }
    return "; ".join(f"{sum(those)} of {len(found)} drives: {what}" for what, those in lacks.items() if any(those))
