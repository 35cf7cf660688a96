"""Label files of nuscenes_pred: one row per vehicle and keyframe, as AgentFormer's conversion writes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drive_wm.errors import InputError
from drive_wm.log import Bools, Floats, Ints

EGO = 99  # the id of the ego's rows
FUTURE = 12  # rows that follow each target
CLASSES = ("Car", "Truck", "Bus", "Construction", "Emergency")
COLUMNS = (18, 20)
# Columns: 0 frame, 1 id, 2 class, 10 width, 12 length, 13 x, 15 y, 16 yaw, 17 whether the challenge asks for this row. The
# last two of twenty are not the flag, though AgentFormer's own loader takes the last column for it.
_NUMBERS = (10, 12, 13, 15, 16)


@dataclass(frozen=True)
class Rows:
    """A scene's rows in the file's order, global frame."""

    frame: Ints  # (N,) steps of 0.5 s
    id: Ints  # (N,) of the vehicle, 99 for the ego
    category: tuple[str, ...]  # (N,)
    size_m: Floats  # (N, 2) length, width
    position_m: Floats  # (N, 2) box centre, of the ego its rear axle
    yaw_rad: Floats  # (N,)
    asked: Bools  # (N,) whether the challenge asks for the six seconds that follow

    @property
    def frames(self) -> Ints:
        """The keyframes that have rows, in order; where numbers are skipped, nothing was recorded."""
        return np.unique(self.frame)

    @property
    def has_ego(self) -> bool:
        return bool((self.id == EGO).any())

    @property
    def runs(self) -> list[Ints]:
        """The keyframes in runs without a gap."""
        return np.split(self.frames, np.flatnonzero(np.diff(self.frames) > 1) + 1)


def read_rows(path: Path) -> Rows:
    """Read a label file; InputError names the line of the first row that is not as it should be."""
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text ({error}). Copy it again.") from error
    rows = [_row(path, i, line.split()) for i, line in enumerate(lines, 1)]
    if not rows:
        raise InputError(f"{path} is empty; needed: a row per vehicle and keyframe. Copy it again.")
    frame, id, category, numbers, flag = zip(*rows, strict=True)
    width_m, length_m, x_m, y_m, yaw_rad = np.array(numbers).T
    ids = np.array(id)
    found = Rows(
        frame=np.array(frame),
        id=ids,
        category=category,
        size_m=np.stack([length_m, width_m], axis=1),
        position_m=np.stack([x_m, y_m], axis=1),
        yaw_rad=yaw_rad,
        asked=np.array(flag) & (ids != EGO),  # the ego's rows are all flagged
    )
    for line, problem in _problems(found):
        raise _error(path, line, problem)
    return found


def _row(path: Path, line: int, words: list[str]) -> tuple[int, int, str, list[float], bool]:
    if len(words) not in COLUMNS:
        raise _error(path, line, f"{len(words)} columns; needed: {COLUMNS[0]}, or {COLUMNS[1]}")
    try:
        frame, id, flag, *numbers = (float(words[column]) for column in (0, 1, 17, *_NUMBERS))
    except ValueError as error:
        raise _error(path, line, f"a value that is no number ({error})") from error
    if not (frame.is_integer() and id.is_integer() and frame >= 0 and id >= 0):
        raise _error(path, line, f"frame {frame:g} and id {id:g}; needed: whole numbers from 0 on")
    if words[2] not in CLASSES:
        raise _error(path, line, f"class {words[2]!r}; needed: one of {', '.join(CLASSES)}")
    if not np.isfinite(numbers).all() or min(numbers[:2]) <= 0:
        raise _error(path, line, f"width, length, x, y, yaw {numbers}; needed: finite numbers and sizes above 0 m")
    if flag not in (0, 1):
        raise _error(path, line, f"{flag:g} in column 17; needed: 1 for a target, 0 for any other row")
    return int(frame), int(id), words[2], numbers, flag == 1


def _problems(rows: Rows) -> Iterator[tuple[int, str]]:
    """Lines that do not fit the others."""
    keys = list(zip(rows.id.tolist(), rows.frame.tolist(), strict=True))
    first: dict[tuple[int, int], int] = {}
    for line, (id, frame) in enumerate(keys, 1):
        if first.setdefault((id, frame), line) != line:
            yield line, f"vehicle {id} at frame {frame} a second time, after line {first[id, frame]}"
    for line, ((id, frame), asked) in enumerate(zip(keys, rows.asked, strict=True), 1):
        if rows.has_ego and (EGO, frame) not in first:
            yield line, f"frame {frame}, which has no row of the ego (id {EGO}); needed: one in each frame or in none"
        if asked and any((id, frame + step) not in first for step in range(1, FUTURE + 1)):
            yield line, f"a target, vehicle {id} at frame {frame}, without all of the {FUTURE} rows that follow it"


def _error(path: Path, line: int, problem: str) -> InputError:
    return InputError(f"{path}, line {line}, has {problem}. Copy the file again, or take it out of its folder.")
