"""How long the planning metrics take, and how much memory: seeded synthetic input of the validation split's size.

Each measurement runs in a process of its own, since a process remembers its peak memory for good.
"""

import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import numpy as np

from drive_wm.benchmarks.planning_input import Floats
from drive_wm.benchmarks.planning_scores import score_plans
from drive_wm.metrics.planning import PROTOCOLS, STEPS

SAMPLES = 6019  # keyframes of the nuScenes validation split
BOXES = 30  # per step
SEED = 0
Progress = Callable[[int, int, str], None]  # finished, of how many, which
_MIB = 2**10 if sys.platform == "linux" else 2**20  # ru_maxrss counts KiB, on macOS bytes


def bench_planning(
    samples: int = SAMPLES, protocols: Sequence[str] = PROTOCOLS, progress: Progress = lambda *_: None
) -> Iterator[dict[str, Any]]:
    """One row per protocol: seconds for all n samples, peak_mib of the whole process, and start_mib, that before it scored."""
    for done, protocol in enumerate(protocols):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            measured = alone.submit(_measure, protocol, samples).result()
        progress(done + 1, len(protocols), protocol)
        yield {"metric": "planning", "protocol": protocol, "n": samples, "boxes_per_step": BOXES, **measured}


def _measure(protocol: str, samples: int) -> dict[str, float]:
    plans, truths, boxes = planning_input(samples)
    valid = np.ones((samples, STEPS), bool)
    start_mib = _peak_mib()
    began = perf_counter()
    score_plans(protocol, plans, truths, valid, list(boxes)).summary()
    return {"seconds": perf_counter() - began, "peak_mib": _peak_mib(), "start_mib": start_mib}


def planning_input(samples: int) -> tuple[Floats, Floats, Floats]:
    """Plans and truths (S, 6, 2) of vehicles ahead at up to 15 m/s, boxes (S, 6, 30, 5) around them as traffic is."""
    rng = np.random.default_rng(SEED)
    speed_mps = rng.uniform(0, 15, (samples, 1, 1))
    ahead = np.array([0.0, 0.5]) * np.arange(1, STEPS + 1)[:, None]
    truths = speed_mps * ahead
    plans = truths + np.cumsum(rng.normal(0, 0.3, (samples, STEPS, 2)), axis=1)
    centre = rng.uniform(-40, 40, (samples, 1, BOXES, 2)) + rng.normal(0, 0.5, (samples, STEPS, BOXES, 2))
    size = np.broadcast_to(rng.uniform((0.5, 0.5), (6, 2.2), (samples, 1, BOXES, 2)), centre.shape)
    yaw = np.broadcast_to(rng.uniform(-np.pi, np.pi, (samples, 1, BOXES, 1)), (*centre.shape[:-1], 1))
    return plans, truths, np.concatenate([centre, size, yaw], -1)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
