"""Speed of imagination: seconds imagined per second of wall clock, beside the same futures imagined plan by plan.

K plans x M joint modes x 6 s of every scene. Ours encodes a scene once, shares what plans share, and imagines those whom
no plan reaches once; on demand also with its step compiled by torch.compile. The peer takes each plan alone: encode, then
message passing over the ragged graph with everyone. All run the same weights in turns, and their results are compared.
Operations are those of products and convolutions; the ceiling is what one large product reaches on the same threads.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

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

Result = TypeVar("Result")
Progress = Callable[[int, int, str], None]  # finished, of how many, which
EVERY = 4  # keyframes between the scenes looked at
_CEILING_SIZE, _CEILING_RUNS = 1536, 10
_PEER = "plan by plan"


@torch.inference_mode()
def bench_imagine(
    model: WorldModel,
    scenes: Sequence[Scene],
    runs: int,
    peer_runs: int,
    threads: int,
    progress: Progress = lambda *_: None,
    device: str = "cpu",
    compiled: bool = False,
) -> list[dict[str, Any]]:
    """Rows with scene_seconds_per_second, p50_ms and p99_ms: ours first, then its peer as the slice "plan by plan".

    Scenes are of one (B = 1); every run takes the next. max_difference_m is the largest from the peer's result. `device` is
    one of torch's names; `compiled` adds a row. Raises InputError where the machine lacks the device.
    """
    if not scenes or min(runs, peer_runs) < 1:
        raise InputError(f"{len(scenes)} scenes, {runs} runs, {peer_runs} of the peer; needed: at least 1 of each.")
    there = _present(device)
    model = model.to(there)
    naive = _again(model, message_passing=True)
    cases = [(scene.to(there), candidates(scene).to(there)) for scene in scenes]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours = {"shared": model} | ({"shared, compiled": _compiled(model, cases[0])} if compiled else {})
        taken_s: dict[str, list[float]] = {runtime: [] for runtime in (*ours, _PEER)}
        apart_m = dict.fromkeys(ours, 0.0)
        total = len(cases) + runs
        for number in range(-len(cases), runs):  # those below 0 warm up
            progress(len(cases) + number, total, "")
            case = cases[number % len(cases)]
            found = {runtime: _timed(partial(own.imagine, *case), there) for runtime, own in ours.items()}
            if number < 0:
                continue
            for runtime, (_, seconds) in found.items():
                taken_s[runtime].append(seconds)
            if number % -(-runs // peer_runs) == 0:
                alone, seconds = _timed(partial(one_by_one, naive, *case), there)
                taken_s[_PEER].append(seconds)
                apart_m = {runtime: max(apart_m[runtime], _apart_m(found[runtime][0], alone)) for runtime in ours}
        ceiling = _ceiling_gflops(there)
        gflop = float(np.mean([_gflop(partial(model.imagine, *case)) for case in cases]))
    finally:
        torch.set_num_threads(before)
    reach = [int(reached(model.encode(scene).context.neighbours, plans.action.shape[2] - 1).sum()) for scene, plans in cases]
    about = _about(model, cases, threads) | {"device": torch.cuda.get_device_name(there) if there.type == "cuda" else "cpu"}
    peer = {"runtime": _PEER, "slice": _PEER, **_row(taken_s[_PEER], about)}
    rows = [{"runtime": runtime, **_row(taken_s[runtime], about)} for runtime in ours]
    for row in rows:
        gflops = gflop / median(taken_s[row["runtime"]])
        row |= {
            "ratio_to_naive": row["scene_seconds_per_second"] / peer["scene_seconds_per_second"],
            "max_difference_m": apart_m[row["runtime"]],
            "reached_agents": float(np.mean(reach)),
            "gflop": gflop,
            "gflop_per_second": gflops,
            "ceiling_gflop_per_second": ceiling,
            "share_of_ceiling": gflops / ceiling,
        }
    return [*rows, peer]


def _present(device: str) -> torch.device:
    """The device of this name, once something has been there and back; InputError where that fails."""
    try:
        torch.ones(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--device {device}: {reason}. Pass --device cpu, or install a torch that has this device.") from error
    return torch.device(device)


def _again(model: WorldModel, message_passing: bool = False) -> WorldModel:
    """The same weights once more."""
    twin = WorldModel(replace(model.config, message_passing=message_passing)).to(model.modes.device).eval()
    twin.load_state_dict(model.state_dict())
    return twin


def _compiled(model: WorldModel, case: tuple[Scene, Plans]) -> WorldModel:
    """The same weights, compiled; InputError where torch finds no compiler."""
    twin = _again(model)
    twin.compile()
    try:
        twin.imagine(*case)
    except RuntimeError as error:
        if "C++ compiler" not in str(error):
            raise
        raise InputError("--compile: torch finds no C++ compiler. Install g++, or leave --compile out.") from error
    return twin


def _timed(run: Callable[[], Result], device: torch.device) -> tuple[Result, float]:
    """What it gives, and the seconds until it is there."""
    began = perf_counter()
    found = run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return found, perf_counter() - began


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


def _ceiling_gflops(device: torch.device) -> float:
    a = torch.rand(_CEILING_SIZE, _CEILING_SIZE, device=device)
    seconds = min(_timed(partial(torch.matmul, a, a), device)[1] for _ in range(_CEILING_RUNS))
    return 2e-9 * _CEILING_SIZE**3 / seconds


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
