"""Whatever happens to a cache while it is written, or after: one clear error, nothing lost, and the same bytes in the end."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from drive_wm.datasets.cache import open_cache, write_cache
from drive_wm.errors import InputError
from drive_wm.files import locked
from drive_wm.scene import SceneConfig

CONFIG = SceneConfig(agents=4, lanes=8, elements=8)


@pytest.fixture
def write(tmp_path, make_log):
    """write(split, ...) -> the manifest of drives a, b and c."""

    def run(split="all", folder="cache", logs=None, **options):
        logs = logs or [make_log(name, 3) for name in "abc"]
        news = lambda *news: None  # noqa: E731
        return write_cache(iter(logs), tmp_path / folder, "hand", "1", split, CONFIG, news, **options)

    return run


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}


@pytest.mark.parametrize("name", ["b.scenes.safetensors", "b.log.safetensors"])
@pytest.mark.parametrize("finished", [True, False], ids=["finished", "unfinished"])
def test_a_file_cut_anywhere_is_named_and_made_anew_on_request(write, tmp_path, name, finished):
    write()
    whole, path = content(tmp_path / "cache"), tmp_path / "cache" / name
    if not finished:
        (tmp_path / "cache" / "manifest.json").unlink()
    length = len(whole[name])
    for size in (*range(0, 12), *range(12, length, max(1, length // 40)), length - 1):
        path.write_bytes(whole[name][:size])
        with pytest.raises(InputError, match=rf"{name} is damaged.*--rebuild"):
            write()
        assert path.stat().st_size == size, "not touched unasked"
    write(rebuild=True)
    assert content(tmp_path / "cache") == whole


def test_a_changed_byte_is_found_when_read_and_repaired_alone(write, tmp_path):
    write()
    folder = tmp_path / "cache"
    whole, untouched = content(folder), (folder / "a.scenes.safetensors").stat().st_mtime_ns
    data = bytearray(whole["b.scenes.safetensors"])
    data[-1] ^= 1
    (folder / "b.scenes.safetensors").write_bytes(data)
    assert write().samples == 9, "a second prepare reads no data"
    with pytest.raises(InputError, match=r"b.scenes.safetensors is damaged \(its SHA-256"):
        open_cache(folder).scenes(1)
    write(rebuild=True)
    assert content(folder) == whole
    assert (folder / "a.scenes.safetensors").stat().st_mtime_ns == untouched


def test_a_drive_of_something_else_is_named_and_replaced_on_request(write, tmp_path):
    write(split="other", folder="other")
    write()
    folder = tmp_path / "cache"
    whole = content(folder)
    (folder / "manifest.json").unlink()
    for path in (tmp_path / "other").glob("c.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"c.scenes.safetensors was prepared from something else: split is 'other', not 'all'"):
        write()
    write(rebuild=True)
    assert content(folder) == whole


def test_another_version_is_replaced_on_request(write, tmp_path):
    write()
    whole = content(tmp_path / "cache")
    manifest = json.loads((tmp_path / "cache" / "manifest.json").read_text())
    manifest["settings"]["cache_version"] -= 1
    (tmp_path / "cache" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="is a cache of version"):
        write()
    write(rebuild=True)
    assert content(tmp_path / "cache") == whole


@pytest.mark.parametrize("full_at", range(7), ids=lambda n: f"write {n}")
def test_a_full_disk_is_told_and_what_was_finished_is_kept(write, tmp_path, monkeypatch, full_at):
    """Six files and the manifest are written; any of them may be the one that no longer fits."""
    write(folder="whole")
    really, done = Path.open, []

    class FullDisk(io.FileIO):
        def writelines(self, parts):
            content = b"".join(parts)
            self.write(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.name)

    def open_(path, mode="r", *rest, **named):
        if mode != "wb":
            return really(path, mode, *rest, **named)
        done.append(path)
        return FullDisk(path, "wb") if len(done) == full_at + 1 else really(path, mode, *rest, **named)

    monkeypatch.setattr(Path, "open", open_)
    with pytest.raises(InputError, match=r"No space is left to write .*Free some"):
        write()
    monkeypatch.undo()
    assert len(content(tmp_path / "cache")) == min(full_at, 6)
    assert list((tmp_path / "cache").glob(".*.tmp")) == []
    write()
    assert content(tmp_path / "cache") == content(tmp_path / "whole")


def test_a_second_process_is_told_who_writes(write, tmp_path):
    with locked(tmp_path / "cache"), pytest.raises(InputError, match=f"Process {os.getpid()} is writing to"):
        write()
    assert write().samples == 9, "the lock is gone"


def test_a_dataroot_that_changes_meanwhile_gives_no_manifest(write, tmp_path):
    with pytest.raises(InputError, match=r"scene.json changed while hand was read.*--rebuild"):
        write(source_files={"scene.json": 7, "map.json": 1}, files_now=lambda: {"scene.json": 8, "map.json": 1})
    assert not (tmp_path / "cache" / "manifest.json").exists()
    with pytest.raises(InputError, match="source_files"):
        write(source_files={"scene.json": 8, "map.json": 1})
    write(source_files={"scene.json": 8, "map.json": 1}, rebuild=True)


KILLED = """
import sys
from pathlib import Path
from time import sleep
from drive_wm.datasets.cache import write_cache
from drive_wm.log import read_log
from drive_wm.scene import SceneConfig

def logs():
    for path in sorted(Path(sys.argv[1]).glob("*.log.safetensors")):
        yield read_log(path)
        sleep(0.2)

write_cache(logs(), Path(sys.argv[2]), "hand", "1", "all", SceneConfig(agents=4, lanes=8, elements=8), lambda *news: None)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(write, tmp_path):
    write(folder="whole")
    out = tmp_path / "cache"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "whole"), str(out)])
    began = monotonic()
    while not (out / "a.scenes.safetensors").exists() and monotonic() - began < 60:
        sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was still at work"
    (out / ".b.scenes.safetensors.1.tmp").write_bytes(b"half")
    assert write().samples == 9
    assert content(out) == content(tmp_path / "whole")
