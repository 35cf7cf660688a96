"""A folder of synthetic traffic with a summary in it, whole or not at all."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ValidationError

from drive_wm.errors import InputError

SUMMARY = "synth.json"
FORMAT = 2  # of what is written: another one gives other bytes for the same seed
Progress = Callable[[int, int, str], None]  # finished scenes, of how many, what just happened


class Summary(BaseModel):
    """What a synthetic folder holds; stored in it as synth.json."""

    format: int = FORMAT
    kind: str  # "nuscenes", "branches"
    scenes: int
    seed: int
    networks: dict[str, int] = {}  # scenes per kind of network
    events: dict[str, int] = {}  # scenes per rare event, or per action of the ego
    categories: dict[str, int] = {}  # road users per nuScenes category
    rows: dict[str, int] = {}  # per table of a dataroot


def write_folder(out: Path, wanted: Summary, write: Callable[[Path], Summary], progress: Progress) -> Summary:
    """Let `write` fill a folder beside `out`, then rename it; a finished one with the same settings stays as it is.

    Raises InputError where `out` holds anything else.
    """
    done = _finished(out, wanted)
    if done:
        progress(wanted.scenes, wanted.scenes, f"{out} already holds this")
        return done
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        summary = write(temporary)
        (temporary / SUMMARY).write_text(json.dumps(summary.model_dump(), indent=1) + "\n")
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return summary


def _finished(out: Path, wanted: Summary) -> Summary | None:
    """The summary of a finished folder with these settings, None where there is nothing yet."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        found = Summary.model_validate_json((out / SUMMARY).read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{out} exists and was not written by `drive-wm synth`. Pass a new folder with --out.") from error
    for field in ("format", "kind", "scenes", "seed"):
        if getattr(found, field) != getattr(wanted, field):
            raise InputError(
                f"{out} holds synthetic traffic with {field} {getattr(found, field)}, not {getattr(wanted, field)}. "
                "Pass another folder with --out, or delete this one."
            )
    return found
