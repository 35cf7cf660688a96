"""Speed of imagination: seconds imagined per second of wall clock, beside the same futures imagined plan by plan.

K plans x M joint modes x 6 s of every scene. Ours encodes a scene once, shares what plans share, and imagines those whom
no plan reaches once. Its peer takes each plan alone: encode, then message passing over the ragged graph with everyone. Both
run the same weights in turns, and their results are compared. Operations are those of products and convolutions; the
ceiling is what one large product reaches on the same threads.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from drive_wm.datasets.cache import open_caches
from drive_wm.datasets.sumo_samples import sample_logs
from drive_wm.errors import InputError
from drive_wm.graph import reached
from drive_wm.kinematics import DT_S
from drive_wm.model.world_model import WorldModel
from drive_wm.planners.lattice import candidates
from drive_wm.rollouts import Plans, Rollouts
from drive_wm.scene import Scene, SceneConfig
from drive_wm.scene_at import SceneBuilder

Progress = Callable[[int, int, str], None]  # finished, of how many, which
WARM_UP = 3
EVERY = 4  # keyframes between the scenes looked at
_CEILING_SIZE, _CEILING_RUNS = 1536, 10


@torch.inference_mode()
def bench_imagine(
    model: WorldModel, scenes: Sequence[Scene], runs: int, peer_runs: int, threads: int, progress: Progress = lambda *_: None
) -> list[dict[str, Any]]:
    """Rows with scene_seconds_per_second, p50_ms and p99_ms: ours first, then its peer as the slice "plan by plan".

    Scenes are of one (B = 1); every run takes the next. max_difference_m is the largest between both results.
    """
    if not scenes or min(runs, peer_runs) < 1:
        raise InputError(f"{len(scenes)} scenes, {runs} runs, {peer_runs} of the peer; needed: at least 1 of each.")
    naive = WorldModel(replace(model.config, message_passing=True)).eval()
    naive.load_state_dict(model.state_dict())
    cases = [(scene, candidates(scene)) for scene in scenes]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours_s: list[float] = []
        peer_s: list[float] = []
        apart_m = 0.0
        for number in range(WARM_UP + runs):
            progress(number, WARM_UP + runs, "")
            scene, plans = cases[number % len(cases)]
            began = perf_counter()
            shared = model.imagine(scene, plans)
            ours_s.append(perf_counter() - began)
            if number % -(-runs // peer_runs) == 0 and len(peer_s) < peer_runs:
                began = perf_counter()
                alone = one_by_one(naive, scene, plans)
                peer_s.append(perf_counter() - began)
                apart_m = max(apart_m, _apart_m(shared, alone))
        ceiling = _ceiling_gflops()
        counted = [_gflop(partial(model.imagine, *case)) for case in cases]
    finally:
        torch.set_num_threads(before)
    about = _about(model, cases, threads) | {"max_difference_m": apart_m}
    ours, peer = _row(ours_s[WARM_UP:], about), _row(peer_s, about)
    reach = [int(reached(model.encode(scene).context.neighbours, plans.action.shape[2] - 1).sum()) for scene, plans in cases]
    gflops = float(np.mean(counted)) / median(ours_s[WARM_UP:])
    ours |= {
        "ratio_to_naive": ours["scene_seconds_per_second"] / peer["scene_seconds_per_second"],
        "reached_agents": float(np.mean(reach)),
        "gflop": float(np.mean(counted)),
        "gflop_per_second": gflops,
        "ceiling_gflop_per_second": ceiling,
        "share_of_ceiling": gflops / ceiling,
    }
    return [{"runtime": "shared", **ours}, {"runtime": "plan by plan", "slice": "plan by plan", **peer}]


def one_by_one(model: WorldModel, scene: Scene, plans: Plans) -> list[Rollouts]:
    """The rollouts of each plan, imagined without the others."""
    one = [Plans(*(getattr(plans, f.name)[:, k : k + 1] for f in fields(plans))) for k in range(plans.action.shape[1])]
    return [model.imagine(scene, plan) for plan in one]


def scenes_to_imagine(config: SceneConfig, caches: Sequence[Path]) -> Iterator[Scene]:
    """Every few keyframes of the egos of some caches, or of the sample logs; B = 1."""
    for cache in open_caches(caches) if caches else []:
        for i in range(len(cache)):
            scenes, _ = cache.scenes(i, "ego")
            yield from (scenes[j : j + 1] for j in range(0, len(scenes.command), EVERY))
    for log in [] if caches else sample_logs():
        builder = SceneBuilder(log, config)
        yield from (builder.at(step)[0] for step in range(config.history, len(log.keyframes), EVERY))


def fullest(scenes: Iterable[Scene], count: int) -> list[Scene]:
    """The scenes with the most agents, then the most lane pieces."""
    return sorted(scenes, key=lambda s: (-int(s.tracks.valid[..., -1].sum()), -int(s.lanes.valid.sum())))[:count]


def _apart_m(shared: Rollouts, alone: Sequence[Rollouts]) -> float:
    stacked = torch.cat([rollouts.position_m for rollouts in alone], dim=1)
    return float((shared.position_m - stacked).abs().max())


def _ceiling_gflops() -> float:
    a = torch.rand(_CEILING_SIZE, _CEILING_SIZE)
    times = []
    for _ in range(_CEILING_RUNS):
        began = perf_counter()
        a @ a
        times.append(perf_counter() - began)
    return 2e-9 * _CEILING_SIZE**3 / min(times)


def _gflop(run: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


def _row(seconds: Sequence[float], about: dict[str, Any]) -> dict[str, Any]:
    imagined_s = about["plans"] * about["modes"] * about["steps"] * DT_S
    return {
        "scene_seconds_per_second": imagined_s / median(seconds),
        "p50_ms": 1e3 * float(np.percentile(seconds, 50)),
        "p99_ms": 1e3 * float(np.percentile(seconds, 99)),
        "n": len(seconds),
        **about,
    }


def _about(model: WorldModel, cases: Sequence[tuple[Scene, Plans]], threads: int) -> dict[str, Any]:
    scene, plans = cases[0]
    return {
        "plans": plans.action.shape[1],
        "modes": model.config.dynamics.modes,
        "steps": plans.action.shape[2],
        "agents": scene.tracks.kind.shape[1],
        "lanes": scene.lanes.valid.shape[1],
        "agents_there": float(np.mean([int(s.tracks.valid[..., -1].sum()) for s, _ in cases])),
        "lanes_there": float(np.mean([int(s.lanes.valid.sum()) for s, _ in cases])),
        "scenes": len(cases),
        "threads": threads,
    }
