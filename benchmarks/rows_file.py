"""A rows file: Parquet with one row per protocol, sample and step, which explains every collision.

| column | holds |
|---|---|
| sample, scene, protocol, step, time_s | which step; step 1 to 6 is 0.5 to 3 s after the keyframe `sample` |
| valid, counted | the step was recorded; its collision counts in the protocol |
| l2_m, plan_x_m, plan_y_m, truth_x_m, truth_y_m | plan and human, in the protocol's frame at the keyframe: x right, y forward |
| collision, truth_collision | the plan's own hit and the human's, before the protocol leaves steps out |
| hit, truth_hit | instances that they hit; empty at steps past a scene's end, which `uniad` calls hit |
| boxes | obstacles within 15 m of plan or human: instance, category, x_m, y_m, length_m, width_m, yaw_rad |
| slices | names of the slices that the sample is in |

The frame stands at LIDAR_TOP; for `bev_planner` at the rear axle, whose path it scores.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from drive_wm.benchmarks.planning_drive import DriveScores, Strings
from drive_wm.benchmarks.planning_input import Ints
from drive_wm.benchmarks.planning_rows import PlanRows
from drive_wm.benchmarks.planning_table import Evaluation
from drive_wm.errors import InputError
from drive_wm.files import write_atomically
from drive_wm.metrics.planning import PROTOCOLS, STEPS, Protocol

VERSION = 1
_KEY = b"drive_wm_rows"
_BOX = pa.struct(
    [("instance", pa.string()), ("category", pa.string())]
    + [(name, pa.float32()) for name in ("x_m", "y_m", "length_m", "width_m", "yaw_rad")]
)
_NAMES, _NUMBER, _FLAG = pa.list_(pa.string()), pa.float64(), pa.bool_()
SCHEMA = pa.schema(
    [
        ("sample", pa.string()), ("scene", pa.string()), ("protocol", pa.string()), ("step", pa.int8()), ("time_s", _NUMBER),
        ("valid", _FLAG), ("counted", _FLAG), ("l2_m", _NUMBER), ("plan_x_m", _NUMBER), ("plan_y_m", _NUMBER),
        ("truth_x_m", _NUMBER), ("truth_y_m", _NUMBER), ("collision", _FLAG), ("truth_collision", _FLAG), ("hit", _NAMES),
        ("truth_hit", _NAMES), ("boxes", pa.list_(_BOX)), ("slices", _NAMES),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class SavedRows:
    """What a rows file holds of one protocol, in the order of the file."""

    rows: PlanRows
    samples: tuple[str, ...]  # (S,)
    scene: tuple[str, ...]  # (S,)
    slices: tuple[tuple[str, ...], ...]  # (S,)
    truths_m: Any  # (S, 6, 2)


def write_rows(path: Path, evaluation: Evaluation) -> None:
    """Write every row of an evaluation."""
    drives = [drive for drives in evaluation.scores.values() for drive in drives]
    about = {"version": VERSION, "planner": evaluation.planner, **evaluation.about}
    table = pa.concat_tables([_table(drive) for drive in drives]).replace_schema_metadata({_KEY: json.dumps(about)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=30_000)
    write_atomically(path, buffer.getvalue())


def _table(drive: DriveScores) -> pa.Table:
    rows, near, count = drive.rows, drive.obstacles, len(drive.samples)
    sample = np.repeat(np.arange(count), STEPS)
    step = np.tile(np.arange(1, STEPS + 1), count)
    exists = rows.valid.reshape(-1)
    plan, truth = drive.plans_m.reshape(-1, 2), drive.truths_m.reshape(-1, 2)
    columns = {
        "sample": np.array(drive.samples, object)[sample],
        "scene": np.full(len(sample), drive.scene, object),
        "protocol": np.full(len(sample), rows.protocol, object),
        "step": step.astype(np.int8),
        "time_s": step / 2,
        **{name: getattr(rows, name).reshape(-1) for name in ("valid", "counted", "l2_m", "collision", "truth_collision")},
        "plan_x_m": plan[:, 0],
        "plan_y_m": plan[:, 1],
        "truth_x_m": pa.array(truth[:, 0], mask=~exists),
        "truth_y_m": pa.array(truth[:, 1], mask=~exists),
        "hit": _lists(near.instance[near.hit], near.owner[near.hit], len(sample)),
        "truth_hit": _lists(near.instance[near.truth_hit], near.owner[near.truth_hit], len(sample)),
        "boxes": _boxes(drive, len(sample)),
        "slices": pa.array([drive.slices[i] for i in sample], _NAMES),
    }
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def _lists(values: Strings | pa.Array, owner: Ints, count: int) -> pa.ListArray:
    """Per row the list of its values; owner is ascending."""
    items = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    return pa.ListArray.from_arrays(np.searchsorted(owner, np.arange(count + 1)).astype(np.int32), items)


def _boxes(drive: DriveScores, count: int) -> pa.ListArray:
    near = drive.obstacles
    numbers = [pa.array(column.astype(np.float32)) for column in near.boxes.T]
    names = [pa.array(near.instance, pa.string()), pa.array(near.category, pa.string())]
    return _lists(pa.StructArray.from_arrays(names + numbers, fields=list(_BOX)), near.owner, count)


def read_about(path: Path) -> dict[str, Any]:
    """Planner and how it was run; FileNotFoundError, or InputError for what is not a rows file of this version."""
    if not path.is_file():
        raise FileNotFoundError(f"No rows at {path}. Write them with `drive-wm evaluate planning --rows {path}`.")
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path} is not a Parquet file ({error}). Write it with `drive-wm evaluate planning --rows`."
        ) from error
    about = json.loads((schema.metadata or {}).get(_KEY, b"{}"))
    if about.get("version") != VERSION or not schema.remove_metadata().equals(SCHEMA):
        raise InputError(
            f"{path} is not a rows file of version {VERSION} (found version {about.get('version')}, columns "
            f"{', '.join(schema.names[:6])}...). Write it anew with `drive-wm evaluate planning --rows`."
        )
    return dict(about)


def read_rows(path: Path) -> dict[Protocol, SavedRows]:
    """All that is needed to compare and to average, per protocol."""
    read_about(path)
    return {protocol: saved for protocol in PROTOCOLS if (saved := _saved(path, protocol)).samples}


def _saved(path: Path, protocol: Protocol) -> SavedRows:
    names = ["sample", "scene", "slices", "truth_x_m", "truth_y_m", *_PLAN_ROWS]
    table = pq.read_table(path, columns=names, filters=[("protocol", "==", protocol)])
    first = table.take(np.arange(0, len(table), STEPS))
    grids = {name: table[name].to_numpy().reshape(-1, STEPS) for name in _PLAN_ROWS}
    truth = [table[name].to_numpy().reshape(-1, STEPS) for name in ("truth_x_m", "truth_y_m")]
    return SavedRows(
        PlanRows(protocol, **grids),
        tuple(first["sample"].to_pylist()),
        tuple(first["scene"].to_pylist()),
        tuple(tuple(names) for names in first["slices"].to_pylist()),
        np.stack(truth, -1),
    )


_PLAN_ROWS = ("l2_m", "collision", "truth_collision", "counted", "valid")


def read_sample(path: Path, sample: str) -> dict[Protocol, list[dict[str, Any]]]:
    """The six rows of one sample under each protocol; InputError where the file does not hold it."""
    read_about(path)
    rows = pq.read_table(path, filters=[("sample", "==", sample)]).to_pylist()
    if not rows:
        some = pq.ParquetFile(path).read_row_group(0, columns=["sample"])["sample"].unique().to_pylist()[:3]
        raise InputError(f"{path} holds no sample {sample!r}; it holds {', '.join(some)} and others. Pass one with --sample.")
    return {protocol: found for protocol in PROTOCOLS if (found := [row for row in rows if row["protocol"] == protocol])}
