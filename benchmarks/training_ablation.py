"""What training owes to what: `python -m drive_wm.benchmarks.training_ablation --cache C --val V --out RUNS --json J`.

The preset cpu-hour is trained anew with one thing changed at a time, on every n-th scene and from several seeds, and forecasts
every n-th target of V. Runs are short: read the table as what helps early, not as how good a long training gets. A run whose
weights lie in RUNS already is not trained again: the command goes on where it was stopped.
"""

import argparse
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

from drive_wm.benchmarks.ablation import forecast_scores
from drive_wm.benchmarks.model_variations import ModelVariation, free, sees_half_as_far, sees_half_as_fine
from drive_wm.benchmarks.prediction_forecast import target_scenes
from drive_wm.benchmarks.results_file import write_results
from drive_wm.benchmarks.training_variations import VariedTraining, late_steps_more_often, turned_at_random, zoomed_at_random
from drive_wm.checkpoint import load_weights
from drive_wm.config import Config
from drive_wm.datasets.cache import open_cache
from drive_wm.errors import InputError
from drive_wm.model.world_model import WorldModel
from drive_wm.train import Training, train

PRESET = "cpu-hour"
CHANGES: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "1 mode": ("model.dynamics.modes=1",),
    "3 modes": ("model.dynamics.modes=3",),
    "12 modes": ("model.dynamics.modes=12",),
    "layers half as wide": ("model.encoder.width=32", "model.dynamics.width=32", "model.dynamics.message_width=16"),
    "map half as wide": ("model.bev.width=16", "model.bev.coarse_width=32"),
    "1 round of relations": ("model.encoder.layers=1",),
    "no mirror": ("train.mirror=0",),
    "map of one scene in twenty dropped": ("train.map_dropout=0.05",),
    "views of targets alone": ("train.views=targets",),
    "views of egos alone": ("train.views=ego", "train.ego_stride=1"),
    "all views of egos too": ("train.ego_stride=1",),
    "half as many views of egos": ("train.ego_stride=8",),
    "layers half again as wide": ("model.encoder.width=96", "model.dynamics.width=96", "model.dynamics.message_width=48"),
    "learning rate rises for three tenths of the run": ("train.rise=0.3",),
    "learning rate half again as high": ("train.learning_rate=3e-3",),
    "weight decay ten times as strong": ("train.weight_decay=0.1",),
    "nobody hidden": ("train.hide_others=0",),
    "who is beside does not count": ("train.beside=0",),
}
# What no setting says: what is done to each batch, and what is done to the model, before it learns and where it forecasts.
VARIATIONS: dict[str, Callable[[Config, WorldModel], Training]] = {
    "views of targets turned by up to 20 degrees": partial(VariedTraining, variation=turned_at_random, expects=False),
    "views of targets zoomed by up to a quarter": partial(VariedTraining, variation=zoomed_at_random),
    "late steps count more": partial(VariedTraining, variation=late_steps_more_often),
}
MODELS: dict[str, ModelVariation] = {
    "nothing limits how agents move": free,
    "map half as far": sees_half_as_far,
    "map half as fine": sees_half_as_fine,
}


def trained(caches: Sequence[Path], out: Path, change: str, settings: Sequence[str]) -> WorldModel:
    """Train with a change and these overrides of the preset, unless that was done; InputError where `out` holds weights of
    others.
    """
    settings = [*settings, *CHANGES.get(change, ())]
    no_setting = [change] if change in VARIATIONS or change in MODELS else []
    weights, command = out / "weights.safetensors", shlex.join([*settings, *no_setting])
    if not weights.exists():
        learner = _of(MODELS[change]) if change in MODELS else VARIATIONS.get(change, Training)
        train(caches, PRESET, out, settings, resume=out.exists(), command=command, learner=learner)
    model, origin = load_weights(str(weights))
    if origin.command != command:
        raise InputError(f"{weights} was trained with {origin.command!r}; needed: {command!r}. Pass another --out.")
    return MODELS[change](model) if change in MODELS else model


def _of(variation: ModelVariation) -> Callable[[Config, WorldModel], Training]:
    return lambda config, model: Training(config, variation(model))


def main() -> None:
    """Train, measure, print and write after every run."""
    parser = argparse.ArgumentParser(description="Train with one thing changed at a time.")
    parser.add_argument("--cache", type=Path, action="append", required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument(
        "--change", choices=[*CHANGES, *VARIATIONS, *MODELS], action="append", help="this one alone; repeatable"
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--stride", type=int, default=16, help="learn from every n-th scene")
    parser.add_argument("--every", type=int, default=10, help="forecast every n-th target")
    parser.add_argument("--json", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of every run: train.epochs=2, for example")
    options = parser.parse_args()
    # One process: several would each run this command. And a moving average as short as the run.
    overrides = ["train.ema=0.98", *options.overrides, "train.processes=1", f"train.stride={options.stride}"]
    cache = open_cache(options.val)
    views = target_scenes(cache, options.every, cache.manifest.config)
    scenes, truths_m = [scene for _, scene, _ in views], torch.cat([future.tracks.position_m[:, 0] for _, _, future in views])
    rows: list[dict[str, Any]] = []
    for change, seed in product(options.change or [*CHANGES, *VARIATIONS, *MODELS], range(options.seeds)):
        run = options.out / f"{change.replace(' ', '-')}-{seed}"
        model = trained(options.cache, run, change, [*overrides, f"train.seed={seed}"])
        row = {"changed": change, "seed": seed, **forecast_scores(model, scenes, truths_m)}
        rows.append({**row, "stride": options.stride, "every": options.every})
        print(f"{change:44} seed {seed} minADE5 {row['min_ade_5']:.3f} minADE10 {row['min_ade_10']:.3f} n {row['n']}")
        if options.json:
            write_results(options.json, rows, seed=None)


if __name__ == "__main__":
    main()
