"""Tables for people, in Markdown, made from result files."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from drive_wm.benchmarks.results_file import Results, read_results
from drive_wm.errors import InputError

_SHARES = ("collision_", "truth_collision", "miss_rate_", "off_road_")  # stored as fractions, shown in percent
_HEADINGS = {"l2": "L2", "truth_collision": "human collides", "pdms": "PDMS", "epdms": "EPDMS"}
_METRES = ("l2_", "min_ade", "min_fde")
_UNITS = {"_ms": "ms", "_mib": "MiB", "_mps": "m/s", "_mps2": "m/s²", "_rad": "rad", "_m": "m"}
_HIDDEN = ("slice", "frames", "off_road_note")


def markdown_table(paths: Iterable[Path], only: Sequence[str] = (), slices: Sequence[str] = ()) -> str:
    """One table of all whole-set rows (those without a "slice"), or of these slices, then a line per file: how it was measured.

    All columns but the ends of intervals, or those that `only` names.
    """
    files = [read_results(path) for path in paths]
    every = [row for file in files for row in file.rows]
    absent = [name for name in slices if all(row.get("slice") != name for row in every)]
    if absent:
        there = dict.fromkeys(row["slice"] for row in every if "slice" in row)
        raise InputError(f"No row is of the slice {'; '.join(absent)}; known: {'; '.join(there)}. Name these in the mark.")
    found = [row for name in slices or (None,) for row in every if row.get("slice") == name]
    rows = [row for i, row in enumerate(found) if row not in found[:i]]  # the human's rows come with every planner
    known = dict.fromkeys(key for row in rows for key in row)
    unknown = [key for key in only if key not in known]
    if unknown:
        raise InputError(f"No row has the columns {', '.join(unknown)}; known: {', '.join(known)}. Name these in the mark.")
    columns = [key for key in only or known if key in only or (key not in _HIDDEN and not is_end(key))]
    numeric = [right_aligned(key, rows) for key in columns]
    lines = [
        _line(heading(key) for key in columns),
        _line("--:" if right else ":--" for right in numeric),
        *(_line(cell(key, row.get(key)) + _in_brackets(key, row) for key in columns) for row in rows),
    ]
    return "\n".join([*lines, "", *(_footnote(file) for file in files)])


def is_end(key: str) -> bool:
    """Whether this is an end of another figure's interval."""
    return key.endswith(("_low", "_high"))


def span(key: str, row: Mapping[str, Any]) -> str:
    """ "0.40–0.55", the interval that a row holds of this figure; "" where it holds none."""
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    if is_number(low) and is_number(high):
        return f"{cell(key, float(low))}{' to ' if low < 0 else '–'}{cell(key, float(high))}"
    return ""


def _in_brackets(key: str, row: Mapping[str, Any]) -> str:
    return f" ({ends})" if (ends := span(key, row)) else ""


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def right_aligned(key: str, rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a column holds numbers."""
    return any(is_number(row.get(key)) for row in rows)


def is_share(key: str) -> bool:
    """Whether a figure is stored as a fraction and shown in percent."""
    return key.startswith(_SHARES)


def heading(key: str) -> str:
    """ "L2 avg, m" of l2_avg; "collision 1 s, %" of collision_1s; "p99, ms" of p99_ms."""
    ending = next((ending for ending in _UNITS if key.endswith(ending)), "")
    unit = "%" if is_share(key) else "m" if key.startswith(_METRES) else _UNITS.get(ending, "")
    unit = "" if key.endswith("_sign") else unit
    key = key.removesuffix(ending)
    name, _, at = key.rpartition("_")
    if name and (at == "avg" or (at[:-1].isdigit() and at.endswith("s"))):
        text = f"{_HEADINGS.get(name, name.replace('_', ' '))} {at if at == 'avg' else at[:-1] + ' s'}"
    else:
        text = _HEADINGS.get(key, key.replace("_", " ")).replace("l2 ", "L2 ")
    return f"{text}, {unit}" if unit else text


def cell(key: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if is_share(key):
        return f"{100 * value:.2f}"
    if 0 < abs(value) < 0.005 and not key.startswith(_METRES):
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def _footnote(file: Results) -> str:
    machine = file.machine
    gpu = "" if machine["gpu"] == "none" else f", {machine['gpu']}"
    return f"`{file.command}`, {file.created[:10]}, {machine['cores']} cores of {machine['cpu']}{gpu}.  "
