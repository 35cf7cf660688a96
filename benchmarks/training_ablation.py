"""What training owes to what: `python -m drive_wm.benchmarks.training_ablation --cache C --val V --out RUNS --json J`.

The preset cpu-hour is trained anew with one thing changed at a time, on every n-th scene and from several seeds, and forecasts
every n-th target of V. Runs are short: read the table as what helps early, not as how good a long training gets. A run whose
weights lie in RUNS already is not trained again: the command goes on where it was stopped.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from drive_wm.benchmarks.ablation import forecast_scores
from drive_wm.benchmarks.prediction_forecast import target_scenes
from drive_wm.benchmarks.results_file import write_results
from drive_wm.checkpoint import load_weights
from drive_wm.datasets.cache import open_cache
from drive_wm.train import train

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
    "map never dropped": ("train.map_dropout=0",),
    "map dropped twice as often": ("train.map_dropout=0.1",),
    "views of targets alone": ("train.views=targets",),
    "views of egos alone": ("train.views=ego",),
    "who is beside does not count": ("train.beside=0",),
}


def trained_row(
    caches: Sequence[Path], out: Path, change: str, seed: int, overrides: Sequence[str], val: Path, every: int
) -> dict[str, Any]:
    """Train once, unless that was done, and score; `overrides` hold for every run."""
    run = out / f"{change.replace(' ', '-')}-{seed}"
    weights = run / "weights.safetensors"
    if not weights.exists():
        train(caches, PRESET, run, [*overrides, *CHANGES[change], f"train.seed={seed}"], resume=run.exists())
    model, _ = load_weights(str(weights))
    views = target_scenes(open_cache(val), every, model.config.scene)
    truths_m = torch.cat([future.tracks.position_m[:, 0] for _, _, future in views])
    return {"changed": change, "seed": seed, **forecast_scores(model, [scene for _, scene, _ in views], truths_m)}


def main() -> None:
    """Train, measure, print and write after every run."""
    parser = argparse.ArgumentParser(description="Train with one thing changed at a time.")
    parser.add_argument("--cache", type=Path, action="append", required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--change", choices=CHANGES, action="append", help="this one alone; repeatable")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--stride", type=int, default=16, help="learn from every n-th scene")
    parser.add_argument("--every", type=int, default=10, help="forecast every n-th target")
    parser.add_argument("--json", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of every run: train.processes=1, for example")
    options = parser.parse_args()
    overrides = [*options.overrides, f"train.stride={options.stride}"]
    rows: list[dict[str, Any]] = []
    for change, seed in product(options.change or CHANGES, range(options.seeds)):
        row = trained_row(options.cache, options.out, change, seed, overrides, options.val, options.every)
        rows.append({**row, "stride": options.stride, "every": options.every})
        print(f"{change:30} seed {seed} minADE5 {row['min_ade_5']:.3f} minADE10 {row['min_ade_10']:.3f} n {row['n']}")
        if options.json:
            write_results(options.json, rows, seed=None)


if __name__ == "__main__":
    main()
