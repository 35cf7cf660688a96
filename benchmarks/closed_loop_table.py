"""Closed-loop results as flat rows, for a result file and for a rows file.

| key | holds |
|---|---|
| planner, traffic | what drove the ego and the others |
| horizon_s | seconds per start; 0 where drives ran to their end |
| n, scenes | starts, and the drives that they are of |
| pdms, epdms | NAVSIM's scores, means over the starts; `_low` and `_high` end their 95 % intervals by scene |
| no_at_fault_collision ... comfort_nuplan | means of the terms (`metrics.pdm_score.PdmTerms`), null where no map gave one |
| human_pdms, human_epdms | the human's own path, followed by the same car among recorded traffic |
| without | terms that were not measurable anywhere, and so are in no score |
| traffic_lights | "none in the data": the term traffic_light is 1 throughout |
| slice | a part of the starts, as in open-loop planning; the first row, the whole set, has none |

A rows file (Parquet) has one row per start: planner, traffic, horizon_s, scene, step, sample, slices, the terms, pdms, epdms,
human_pdms, human_epdms.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from drive_wm.benchmarks.bootstrap import draws, interval, sums_by_scene
from drive_wm.benchmarks.planning_input import Bools, Floats, Ints
from drive_wm.benchmarks.planning_slices import SLICES
from drive_wm.files import write_atomically
from drive_wm.metrics.pdm_score import PdmTerms, epdms, pdms
from drive_wm.structs import cat, tensors

LIGHTS = "none in the data"


@dataclass(frozen=True)
class DriveTerms:
    """The S starts of one drive."""

    scene: str
    steps: tuple[int, ...]  # (S,) keyframes
    samples: tuple[str, ...]  # (S,) their names
    slices: tuple[tuple[str, ...], ...]  # (S,)
    terms: PdmTerms  # (S,)
    human: PdmTerms  # (S,)


@dataclass(frozen=True)
class ClosedLoop:
    """One planner among one kind of traffic."""

    planner: str
    traffic: str
    horizon_s: float
    drives: tuple[DriveTerms, ...]

    def table(self) -> list[dict[str, Any]]:
        """The whole set, then every slice."""
        figures = self._figures()
        scene = np.repeat(np.arange(len(self.drives)), [len(drive.steps) for drive in self.drives])
        slices = [names for drive in self.drives for names in drive.slices]
        found = {name for names in slices for name in names}
        parts = ("", *(name for name in SLICES if name in found), *sorted(found - set(SLICES)))
        return [
            self._row(figures, scene, np.array([not part or part in names for names in slices], bool), part) for part in parts
        ]

    def rows(self) -> list[dict[str, Any]]:
        """One row per start."""
        figures = self._figures()
        named = [
            {"scene": drive.scene, "step": step, "sample": sample, "slices": list(names)}
            for drive in self.drives
            for step, sample, names in zip(drive.steps, drive.samples, drive.slices, strict=True)
        ]
        return [
            {**self._about(), **named[i], **{name: _known(float(values[i])) for name, values in figures.items()}}
            for i in range(len(named))
        ]

    def _about(self) -> dict[str, Any]:
        return {"planner": self.planner, "traffic": self.traffic, "horizon_s": self.horizon_s}

    def _figures(self) -> dict[str, Floats]:
        """Every figure (S,) of all starts."""
        terms, human = (cat([getattr(drive, name) for drive in self.drives]) for name in ("terms", "human"))
        scores = {
            "pdms": pdms(terms),
            "epdms": epdms(terms, human),
            **tensors(terms),
            "human_pdms": pdms(human),
            "human_epdms": epdms(human, human),
        }
        return {name: values.to(torch.float64).numpy() for name, values in scores.items()}

    def _row(self, figures: dict[str, Floats], scene: Ints, chosen: Bools, part: str) -> dict[str, Any]:
        number = np.unique(scene[chosen], return_inverse=True)[1]
        row = {**self._about(), "n": int(chosen.sum()), "scenes": int(number.max()) + 1}
        for name, values in figures.items():
            row[name] = _mean(values[chosen])
            if name in ("pdms", "epdms"):
                row[f"{name}_low"], row[f"{name}_high"] = _interval(values[chosen], number)
        without = ", ".join(name for name, values in figures.items() if np.isnan(values[chosen]).all())
        return {**row, "without": without, "traffic_lights": LIGHTS, **({"slice": part} if part else {})}


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _interval(values: Floats, scene: Ints) -> tuple[float, float] | tuple[None, None]:
    """95 % interval of the mean of values (S,) when scenes (S,) are drawn anew; None for fewer than two."""
    count = sums_by_scene(np.ones(len(values)), scene)
    if len(count) < 2:
        return None, None
    drawn = draws(len(count))
    return interval((drawn @ sums_by_scene(values, scene)) / (drawn @ count))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def write_starts(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write one row per start as Parquet."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())
