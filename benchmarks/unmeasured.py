"""What results do not show, read from the results: absent figures, maps, commands and machines, and samples too few."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drive_wm.benchmarks.planning_slices import SLICES
from drive_wm.benchmarks.planning_table import HUMAN
from drive_wm.benchmarks.result_kinds import OTHER, ResultFile, Row
from drive_wm.benchmarks.results_table import heading, is_end

FEW = 30  # samples
FEW_SCENES = 10  # from which to draw anew
SHOWN = 6


@dataclass(frozen=True)
class Gap:
    """Something that a reader must not take as measured."""

    file: str
    what: str
    why: str


def gaps(file: ResultFile) -> list[Gap]:
    """All that this file leaves open."""
    rows = [row for row in file.results.rows if row.get("planner") != HUMAN]
    found = [*_notes(rows), *_absent(rows), *_few(rows), *_machine(file)]
    if file.kind.name == "planning":
        found += [*_no_command(rows), *_no_slice(rows)]
    if file.kind is OTHER:
        found.append(("meaning of this file", f"no known kind of results; its command: {file.results.command}"))
    return [Gap(file.path.name, what, why) for what, why in dict.fromkeys(found)]


def _notes(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    for row in rows:
        for key, value in row.items():
            if key.endswith("_note") and value:
                yield heading(key.removesuffix("_note")), str(value)
        if row.get("missing"):
            yield f"{row['missing']} targets of the split", "they lie outside the data that was evaluated"


def _absent(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    keys = dict.fromkeys(key for row in rows for key, value in row.items() if value is None and not is_end(key))
    explained = tuple(name.removesuffix("_note") for row in rows for name in row if name.endswith("_note"))
    for key in keys:
        if not key.startswith(explained):
            where = _names(row for row in rows if key in row and row[key] is None)
            yield heading(key), f"no value in {where}"


def _few(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    counted = [row for row in rows if isinstance(row.get("n"), int) and row["n"] < FEW]
    if counted:
        yield "slices told apart", f"fewer than {FEW} samples in {_names(counted, 'n')}"
    scenes = [row for row in rows if isinstance(row.get("scenes"), int) and row["scenes"] < FEW_SCENES]
    if scenes:
        yield "chance over scenes", f"fewer than {FEW_SCENES} scenes behind the interval in {_names(scenes, 'scenes')}"


def _no_command(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    without = [row for row in rows if row.get("command_origin") == "none" and "slice" not in row]
    if without:
        yield "how well a command is followed", f"no command was given to {', '.join(_planners(without))}"


def _no_slice(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    held = {str(row["slice"]) for row in rows if "slice" in row}
    lacking = [name for name in SLICES if name not in held]
    if lacking:
        yield f"slices {', '.join(lacking)}", "no sample is in them, or the source has no map or no description to tell"


def _machine(file: ResultFile) -> Iterator[tuple[str, str]]:
    if file.results.machine.get("gpu", "none") == "none" and not file.kind.sliced:
        yield "speed on a GPU", "the machine had none: every time is the processor's"
    absent = [name for name, version in file.results.versions.items() if version == "absent"]
    if absent:
        yield f"what needs {', '.join(absent)}", "not installed where this was measured"


def _planners(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(str(row.get("planner") or row.get("model") or "the model") for row in rows))


def _names(rows: Iterator[Row] | Sequence[Row], count: str = "") -> str:
    """ "left (12), night (8)" and how many more; the whole set where a row has no slice."""
    named = list(dict.fromkeys(f"{row.get('slice', 'the whole set')}" + (f" ({row[count]})" if count else "") for row in rows))
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return ", ".join(named[:SHOWN]) + more
