"""The report: scenes, tables and notes as one HTML file that needs nothing else, no network and no script to be read."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from drive_wm.benchmarks.results_table import cell, heading, is_end, right_aligned, span
from drive_wm.errors import InputError
from drive_wm.files import write_atomically

_KINDS = {b"\x89PNG": "image/png", b"GIF8": "image/gif"}
SMALL_POINTS = 0.005  # differences below this show as 0.00


@dataclass(frozen=True)
class Picture:
    """PNG or GIF files; `alt` says in words what the picture shows."""

    data: bytes
    alt: str
    caption: str = ""
    dark: bytes | None = None  # for readers whose system is dark
    still: bytes | None = None  # of a moving picture, for print and for readers who asked their system for less motion


@dataclass(frozen=True)
class KeyFigure:
    """One number that matters: its value with unit, what it is, how it was measured."""

    value: str
    label: str
    detail: str = ""


@dataclass(frozen=True)
class PlanRow:
    """One candidate plan: what each term adds to its total (points, negative for a cost) and the term's own value."""

    name: str
    points: Mapping[str, float]
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.points.values())

    def decided_by(self, chosen: "PlanRow") -> tuple[str, float]:
        """The term on which this plan loses most against the chosen one, and how many points (negative)."""
        lost = {term: points - chosen.points[term] for term, points in self.points.items()}
        term = min(lost, key=lost.__getitem__)
        return term, lost[term]


@dataclass(frozen=True)
class SceneReport:
    """One scene; the first of its plans is the chosen one."""

    title: str
    description: str
    pictures: Sequence[Picture]
    plans: Sequence[PlanRow]
    mode_probabilities: Sequence[float]
    facts: Mapping[str, str] = field(default_factory=dict)  # "speed": "8.1 m/s"


@dataclass(frozen=True)
class Table:
    """Flat rows as result files have them; columns in the order in which keys first appear."""

    title: str
    rows: Sequence[Mapping[str, Any]]
    note: str = ""
    hidden: Sequence[str] = ("slice", "frames")

    @property
    def columns(self) -> list[str]:
        return [
            key for key in dict.fromkeys(key for row in self.rows for key in row) if key not in self.hidden and not is_end(key)
        ]


@dataclass(frozen=True)
class Note:
    """A titled list: how it was made, which versions, whose licence. Text of several lines is set as code."""

    title: str
    entries: Mapping[str, str]


def write_report(
    path: Path,
    title: str,
    scenes: Sequence[SceneReport] = (),
    tables: Sequence[Table] = (),
    notes: Sequence[Note] = (),
    figures: Sequence[KeyFigure] = (),
    subtitle: str = "",
    hero: Picture | None = None,
) -> None:
    """Write one self-contained HTML file on scenes."""
    write_page(
        path, "report.html.j2", title=title, subtitle=subtitle, hero=hero, figures=figures, scenes=scenes, tables=tables,
        notes=notes,
    )  # fmt: skip


def write_page(path: Path, template: str, **content: Any) -> None:
    """Write one self-contained HTML file from a template that extends page.html.j2."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"uri": data_uri, "points": points, "heading": heading, "words": words, "short": short, "tone": tone}
    environment.globals |= {
        "cell": cell, "span": span, "right_aligned": right_aligned, "anchor": anchor, "reason": reason,
    }  # fmt: skip
    write_atomically(path, environment.get_template(template).render(content))


def data_uri(data: bytes) -> str:
    """The picture as a data: address."""
    kind = _KINDS.get(data[:4])
    if kind is None:
        raise InputError(f"A picture starts with the bytes {data[:4]!r}; needed: a PNG or GIF file.")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def anchor(*parts: object) -> str:
    """Name of a place in the page."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(map(str, parts)).lower()).strip("-")


def words(term: str) -> str:
    """ "lane offset, m" of lane_offset_m."""
    name, metres, _ = term.rpartition("_m") if term.endswith("_m") else (term, "", "")
    return name.replace("_", " ") + (", m" if metres else "")


def points(value: float) -> str:
    """Two decimals with a true minus sign, and no minus zero."""
    return "0.00" if abs(value) < SMALL_POINTS else f"{value:.2f}".replace("-", "−")


def short(value: float) -> str:
    """Three decimals at most."""
    return f"{round(value, 3):.3g}".replace("-", "−")


def tone(value: float, plans: Sequence[PlanRow]) -> float:
    """How strongly to shade a cell, 0 to 1: the root of its share of the largest, so that small costs still show."""
    largest = max((abs(p) for plan in plans for p in plan.points.values()), default=0.0)
    return round((abs(value) / largest) ** 0.5, 2) if largest > 0 else 0.0


def reason(plan: PlanRow, chosen: PlanRow) -> str:
    """Why the plan was not chosen, in words."""
    term, lost = plan.decided_by(chosen)
    if lost > -SMALL_POINTS:
        return "equal on every term"
    behind = chosen.total - plan.total
    return f"{points(behind)} behind; loses {points(-lost)} on {words(term).removesuffix(', m')}"
