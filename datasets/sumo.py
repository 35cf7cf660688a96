"""Logs from SUMO traffic: varied roads, drivers and rare events, the same for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count, islice

import numpy as np

from drive_wm.datasets.sumo_cut import cut
from drive_wm.datasets.sumo_networks import NETWORKS
from drive_wm.datasets.sumo_runs import Run, Window, choose_windows, run_sumo
from drive_wm.datasets.sumo_samples import record_samples, sample_logs
from drive_wm.log import Log

__all__ = ["Drives", "read_drives", "read_logs", "record_samples", "sample_logs"]


@dataclass(frozen=True)
class Drives:
    """One simulation, and what is seen of it from some of its vehicles."""

    run: Run
    windows: tuple[Window, ...]
    logs: tuple[Log, ...]  # one per window


def read_logs(scenes: int, seed: int) -> Iterator[Log]:
    """Yield that many Logs of 20 s; the same seed gives the same Logs, bit for bit.

    Raises InputError where the `sumo` extra is not installed.
    """
    return islice(chain.from_iterable(drives.logs for drives in read_drives(seed)), scenes)


def read_drives(seed: int) -> Iterator[Drives]:
    """One simulation after the other, without end, of each kind of network in turn."""
    made = count()
    for index in count():
        rng = np.random.default_rng([seed, index])
        run = run_sumo(NETWORKS[index % len(NETWORKS)](rng), rng)
        windows = tuple(choose_windows(run, rng))
        yield Drives(run, windows, tuple(cut(run, window, f"sumo-{seed}-{next(made):04d}") for window in windows))
