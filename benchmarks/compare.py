"""Two rows files sample by sample: how far apart two models are, and whether that is more than chance.

Both models drove the same scenes, so the interval is of the difference: resampling scenes changes both figures together.
"""

from pathlib import Path
from typing import Any

import numpy as np

from drive_wm.benchmarks.bootstrap import interval
from drive_wm.benchmarks.planning_input import Bools, Ints
from drive_wm.benchmarks.planning_rows import PlanRows
from drive_wm.benchmarks.planning_slices import SLICES
from drive_wm.benchmarks.rows_file import SavedRows, read_about, read_rows
from drive_wm.errors import InputError

_FIGURES = ("l2_avg", "collision_avg")
_SAME_M = 1e-3  # two readings of one dataset agree to this


def compare(first: Path, second: Path) -> list[dict[str, Any]]:
    """Per protocol, then per slice and protocol, a row on the samples that both files hold.

    Keys per figure l2_avg and collision_avg: `_a`, `_b` of the files in turn; `_difference`, b less a, so that negative means
    b is better; `_difference_low`, `_difference_high`, its 95 % interval; `_sign`, -1 or 1 where the interval excludes 0, else
    0. `nearer_b`: share of samples where b's mean distance is less. `hit_only_a`, `hit_only_b`: samples with a counted
    collision of one alone. Raises InputError where nothing is common or the files disagree on what the human drove.
    """
    names = [read_about(path)["planner"] for path in (first, second)]
    a, b = read_rows(first), read_rows(second)
    table: list[dict[str, Any]] = []
    common = [protocol for protocol in a if protocol in b]
    for protocol in common:
        table += _rows(a[protocol], b[protocol], (first, second), {"planner": f"{names[1]} - {names[0]}", "protocol": protocol})
    if not table:
        held = [", ".join(rows) or "none" for rows in (a, b)]
        raise InputError(f"{first} ({held[0]}) and {second} ({held[1]}) have no sample of a protocol in common.")
    return [row for row in table if "slice" not in row] + [row for row in table if "slice" in row]


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The whole-set rows as a narrow table: figures of a and b, and the interval of their difference as text."""
    table = []
    for row in rows:
        if "slice" in row:
            continue
        line = {"protocol": row["protocol"], "n": row["n"]}
        for name, label, form in (("l2", "l2", "+.2f"), ("collision", "hits", "+.2%")):
            key = f"{name}_avg_difference"
            low, high = row[f"{key}_low"], row[f"{key}_high"]
            ends = "one scene" if low is None else f"{low:{form}} to {high:{form}}"
            line |= {f"{label} a": row[f"{name}_avg_a"], f"{label} b": row[f"{name}_avg_b"], f"{label} b-a, 95 %": ends}
        table.append(line)
    return table


def _rows(a: SavedRows, b: SavedRows, paths: tuple[Path, Path], head: dict[str, Any]) -> list[dict[str, Any]]:
    place = {sample: i for i, sample in enumerate(b.samples)}
    pairs = np.array([(i, place[sample]) for i, sample in enumerate(a.samples) if sample in place], int).reshape(-1, 2)
    if not len(pairs):
        return []
    in_a, in_b = pairs.T
    away_m = np.nan_to_num(np.abs(a.truths_m[in_a] - b.truths_m[in_b]))
    if away_m.max() > _SAME_M:
        worst = a.samples[in_a[away_m.max((1, 2)).argmax()]]
        raise InputError(
            f"{paths[0]} and {paths[1]} disagree by {away_m.max():.3g} m on what the human drove after {worst!r} "
            f"({head['protocol']}). Write both from the same dataset."
        )
    rows_a, rows_b, scene = a.rows.take(in_a), b.rows.take(in_b), np.array(a.scene)[in_a]
    slices = [a.slices[i] for i in in_a]
    found = {name for names in slices for name in names}
    table = []
    for part in ("", *(name for name in SLICES if name in found), *sorted(found - set(SLICES))):
        chosen = np.array([not part or part in names for names in slices])
        number = np.unique(scene[chosen], return_inverse=True)[1]
        difference = _difference(rows_a.take(chosen), rows_b.take(chosen), number)
        if difference["n"]:
            table.append(head | difference | ({"slice": part} if part else {}))
    return table


def _difference(a: PlanRows, b: PlanRows, scene: Ints) -> dict[str, Any]:
    of_a, of_b = a.summary(), b.summary()
    drawn_a, drawn_b = a.resampled(scene), b.resampled(scene)
    found: dict[str, Any] = {"n": of_a["n"], "scenes": len(np.unique(scene))}
    for name in _FIGURES:
        low, high = interval(drawn_b[name] - drawn_a[name])
        sign = 0 if low is None or high is None else int(low > 0) - int(high < 0)
        ends = {f"{name}_difference_low": low, f"{name}_difference_high": high, f"{name}_sign": sign}
        found |= {f"{name}_a": of_a[name], f"{name}_b": of_b[name], f"{name}_difference": of_b[name] - of_a[name], **ends}
    mean_a, mean_b = (np.where(rows.valid, rows.l2_m, 0).sum(1) for rows in (a, b))
    hit_a, hit_b = _hit(a), _hit(b)
    return found | {
        "nearer_b": float((mean_b < mean_a)[a.valid.any(1)].mean()) if a.valid.any() else None,
        "hit_only_a": int((hit_a & ~hit_b).sum()),
        "hit_only_b": int((hit_b & ~hit_a).sum()),
    }


def _hit(rows: PlanRows) -> Bools:
    return np.asarray((rows.collision & rows.counted).any(1))
