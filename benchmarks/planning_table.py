"""Evaluation: all that was scored, and the flat rows that a result file holds of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drive_wm.benchmarks.planning_drive import DriveScores
from drive_wm.benchmarks.planning_input import Ints
from drive_wm.benchmarks.planning_rows import PlanRows, join
from drive_wm.benchmarks.planning_slices import SLICES
from drive_wm.errors import InputError
from drive_wm.metrics.planning import Protocol

HUMAN = "log"  # the planner who drove the log


@dataclass(frozen=True)
class Evaluation:
    """One planner over some drives, under each protocol."""

    planner: str
    about: Mapping[str, Any]  # ego_status, command_origin, frames; rows add all_traffic = False where part of it was recorded
    scores: Mapping[Protocol, Sequence[DriveScores]]  # a drive each

    def table(self) -> list[dict[str, Any]]:
        """Per protocol one row for the planner and one for the human's own path ("log"); then the same for every slice.

        The whole set comes first and has no "slice". Raises InputError where no sample enters a protocol.
        """
        whole = {protocol: _joined(drives) for protocol, drives in self.scores.items()}
        slices = {protocol: [s for drive in drives for s in drive.slices] for protocol, drives in self.scores.items()}
        found = {name for per_sample in slices.values() for sample in per_sample for name in sample}
        table: list[dict[str, Any]] = []
        for part in ("", *(name for name in SLICES if name in found), *sorted(found - set(SLICES))):
            for protocol, (rows, scene) in whole.items():
                chosen = np.array([not part or part in sample for sample in slices[protocol]], bool)
                table += self._pair(protocol, rows.take(chosen), scene[chosen], part)
        return table

    def _pair(self, protocol: Protocol, rows: PlanRows, scene: Ints, part: str) -> list[dict[str, Any]]:
        """The planner's row and the human's; none for a slice without samples."""
        named = {"slice": part} if part else {}
        summary = rows.summary()
        if not summary["n"]:
            if part:
                return []
            raise InputError(f"No sample enters protocol {protocol!r}: no drive has enough keyframes. Leave it out.")
        of_log = {"ego_status": False, "command_origin": "none", "frames": 0}
        about = {**self.about, **({} if all(drive.all_traffic for drive in self.scores[protocol]) else {"all_traffic": False})}
        number = np.unique(scene, return_inverse=True)[1]
        human = rows.of_human()
        own = {"planner": self.planner, "protocol": protocol, **about, **summary, **rows.intervals(number), **named}
        control = {
            "planner": HUMAN, "protocol": protocol, **about, **of_log, **human.summary(), **human.intervals(number),
            **named,
        }  # fmt: skip
        return [control] if self.planner == HUMAN else [own, control]


def _joined(drives: Sequence[DriveScores]) -> tuple[PlanRows, Ints]:
    """The samples of all drives, and the number of the scene each is of (S,)."""
    scene = np.repeat([drive.scene for drive in drives], [len(drive.samples) for drive in drives])
    return join([drive.rows for drive in drives]), np.unique(scene, return_inverse=True)[1]
