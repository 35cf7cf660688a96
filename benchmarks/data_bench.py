"""Reading nuScenes: drive_wm beside the devkit and trajdata, on the same dataroot, one after the other on one core each."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from drive_wm.benchmarks import data_readers
from drive_wm.datasets.nuscenes_tables import scene_names
from drive_wm.errors import InputError

PEER = Path("build/trajdata")
# What trajdata 1.4.0 runs with: it is older than NumPy 2, pandas 3 and zarr 3, and its own pin of the devkit needs shapely 1.
PINS = (
    "trajdata==1.4.0", "nuscenes-devkit==1.2.0", "numpy==1.26.4", "pandas==2.3.3", "shapely==2.0.7", "geopandas==1.0.1",
    "zarr==2.18.7", "numcodecs==0.15.2", "pyarrow==21.0.0", "protobuf==3.19.4",
)  # fmt: skip
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
Progress = Callable[[int, int, str], None]  # finished, of how many, which


def bench_readers(
    root: Path | None, version: str, split: str, samples: int, peer_python: Path | None, progress: Progress
) -> list[dict[str, Any]]:
    """One row per reader: samples_per_second, load_seconds (tables and whole maps), peak_mib; `ratio` of ours to theirs. Two
    more: "trajdata, with lanes", and "drive_wm's cache", of what was prepared, read as training does.

    A reader that cannot be installed or fails has a row with the reason under `absent` and no number.
    """
    if root is None:
        raise InputError("No nuScenes folder was given. Pass --root, or make one: python -m drive_wm.benchmarks.trainval_size.")
    scene_names(root, version, split)  # what is wrong with the dataroot is told before anything is installed
    rows = []
    for done, reader in enumerate(data_readers.READERS):
        progress(done, len(data_readers.READERS), reader)
        python = Path(sys.executable)
        try:
            if reader == "trajdata":
                python = peer_python or trajdata_python()
            rows += run_reader(python, reader, root, version, split, samples)
        except (subprocess.CalledProcessError, OSError) as error:
            if reader == "drive_wm":
                raise InputError(f"drive_wm itself could not read {root / version}: {_reason(error)}") from error
            rows.append({"reader": reader, "absent": _reason(error)})
    progress(len(data_readers.READERS), len(data_readers.READERS), "")
    return list(with_ratio(rows))


def run_reader(python: Path, reader: str, root: Path, version: str, split: str, samples: int) -> list[dict[str, Any]]:
    """The rows that a reader prints; CalledProcessError with its last words where it fails."""
    command = [str(python), data_readers.__file__, reader, str(root.resolve()), version, split, str(samples)]
    done = subprocess.run(command, env=os.environ | ONE_CORE, capture_output=True, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def with_ratio(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of readers with `ratio`: how many times as many samples a second drive_wm reads."""
    ours = rows[0].get("samples_per_second")
    for row in rows:
        theirs = row.get("samples_per_second") if row["reader"] != "drive_wm's cache" else None
        yield row | ({"ratio": ours / theirs} if ours and theirs else {})


def trajdata_python(folder: Path = PEER, pins: tuple[str, ...] = PINS) -> Path:
    """The Python of an environment with trajdata, made on first use."""
    python, ready = folder / "bin" / "python", folder / ".ready"
    if not ready.is_file() or ready.read_text() != " ".join(pins):
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins]
        subprocess.run(install, capture_output=True, text=True, check=True)
        ready.write_text(" ".join(pins))
    return python


def _reason(error: subprocess.CalledProcessError | OSError) -> str:
    """The last line that a process said."""
    said = error.stderr.strip().splitlines() if isinstance(error, subprocess.CalledProcessError) else []
    return said[-1] if said else str(error)
