"""Files appear whole or not at all."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drive_wm.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, *parts: bytes | memoryview | str) -> None:
    """Write parts, one after the other, under a temporary name beside `path`, then rename. InputError where the disk is full;
    `path` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    data = [part.encode() if isinstance(part, str) else part for part in parts]
    try:
        with temporary.open("wb") as file:
            file.writelines(data)
        temporary.replace(path)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise InputError(
            f"No space is left to write {path} ({sum(map(len, data)):,} bytes). Free some and run the same command again, "
            "or name another disk: what was finished before is kept."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder to this process; InputError where another one has it. A process that dies, however, lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise InputError(
                f"Process {file.read().strip()} is writing to {folder}. Wait for it, or name another folder with --out."
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}")
        file.flush()
        yield
