"""Surprise on clean and corrupted scenes: what is normal, and how well corruption stands out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drive_wm.benchmarks.bootstrap import draws, interval
from drive_wm.benchmarks.corruptions import CORRUPTIONS
from drive_wm.metrics.distribution import wins
from drive_wm.rollouts import Rollouts
from drive_wm.scene import Future, Scene
from drive_wm.surprise import Surprise, p_value, surprise

ALARMS = (0.05, 0.01)  # p-values below which a scene raises an alarm
QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class DriveSurprise:
    """Scores of one drive's scenes: by "most" and "mean" over agents, and by "agent"."""

    clean: Mapping[str, Tensor]
    corrupted: Mapping[str, Mapping[str, Tensor]]  # corruption -> score -> values of the scenes in which it was possible


def drive_surprise(scene: Scene, future: Future, rollouts: Rollouts, random: torch.Generator) -> DriveSurprise:
    """Scenes of which anything is seen half a second later, clean, and with each corruption."""
    clean = surprise(rollouts, future)
    there = clean.seen.any(-1)
    corrupted = {}
    for name, corrupt in CORRUPTIONS.items():
        made = corrupt(scene, future, random)
        happened = made.changed >= 0
        found = surprise(rollouts, made.future)
        agent = found.nats[torch.arange(len(happened)), made.changed.clamp(min=0)]
        corrupted[name] = _scenes(found, happened) | {"agent": agent[happened]}
    return DriveSurprise(_scenes(clean, there) | {"agent": clean.nats[clean.seen]}, corrupted)


def _scenes(found: Surprise, which: Tensor) -> dict[str, Tensor]:
    return {"most": found.most[which], "mean": found.mean[which]}


def surprise_rows(drives: Sequence[DriveSurprise], control: Sequence[DriveSurprise]) -> list[dict[str, object]]:
    """One row of clean scenes, then one per corruption; `control` is what constant velocity makes of the same."""
    rows = [
        {"slice": "surprise: clean", "n": sum(len(d.clean["most"]) for d in drives)}
        | _quantiles(drives)
        | _alarms(drives, None)
    ]
    for name in CORRUPTIONS:
        n = sum(len(d.corrupted[name]["most"]) for d in drives)
        if n:
            scores = {f"auroc_{score}": auroc_interval(drives, name, score) for score in ("most", "mean", "agent")}
            scores |= {f"control_auroc_{score}": auroc_interval(control, name, score) for score in ("most", "agent")}
            found = {
                f"{key}{end}": value
                for key, values in scores.items()
                for end, value in zip(("", "_low", "_high"), values, strict=True)
            }
            rows.append({"slice": f"surprise: {name}", "n": n} | found | _alarms(drives, name))
    return rows


def auroc_interval(drives: Sequence[DriveSurprise], corruption: str, score: str) -> tuple[float | None, ...]:
    """Area under the ROC curve of clean against corrupted, with its 95 % interval by drive."""
    clean, corrupted = [d.clean[score] for d in drives], [d.corrupted[corruption][score] for d in drives]
    won = np.array([[float(wins(a, b).sum()) for b in corrupted] for a in clean])  # clean drive, corrupted drive
    n = np.array([len(a) for a in clean]), np.array([len(b) for b in corrupted])
    whole = float(won.sum() / (n[0].sum() * n[1].sum()))
    if len(drives) < 2:
        return whole, None, None
    drawn = draws(len(drives))
    with np.errstate(invalid="ignore", divide="ignore"):
        resampled = np.einsum("rg,gh,rh->r", drawn, won, drawn) / ((drawn @ n[0]) * (drawn @ n[1]))
    return whole, *interval(resampled)


def _quantiles(drives: Sequence[DriveSurprise]) -> dict[str, float]:
    """Nats that 50, 90, 99 % of the clean scenes and agents stay below."""
    return {
        f"{score}_p{round(100 * q)}": float(np.quantile(np.concatenate([d.clean[score].numpy() for d in drives]), q))
        for score in ("most", "mean", "agent")
        for q in QUANTILES
    }


def _alarms(drives: Sequence[DriveSurprise], corruption: str | None) -> dict[str, float | None]:
    """Share of scenes whose most surprising agent has a p-value of at most 5 and 1 %, by the clean scenes of other drives.

    Every second drive calibrates the rest and the other way round; None for a single drive.
    """
    if len(drives) < 2:
        return {f"alarms_p{round(100 * p)}": None for p in ALARMS}
    found = []
    for held_out in (0, 1):
        reference = torch.cat([d.clean["most"] for d in drives[held_out::2]])
        tested = drives[1 - held_out :: 2]
        found += [p_value((d.corrupted[corruption] if corruption else d.clean)["most"], reference) for d in tested]
    p = torch.cat(found)
    return {f"alarms_p{round(100 * bound)}": float((p <= bound).double().mean()) if len(p) else None for bound in ALARMS}
