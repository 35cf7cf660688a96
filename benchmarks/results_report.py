"""`drive-wm report`: result files and rows files as one page."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from drive_wm.benchmarks.planning_table import HUMAN
from drive_wm.benchmarks.report import KeyFigure, Note, write_page
from drive_wm.benchmarks.result_kinds import KINDS, OTHER, ResultFile, read_kind
from drive_wm.benchmarks.result_sections import ResultTable, Section, by_label, section_of
from drive_wm.benchmarks.results_table import cell, heading, is_number, span
from drive_wm.benchmarks.unmeasured import Gap, gaps
from drive_wm.benchmarks.worst_samples import WORST, Progress, worst_of
from drive_wm.errors import InputError

OURS = "world_model"
_HEADLINES = ("l2_avg", "collision_avg", "min_ade_5", "pdms", "p99_ms", "scene_seconds_per_second")


def report(
    results: Sequence[Path],
    out: Path,
    rows: Sequence[Path] = (),
    title: str = "drive_wm: results",
    worst: int = WORST,
    progress: Progress = lambda *_: None,
) -> Path:
    """Write the page; InputError or FileNotFoundError for the first file that is wrong, and then nothing is written."""
    if not results:
        raise InputError("Nothing to report was given. Pass result files, as every command that measures writes with --json.")
    files = [read_kind(path) for path in dict.fromkeys(results)]
    sections = sections_of(files)
    bad = [worst_of(path, worst, progress) for path in dict.fromkeys(rows)]
    open_points = [gap for file in files for gap in gaps(file)]
    if not bad:
        open_points.append(Gap("all", "worst samples and their pictures", "no rows file was given with --rows"))
    write_page(
        out,
        "results.html.j2",
        title=title,
        subtitle=f"{len(files)} result file{'s' * (len(files) > 1)}, measured {_days(files)}.",
        hero=None,
        figures=key_figures(sections),
        sections=sections,
        worst=bad,
        gaps=merged(open_points),
        made=[made(file) for file in files],
    )
    return out


def sections_of(files: Sequence[ResultFile]) -> list[Section]:
    """A section for each kind among the files."""
    found = [(kind, [file for file in files if file.kind is kind]) for kind in (*KINDS, OTHER)]
    return [section_of(kind, mine) for kind, mine in found if mine]


def key_figures(sections: Sequence[Section]) -> list[KeyFigure]:
    """Headline figures of each section: of our model where it is among the rows, and of the protocol that was run last."""
    return [figure for section in sections if section.tables for figure in _headlines(section.tables[-1])]


def _headlines(table: ResultTable) -> Iterator[KeyFigure]:
    own = sorted((row for row in table.rows if row.get("planner") != HUMAN), key=lambda row: OURS not in row.values())
    for key in _HEADLINES:
        if own and is_number(value := own[0].get(key)):
            name, _, unit = heading(key).partition(", ")
            facts = [next(iter(by_label(own))), table.title]
            facts += [f"n = {own[0]['n']}"] * ("n" in own[0]) + [f"95 % {ends}" for ends in [span(key, own[0])] if ends]
            yield KeyFigure(f"{cell(key, value)} {unit}".strip(), name, ", ".join(filter(None, facts)))


def merged(found: Sequence[Gap]) -> list[dict[str, str]]:
    """One row for what several files leave open for the same reason."""
    files: dict[tuple[str, str], list[str]] = {}
    for gap in found:
        files.setdefault((gap.what, gap.why), []).append(gap.file)
    return [{"not_measured": what, "why": why, "file": ", ".join(dict.fromkeys(names))} for (what, why), names in files.items()]


def made(file: ResultFile) -> Note:
    """How a file came to be."""
    found = file.results
    return Note(
        file.path.name,
        {
            "Command": found.command,
            "Measured": found.created,
            "Machine": ", ".join(f"{key}: {value}" for key, value in found.machine.items()),
            "Versions": ", ".join(f"{name} {number}" for name, number in found.versions.items()),
            "Seed": "none" if found.seed is None else str(found.seed),
        },
    )


def _days(files: Sequence[ResultFile]) -> str:
    days = sorted({file.results.created[:10] for file in files})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
