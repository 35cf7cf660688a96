"""Logs from SUMO traffic: varied roads, drivers and rare events, the same for the same seed."""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np

from drive_wm.datasets.sumo_cut import cut
from drive_wm.datasets.sumo_networks import NETWORKS
from drive_wm.datasets.sumo_runs import choose_windows, run_sumo
from drive_wm.datasets.sumo_samples import record_samples, sample_logs
from drive_wm.log import Log

__all__ = ["read_logs", "record_samples", "sample_logs"]


def read_logs(scenes: int, seed: int) -> Iterator[Log]:
    """Yield that many Logs of 20 s; the same seed gives the same Logs, bit for bit.

    Raises InputError where the `sumo` extra is not installed.
    """
    return islice(_endless(seed), scenes)


def _endless(seed: int) -> Iterator[Log]:
    made = count()
    for index in count():
        rng = np.random.default_rng([seed, index])
        run = run_sumo(NETWORKS[index % len(NETWORKS)](rng), rng)
        for window in choose_windows(run, rng):
            yield cut(run, window, f"sumo-{seed}-{next(made):04d}")
