"""Figures as sums and counts per drive and slice: means, and 95 % intervals by drive, come from these alone."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from torch import Tensor

from drive_wm.benchmarks.bootstrap import draws, interval
from drive_wm.benchmarks.planning_input import Floats

Sums = Mapping[str, Mapping[str, tuple[float, float]]]  # of one drive: slice -> figure -> its sum and its count
WHOLE = ""  # the slice that holds everything


def summed(values: Mapping[str, Tensor], counted: Mapping[str, Tensor]) -> dict[str, dict[str, tuple[float, float]]]:
    """Sums of each figure's values over what each slice counts, all of one shape."""
    return {
        name: {figure: (float(value[where].double().sum()), float(where.sum())) for figure, value in values.items()}
        for name, where in counted.items()
    }


def joined(*parts: Sums) -> dict[str, dict[str, tuple[float, float]]]:
    """The figures of several sums, slice by slice."""
    return {
        name: {k: v for part in parts for k, v in part.get(name, {}).items()}
        for name in dict.fromkeys(n for p in parts for n in p)
    }


def mean_rows(drives: Sequence[Sums], about: Mapping[str, object], main: Iterable[str] = ()) -> list[dict[str, object]]:
    """A row per slice in order of first appearance, the whole first: means over what is counted, and n.

    `n` is the count behind the row's first figure. Figures in `main` also carry `_low` and `_high`, which are None for
    fewer than two drives. Slices that count nothing are left out; the row of the whole has no "slice".
    """
    slices = dict.fromkeys(name for drive in drives for name in drive)
    rows = [dict(about) | _figures([drive.get(name, {}) for drive in drives], set(main)) | {"slice": name} for name in slices]
    return [{key: value for key, value in row.items() if key != "slice" or value != WHOLE} for row in rows if row["n"]]


def _figures(drives: Sequence[Mapping[str, tuple[float, float]]], main: set[str]) -> dict[str, object]:
    names = list(dict.fromkeys(name for drive in drives for name in drive))
    table = np.array([[drive.get(name, (0.0, 0.0)) for name in names] for drive in drives])  # (G, F, 2)
    row: dict[str, object] = {"n": int(table[:, 0, 1].sum()) if names else 0}
    for i, name in enumerate(names):
        total, count = table[:, i].sum(0)
        row[name] = total / count if count else None
        if name in main:
            row[f"{name}_low"], row[f"{name}_high"] = ratio_interval(table[:, i, 0], table[:, i, 1])
    return row


def ratio_interval(total: Floats, count: Floats) -> tuple[float, float] | tuple[None, None]:
    """95 % interval of sum(total) / sum(count), both (G,) by drive; None for fewer than two drives."""
    if len(total) < 2:
        return None, None
    drawn = draws(len(total))
    with np.errstate(invalid="ignore", divide="ignore"):
        return interval((drawn @ total) / (drawn @ count))
