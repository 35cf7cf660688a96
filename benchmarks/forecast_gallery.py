"""Pictures of forecasts to judge by eye: `python -m drive_wm.benchmarks.forecast_gallery --cache C --out out/forecasts`.

Ten targets are chosen by what they did, not by how well it was forecast: of those that turn, that drive in a crowd, that
stop, that set off and that go on fast, the ones with the median errors. The five with the largest errors follow, as failures.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from drive_wm.benchmarks.prediction_evaluation import TURN_M
from drive_wm.benchmarks.prediction_forecast import forecast_egos, target_scenes
from drive_wm.checkpoint import load_weights
from drive_wm.datasets.cache import open_cache
from drive_wm.drawing import LIGHT, Look, View, draw_scene
from drive_wm.figures import png
from drive_wm.files import write_atomically
from drive_wm.kinematics import DT_S
from drive_wm.model.world_model import WorldModel
from drive_wm.rollouts import Rollouts
from drive_wm.scene import Future, Scene

AROUND: View = (-25.0, 65.0, -30.0, 30.0)
CROWD, FAST_MPS, SLOW_MPS = 12, 8.0, 1.0  # agents in the scene; what counts as fast and as standing
EACH, FAILURES = 2, 5
LABEL_M, LABEL_OFFSET_M = np.array([6.0, 2.4], np.float32), np.array([1.0, 1.0], np.float32)  # of a probability at a path's end


@dataclass(frozen=True)
class Case:
    """A target seen from itself, what then happened (metres along 6 s), and what was imagined of it."""

    name: str
    scene: Scene
    future: Future
    rollouts: Rollouts
    error_m: float  # minADE5 of the ten trajectories that an evaluation takes

    @property
    def path_m(self) -> NDArray[np.float32]:
        """Truth (T + 1, 2) from now on, in the target's frame."""
        start_m = self.scene.tracks.position_m[0, 0, -1:]
        path: NDArray[np.float32] = torch.cat([start_m, self.future.tracks.position_m[0, 0]]).numpy()
        return path


WHAT: dict[str, Callable[[Case], bool]] = {
    "turn": lambda case: abs(case.path_m[-1, 1]) >= 2 * TURN_M,
    "crowd": lambda case: int(case.scene.tracks.valid[0, :, -1].sum()) >= CROWD,
    "stop": lambda case: _speed_mps(case, 0) > 2 * SLOW_MPS and _speed_mps(case, -1) < SLOW_MPS,
    "set-off": lambda case: _speed_mps(case, 0) < SLOW_MPS and _speed_mps(case, -1) > 2 * SLOW_MPS,
    "fast": lambda case: _speed_mps(case, 0) > FAST_MPS,
}


def _speed_mps(case: Case, step: int) -> float:
    return float(np.linalg.norm(np.diff(case.path_m, axis=0)[step]) / DT_S)


def case_of(model: WorldModel, name: str, scene: Scene, future: Future) -> Case:
    """Forecast one target."""
    with torch.inference_mode():
        rollouts = model.imagine(scene)
    paths_m, _ = forecast_egos(model, scene, torch.zeros(1, 3, dtype=torch.float64))
    away_m = (paths_m[0, :5] - future.tracks.position_m[0, 0].double()).norm(dim=-1).mean(-1)
    return Case(name, scene, future, rollouts.map(torch.clone), float(away_m.min()))


def chosen(cases: Sequence[Case]) -> dict[str, Case]:
    """Pictures by file name: of each kind the cases around the median error, then the largest errors of all."""
    picked: dict[str, Case] = {}
    for what, holds in WHAT.items():
        fresh = (case for case in cases if all(case is not one for one in picked.values()))
        some = sorted((case for case in fresh if holds(case)), key=lambda case: case.error_m)
        middle = max((len(some) - EACH) // 2, 0)
        picked |= {f"{what}-{i + 1}": case for i, case in enumerate(some[middle : middle + EACH])}
    worst = sorted(cases, key=lambda case: -case.error_m)[:FAILURES]
    return picked | {f"failure-{i + 1}": case for i, case in enumerate(worst)}


def forecast_figure(case: Case, title: str, look: Look = LIGHT) -> Figure:
    """The scene, six imagined futures of the target, the likeliest of the others, and what everyone did."""
    figure = Figure(figsize=(7.4, 5.4), dpi=150, facecolor=look.paper)
    axes = figure.subplots(gridspec_kw={"left": 0.085, "right": 0.98, "top": 0.9, "bottom": 0.16})
    draw_scene(axes, case.scene, look, AROUND)
    probability = case.rollouts.mode_logits[0].softmax(-1)
    likeliest = int(probability.argmax())
    there = [a for a in case.scene.tracks.valid[0, :, -1].nonzero()[:, 0].tolist() if a]
    now_m, imagined_m = case.scene.tracks.position_m[0, :, -1], case.rollouts.position_m[0, 0]
    others = [torch.cat([now_m[a, None], imagined_m[likeliest, a]]).numpy() for a in there]
    axes.add_collection(LineCollection(others, colors=look.kinds[0], linewidths=1.4, alpha=0.8, zorder=4))
    truths = [
        torch.cat([now_m[a, None], case.future.tracks.position_m[0, a, case.future.tracks.valid[0, a]]]).numpy() for a in there
    ]
    axes.add_collection(LineCollection(truths, colors=look.ink, linewidths=0.9, linestyles=(0, (3, 2)), zorder=4.5))
    for mode in probability.argsort().tolist():
        path_m = torch.cat([now_m[:1], imagined_m[mode, 0]]).numpy()
        strength = float(0.35 + 0.65 * probability[mode] / probability.max())
        axes.plot(*path_m.T, color=look.ego, linewidth=2.4, alpha=strength, zorder=5, solid_capstyle="round")
        axes.scatter(path_m[-1:, 0], path_m[-1:, 1], s=16, color=look.ego, alpha=strength, zorder=5.1, linewidths=0)
    axes.plot(*case.path_m.T, color=look.ink, linewidth=1.5, linestyle=(0, (3, 2)), zorder=5.5)
    ends_m = imagined_m[:, 0, -1].numpy()
    for mode, place_m in enumerate(apart(ends_m + LABEL_OFFSET_M)):
        axes.annotate(f"{float(probability[mode]):.0%}", ends_m[mode], place_m, va="center", fontsize=7, zorder=7)
    axes.set_title(title, color=look.ink, fontsize=10, loc="left")
    handles = [
        Line2D([], [], color=look.ego, linewidth=2.4, label="target: six futures, their probability"),
        Line2D([], [], color=look.kinds[0], linewidth=1.4, label="others: the likeliest"),
        Line2D([], [], color=look.ink, linewidth=1.2, linestyle=(0, (3, 2)), label="what they did, 6 s"),
    ]
    figure.legend(handles=handles, loc="lower left", ncols=3, fontsize=7.5, labelcolor=look.ink, frameon=False)
    return figure


def apart(places_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """Places (N, 2) of labels, moved up from below as far as none covers another."""
    moved = places_m.copy()
    order = places_m[:, 1].argsort(kind="stable")
    for k, label in enumerate(order):
        for below in moved[order[:k]][moved[order[:k], 1].argsort()]:
            if (abs(moved[label] - below) < LABEL_M).all():
                moved[label, 1] = below[1] + LABEL_M[1]
    return moved


def main() -> None:
    """Write the pictures and say which targets they show."""
    parser = argparse.ArgumentParser(description="Draw forecasts of a cache's targets, typical ones and failures.")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--weights", default="nuscenes")
    parser.add_argument("--every", type=int, default=20, help="look at every n-th target")
    parser.add_argument("--out", type=Path, default=Path("out/forecasts"))
    options = parser.parse_args()
    cache, (model, _) = open_cache(options.cache), load_weights(options.weights)
    views = target_scenes(cache, options.every, model.config.scene)
    for file, case in chosen([case_of(model, *view) for view in views]).items():
        title = f"{case.name}: minADE5 {case.error_m:.1f} m"
        write_atomically(options.out / f"{file}.png", png(forecast_figure(case, title)))
        print(f"{options.out / file}.png  {title}")


if __name__ == "__main__":
    main()
