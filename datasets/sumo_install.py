"""SUMO's own modules and programs, from the `sumo` extra."""

import contextlib
import importlib
import io
from types import ModuleType

from drive_wm.errors import InputError


def sumo_module(name: str) -> ModuleType:
    """Import a module of the `sumo` extra, silently."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"SUMO is not installed: no module {error.name or name}. Install it with `pip install 'drive-wm[sumo]'`."
        ) from error


def find_program(name: str) -> str:
    """Path of `sumo` or `netconvert`."""
    return str(sumo_module("sumolib").checkBinary(name))
