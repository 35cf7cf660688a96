"""From result files of one kind to a section of the report: tables beside what others published, and plots by slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drive_wm.benchmarks.anchors import Anchor, anchors_of
from drive_wm.benchmarks.dot_plot import SERIES, Dot, DotPlot
from drive_wm.benchmarks.planning_table import HUMAN
from drive_wm.benchmarks.result_kinds import Kind, ResultFile, Row
from drive_wm.benchmarks.results_table import heading, is_end, is_number, is_share

FIGURES = 6  # plotted where a kind names none
_HIDDEN = ("slice", "protocol")
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
    for protocol in dict.fromkeys(_protocol(kind, row) for row in whole):
        mine = [row for row in whole if _protocol(kind, row) == protocol]
        quoted = anchors_of(kind.name, protocol or None)
        shown = columns([*mine, *(anchor.values for anchor in quoted)], () if protocol else ("protocol",))
        tables.append(ResultTable(protocol, shown, mine, quoted))
    if kind.name in _SCORES:
        plots += terms_plots(whole)
    for protocol in dict.fromkeys(str(row.get("protocol", "")) for row in sliced):
        parts = [row for row in sliced if str(row.get("protocol", "")) == protocol]
        for key in kind.plotted or figures(parts)[:FIGURES]:
            plots += slices_plots(protocol, key, parts)
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
    """Keys in the order in which they first appear, less those that stand elsewhere: notes among what is not measurable."""
    hidden = set(_HIDDEN) - set(shown)
    keys = dict.fromkeys(key for row in rows for key in row)
    return [key for key in keys if key not in hidden and not is_end(key) and not key.endswith("_note")]


def figures(rows: Sequence[Row]) -> list[str]:
    """Columns that measure: numbers that are not counts."""
    return [
        key
        for key in columns(rows)
        if key not in _COUNTS
        and any(isinstance(row.get(key), float) for row in rows)
        and all(row.get(key) is None or is_number(row[key]) for row in rows)
    ]


def slices_plots(protocol: str, key: str, rows: Sequence[Row]) -> list[DotPlot]:
    """One figure by slice; the human's distance to itself is left out."""
    rows = [row for row in rows if is_number(row.get(key)) and not (row.get("planner") == HUMAN and key.startswith("l2_"))]
    names = list(dict.fromkeys(str(row["slice"]) for row in rows))
    series = {}
    for label, mine in by_label(rows).items():
        found = {str(row["slice"]): row for row in mine}
        series[label] = [_dot(key, found.get(name, {})) for name in names]
    counts = {name: list(dict.fromkeys(row.get("n") for row in rows if str(row["slice"]) == name)) for name in names}
    notes = [f"n = {n[0]}" if len(n) == 1 and n[0] is not None else "" for n in counts.values()]
    return _plots(f"{heading(key)}, {protocol}" if protocol else heading(key), names, notes, series)


def terms_plots(rows: Sequence[Row]) -> list[DotPlot]:
    """Every score of a closed loop as a line, a series for each row."""
    keys = [key for key in figures(rows) if all(0 <= row[key] <= 1 for row in rows if row.get(key) is not None)]
    series = {label: [_dot(key, mine[0]) for key in keys] for label, mine in by_label(rows).items()}
    return _plots("Scores and their terms", [heading(key) for key in keys], [""] * len(keys), series)


def by_label(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows under what tells them apart: the text that differs between them, and their file only where that is not enough."""
    texts = [key for key in columns(rows) if any(isinstance(row.get(key), str) for row in rows)]
    varied = [key for key in texts if len({row.get(key) for row in rows}) > 1 and key not in ("file", "command_origin")]
    found = _grouped(rows, varied or [key for key in texts if key != "file"][:1])
    alone = all(len({row.get("slice") for row in mine}) == len(mine) for mine in found.values())
    return found if alone else _grouped(rows, [*varied, "file"])


def _grouped(rows: Sequence[Row], keys: Sequence[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        label = ", ".join(str(row[key]) for key in keys if row.get(key) is not None)
        found.setdefault(label or "all", []).append(row)
    return found


def _plots(title: str, lines: Sequence[str], notes: Sequence[str], series: Mapping[str, Sequence[Dot | None]]) -> list[DotPlot]:
    """As many plots as it takes to tell the series apart."""
    names = list(series)
    parts = [names[i : i + SERIES] for i in range(0, len(names), SERIES)]
    titles = [f"{title} ({i} of {len(parts)})" if len(parts) > 1 else title for i in range(1, len(parts) + 1)]
    return [DotPlot(one, lines, notes, {name: series[name] for name in part}) for one, part in zip(titles, parts, strict=True)]


def _with_file(row: Row, name: str) -> Row:
    first, *rest = row.items()
    return dict([first, ("file", name), *rest])


def _protocol(kind: Kind, row: Row) -> str:
    """What a table of its own is made for; "" for one table of all rows."""
    return str(row.get("protocol", "")) if kind.by_protocol else ""


def _dot(key: str, row: Mapping[str, Any]) -> Dot | None:
    scale = 100 if is_share(key) else 1
    value, low, high = (scale * end if is_number(end := row.get(f"{key}{side}")) else None for side in ("", "_low", "_high"))
    return None if value is None else Dot(value, low, high)
