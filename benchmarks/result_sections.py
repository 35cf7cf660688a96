"""From result files of one kind to a section of the report: tables beside what others published, and plots by slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drive_wm.benchmarks.anchors import Anchor, anchors_of
from drive_wm.benchmarks.dot_plot import SERIES, Dot, DotPlot
from drive_wm.benchmarks.result_kinds import Kind, ResultFile, Row
from drive_wm.benchmarks.results_table import heading, is_end, is_number, is_share

FIGURES = 6  # plotted where a kind names none
_HIDDEN = ("slice", "frames", "protocol")
_COUNTS = ("n", "scenes", "missing", "steps", "threads")  # not figures
_SCORES = ("closed_loop",)  # kinds whose figures all run from 0 to 1, and go into one plot


@dataclass(frozen=True)
class ResultTable:
    """Rows of ours and, apart from them, rows of others."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    quoted: Sequence[Anchor] = ()


@dataclass(frozen=True)
class Section:
    """All results of one kind."""

    kind: Kind
    tables: Sequence[ResultTable]
    plots: Sequence[DotPlot]
    slices: ResultTable | None


def section_of(kind: Kind, files: Sequence[ResultFile]) -> Section:
    """The section on these files, all of this kind."""
    rows = own_rows(files)
    whole = [row for row in rows if not (kind.sliced and "slice" in row)]
    sliced = [row for row in rows if kind.sliced and "slice" in row]
    tables, plots = [], []
    for protocol in dict.fromkeys(_protocol(kind, row) for row in rows):
        mine, parts = ([row for row in some if _protocol(kind, row) == protocol] for some in (whole, sliced))
        if mine:
            tables.append(ResultTable(protocol, columns(mine, () if kind.sliced else ("protocol",)), mine, _quoted(kind, protocol)))
        if kind.name in _SCORES and mine:
            plots.append(terms_plot(mine))
        plots += [slices_plot(protocol, key, parts) for key in kind.plotted or figures(parts)[:FIGURES] if _holds(parts, key)]
    every = ResultTable("", ["slice", *columns(sliced, ("protocol",))], sliced) if sliced else None
    return Section(kind, tables, plots, every)


def own_rows(files: Sequence[ResultFile]) -> list[Row]:
    """Every row once; with the name of its file where there are several, first of all columns but one."""
    rows: list[tuple[Row, str]] = []
    for file in files:
        rows += [(row, file.path.stem) for row in file.results.rows if row not in [known for known, _ in rows]]
    if len(files) < 2:
        return [row for row, _ in rows]
    return [_with_file(row, name) for row, name in rows]


def columns(rows: Sequence[Row], shown: Sequence[str] = ()) -> list[str]:
    """Keys in the order in which they first appear, less those that stand elsewhere."""
    hidden = set(_HIDDEN) - set(shown)
    return [key for key in dict.fromkeys(key for row in rows for key in row) if key not in hidden and not is_end(key)]


def figures(rows: Sequence[Row]) -> list[str]:
    """Columns that measure: numbers that are not counts."""
    return [key for key in columns(rows) if key not in _COUNTS and any(isinstance(row.get(key), float) for row in rows)]


def slices_plot(protocol: str, key: str, rows: Sequence[Row]) -> DotPlot:
    """One figure by slice, a series for each of the first models."""
    names = list(dict.fromkeys(str(row["slice"]) for row in rows))
    series = {}
    for label, mine in by_label(rows).items():
        found = {str(row["slice"]): row for row in mine}
        series[label] = [_dot(key, found.get(name, {})) for name in names]
    counts = {name: sorted({row["n"] for row in rows if row["slice"] == name and row.get("n") is not None}) for name in names}
    notes = [f"n = {counts[name][0]}" if len(counts[name]) == 1 else "" for name in names]
    title = f"{heading(key)}, {protocol}" if protocol else heading(key)
    return DotPlot(title, names, notes, dict(list(series.items())[:SERIES]))


def terms_plot(rows: Sequence[Row]) -> DotPlot:
    """Every score of a closed loop as a line, a series for each of the first rows."""
    keys = [key for key in figures(rows) if all(0 <= row[key] <= 1 for row in rows if row.get(key) is not None)]
    series = {label: [_dot(key, mine[0]) for key in keys] for label, mine in by_label(rows).items()}
    return DotPlot("Scores and their terms", [heading(key) for key in keys], [""] * len(keys), dict(list(series.items())[:SERIES]))


def by_label(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows under what tells them apart: the text that differs between them."""
    texts = [
        key
        for key in columns(rows)
        if len({row.get(key) for row in rows}) > 1 and not any(is_number(row.get(key)) for row in rows) and not key.endswith("_note")
    ]
    if "planner" in texts or "model" in texts:  # the flags that go with a planner add nothing to its name
        texts = [key for key in texts if all(isinstance(row.get(key, ""), str) for row in rows) and key != "command_origin"]
    if not texts:
        texts = [key for key in columns(rows) if isinstance(rows[0].get(key), str)][:1]
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(", ".join(str(row[key]) for key in texts if row.get(key) is not None) or "all", []).append(row)
    return found


def _with_file(row: Row, name: str) -> Row:
    first, *rest = row.items()
    return dict([first, ("file", name), *rest])


def _protocol(kind: Kind, row: Row) -> str:
    return str(row.get("protocol", "")) if kind.sliced else ""


def _quoted(kind: Kind, protocol: str) -> Sequence[Anchor]:
    return anchors_of(kind.name, protocol or None)


def _holds(rows: Sequence[Row], key: str) -> bool:
    return any(is_number(row.get(key)) for row in rows)


def _dot(key: str, row: Mapping[str, Any]) -> Dot | None:
    if row.get(key) is None:
        return None
    scale = 100 if is_share(key) else 1
    low, high = (None if (end := row.get(f"{key}{side}")) is None else scale * end for side in ("_low", "_high"))
    return Dot(scale * row[key], low, high)
