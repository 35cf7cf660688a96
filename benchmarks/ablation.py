"""What forecasts owe to what: `python -m drive_wm.benchmarks.ablation --cache C --json J` takes one thing away at a time.

Every n-th target of a cache is forecast as it is evaluated, then without one input or one part of the method; the same weights
throughout. A part that was trained for and is then missing costs more than one that was never there: read the table as what
these weights use.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drive_wm.benchmarks.mode_reduction import ACROSS, ALONG, reduce_modes
from drive_wm.benchmarks.prediction import score_forecasts
from drive_wm.benchmarks.prediction_forecast import MODES, Modes, both_sides, modes_of, target_scenes
from drive_wm.benchmarks.results_file import write_results
from drive_wm.checkpoint import load_weights
from drive_wm.datasets.cache import open_cache
from drive_wm.model.scene_encoder import is_ego
from drive_wm.model.world_model import WorldModel
from drive_wm.scene import Scene
from drive_wm.structs import cat
from drive_wm.told import without_agents, without_lanes, without_raster

BATCH = 32


def without_others(scene: Scene) -> Scene:
    """The target alone."""
    return without_agents(scene, ~is_ego(scene.tracks.kind))


def with_past(steps: int) -> Callable[[Scene], Scene]:
    """Only so many past steps before now; the velocity now stays."""

    def seen(scene: Scene) -> Scene:
        tracks = scene.tracks
        kept = torch.arange(tracks.valid.shape[2]) >= tracks.valid.shape[2] - 1 - steps
        here = {name: getattr(tracks, name) * kept[:, None] for name in ("position_m", "velocity_mps")}
        return replace(scene, tracks=replace(tracks, **here, yaw_rad=tracks.yaw_rad * kept, valid=tracks.valid & kept))

    return seen


INPUTS: dict[str, Callable[[Scene], Scene]] = {
    "nothing": lambda scene: scene,
    "raster": lambda scene: without_raster(scene, torch.ones_like(scene.has_raster)),
    "lanes": lambda scene: without_lanes(scene, torch.ones_like(scene.has_lanes)),
    "others": without_others,
    "past beyond 0.5 s": with_past(1),
    "all past but velocity": with_past(0),
}


def ablate(model: WorldModel, scenes: Sequence[Scene], truths_m: Tensor) -> Iterator[dict[str, Any]]:
    """A row per thing taken away, with the challenge's metrics; truths (S, T, 2) in the frames of the scenes."""
    for name, change in INPUTS.items():
        batches = [change(cat(scenes[i : i + BATCH])) for i in range(0, len(scenes), BATCH)]
        both = [both_sides(model, scene) for scene in batches]
        yield {"without": name, **_scores(both, truths_m)}
        if name == "nothing":
            yield {"without": "mirrored half", **_scores([modes_of(model, scene) for scene in batches], truths_m)}
            yield {"without": "spread: modes alone", **_scores(both, truths_m, 1, 1)}
            yield {"without": "spread across", **_scores(both, truths_m, ALONG, 1)}
            yield {"without": "ranks of modes", **_scores([_unranked(modes) for modes in both], truths_m)}


def forecast_scores(model: WorldModel, scenes: Sequence[Scene], truths_m: Tensor) -> dict[str, Any]:
    """The challenge's metrics of forecasts as they are evaluated."""
    return _scores([both_sides(model, cat(scenes[i : i + BATCH])) for i in range(0, len(scenes), BATCH)], truths_m)


def _unranked(modes: Modes) -> Modes:
    return (*modes[:3], torch.ones_like(modes[3]) / modes[3].shape[1])


def _scores(modes: Sequence[Modes], truths_m: Tensor, along: int = ALONG, across: int = ACROSS) -> dict[str, Any]:
    found = [reduce_modes(*some, MODES, along, across) for some in modes]
    paths_m, likely = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return score_forecasts(paths_m, likely, truths_m.double().numpy()).summary()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Forecast with one thing taken away at a time.")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--weights", default="nuscenes")
    parser.add_argument("--every", type=int, default=10, help="forecast every n-th target")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cache, (model, _) = open_cache(options.cache), load_weights(options.weights)
    views = target_scenes(cache, options.every, model.config.scene)
    truths_m = torch.cat([future.tracks.position_m[:, 0] for _, _, future in views])
    rows = []
    for row in ablate(model, [scene for _, scene, _ in views], truths_m):
        rows.append(row)
        print(f"{row['without']:24} " + " ".join(f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float | np.floating)))
    if options.json:
        write_results(options.json, [{**row, "weights": options.weights, "every": options.every} for row in rows], seed=None)


if __name__ == "__main__":
    main()
