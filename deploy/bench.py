"""Latency of one planner tick: ONNX Runtime and eager torch take turns in one run, over the golden scenes."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from drive_wm.checkpoint import load_weights, weights_path
from drive_wm.deploy.bundle import Bundle, open_bundle, self_test
from drive_wm.deploy.planner_graph import PlannerGraph
from drive_wm.deploy.runtime import OnnxRuntime, Runtime, TorchRuntime
from drive_wm.errors import InputError
from drive_wm.planners.lattice import LatticeConfig
from drive_wm.planners.score import Weights

WARM_UP = 10


def bench_tick(
    bundle: Path,
    runs: int = 200,
    threads: int | None = None,
    weights: str | None = None,
    report: Callable[[int, int, str], None] = lambda done, of, note: None,
) -> list[dict[str, Any]]:
    """Rows with p50_ms and p99_ms per tick: ONNX Runtime first, then its peer as the slice "torch".

    The peer runs the same planner from `weights`, by default from where the bundle was exported; without them the
    ratio is None. threads: of each runtime, by default every core that this process may use.
    """
    if runs < 1:
        raise InputError(f"{runs} runs; needed: at least 1.")
    threads = threads or _cores()
    opened = open_bundle(bundle)
    runtimes: list[Runtime] = [OnnxRuntime(opened.graph, threads)]
    self_test(opened, runtimes[0])
    peer = torch_peer(opened, weights, threads)
    runtimes += [peer] if peer else []
    taken: dict[str, list[tuple[float, float]]] = {runtime.name: [] for runtime in runtimes}
    for number in range(WARM_UP + runs):
        scene = opened.golden.inputs[number % len(opened.golden.inputs)]
        report(number, WARM_UP + runs, "")
        for runtime in runtimes:
            taken[runtime.name].append(_clock(runtime, scene))
    rows = [_row(opened, name, times[WARM_UP:], threads) for name, times in taken.items()]
    rows[0]["ratio_to_torch"] = rows[1]["p50_ms"] / rows[0]["p50_ms"] if peer else None
    return [row if row["runtime"] == runtimes[0].name else row | {"slice": row["runtime"]} for row in rows]


def torch_peer(bundle: Bundle, weights: str | None, threads: int) -> TorchRuntime | None:
    """Eager torch on the bundle's own planner; None where the weights are not at hand.

    Raises FileNotFoundError where `weights` are named and absent, InputError where they are not the bundle's.
    """
    source = weights or bundle.contract.weights.source
    try:
        path = weights_path(source)
    except FileNotFoundError:
        if weights:
            raise
        return None
    if hashlib.sha256(path.read_bytes()).hexdigest() != bundle.contract.weights.sha256:
        if weights:
            raise InputError(
                f"{path} are not the weights of {bundle.path}: their SHA-256 differs. Pass those it was made from."
            )
        return None
    contract = bundle.contract
    lattice = TypeAdapter(LatticeConfig).validate_python(contract.lattice)
    return TorchRuntime(PlannerGraph(load_weights(source)[0], lattice, Weights(**contract.score_weights)), threads)


def _clock(runtime: Runtime, scene: Mapping[str, Any]) -> tuple[float, float]:
    """Milliseconds of wall clock and of processor time for one tick."""
    wall, used = time.perf_counter(), time.process_time()
    runtime.run(scene)
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - used)


def _row(bundle: Bundle, name: str, times: list[tuple[float, float]], threads: int) -> dict[str, Any]:
    wall_ms, used_ms = np.array(times).T
    shapes = {spec.name: spec.shape for spec in (*bundle.contract.inputs, *bundle.contract.outputs)}
    return {
        "runtime": name,
        "p50_ms": float(np.percentile(wall_ms, 50)),
        "p99_ms": float(np.percentile(wall_ms, 99)),
        "cpu_p50_ms": float(np.percentile(used_ms, 50)),
        "n": len(times),
        "threads": threads,
        "scenes": len(bundle.golden.inputs),
        "plans": shapes["scores"][1],
        "modes": shapes["mode_probability"][1],
        "agents": shapes["tracks.valid"][1],
        "steps": shapes["position_m"][1],
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
