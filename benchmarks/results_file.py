"""Result files: what was measured, by which command, on which machine, with which versions."""

import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from drive_wm.errors import InputError
from drive_wm.files import write_atomically

_KEYS = ("command", "created", "machine", "versions", "seed", "rows")
_KINDS = {"command": str, "created": str, "machine": dict, "versions": dict, "rows": list}
_PACKAGES = (
    "drive-wm", "torch", "torch-geometric", "numpy", "nuscenes-devkit", "shapely", "opencv-python-headless", "onnxruntime",
)  # fmt: skip


@dataclass(frozen=True)
class Results:
    """One result file; the first row without a "slice" key is the whole set."""

    command: str
    created: str  # ISO 8601, UTC
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    seed: int | None
    rows: Sequence[Mapping[str, Any]]  # flat: text, numbers, booleans, None


def write_results(path: Path, rows: Iterable[Mapping[str, Any]], seed: int | None, command: str | None = None) -> None:
    """Write a result file; a number that is not finite becomes null. The command is this process's own by default."""
    found = {
        "command": command or shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "seed": seed,
        "rows": [{key: _plain(value) for key, value in row.items()} for row in rows],
    }
    write_atomically(path, json.dumps(found, indent=1, allow_nan=False) + "\n")


def read_results(path: Path) -> Results:
    """Read a result file; InputError where it is not one."""
    if not path.is_file():
        raise FileNotFoundError(f"No results at {path}. Every command that measures writes them with --json {path}.")
    try:
        found = json.loads(path.read_text(), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}). Measure again with --json {path}.") from error
    lacks = [key for key in _KEYS if not isinstance(found, dict) or key not in found]
    if lacks:
        raise InputError(f"{path} lacks {', '.join(lacks)}; needed: {', '.join(_KEYS)}. Measure again with --json {path}.")
    faulty = [key for key, kind in _KINDS.items() if not isinstance(found[key], kind)]
    if faulty:
        needed = ", ".join(f"{key} ({_KINDS[key].__name__})" for key in faulty)
        raise InputError(f"{path} holds something else where this is needed: {needed}. Measure again with --json {path}.")
    nested = [i for i, row in enumerate(found["rows"]) if not _flat(row)]
    if nested:
        some = ", ".join(map(str, nested[:3]))
        raise InputError(
            f"{path}: {len(nested)} of {len(found['rows'])} rows are not flat objects (first: {some}, counted from 0); needed: "
            f"text, numbers, booleans and null under names. Measure again with --json {path}."
        )
    return Results(**{key: found[key] for key in _KEYS})


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _flat(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and bool(row)
        and all(value is None or isinstance(value, (str, int, float)) for value in row.values())
    )


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, memory, platform, accelerator."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": _cpu(), "cores": cores, "memory_gib": round(memory, 1), "platform": platform.platform(), "gpu": _gpu()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on; "absent" for what is not installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].split(":", 1)[1].strip() if names else platform.processor() or platform.machine()


def _gpu() -> str:
    import torch  # here, since reading a result file needs no torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def _plain(value: Any) -> Any:
    """A Python scalar from a NumPy or torch one."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
