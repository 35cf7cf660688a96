"""A cache folder: manifest.json, and per drive NAME.log.safetensors and NAME.scenes.safetensors.

Files appear whole, drive by drive, and the manifest last: an interrupted run leaves drives that the next takes over.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path

from drive_wm.datasets.engines import Engine, engine_named
from drive_wm.datasets.manifest import Manifest, Settings, Shard, Views, need_same, read_manifest, settings_of
from drive_wm.datasets.shards import discard_unusable, need_settings, need_sizes, read_drive, read_scenes, write_drive
from drive_wm.errors import InputError
from drive_wm.files import locked, write_atomically
from drive_wm.log import Log
from drive_wm.scene import Future, Scene, SceneConfig

Progress = Callable[[int, int, str], None]  # finished drives, of how many (0: unknown), what just happened


def write_cache(
    logs: Iterator[Log],
    out: Path,
    source: str,
    version: str,
    split: str,
    config: SceneConfig,
    progress: Progress,
    source_files: dict[str, int] | None = None,
    drives: int = 0,
    engine: str = "local",
    workers: int = 1,
    defects: Callable[[], dict[str, int]] = dict,
    files_now: Callable[[], dict[str, int]] | None = None,
    rebuild: bool = False,
) -> Manifest:
    """Write two files per drive, then the manifest; a finished cache and finished drives stay as they are.

    `source_files` (name: bytes) tells data apart that share a version, and `files_now` says what they are when all is
    read; `drives` is for progress alone, `defects` counts what the source lacks. `rebuild` first deletes the drives that
    are damaged or were prepared from something else. InputError where another process writes there.
    """
    run = engine_named(engine, workers)
    settings = settings_of(source, version, split, source_files or {}, config)
    if not rebuild and (done := finished(out, settings)):
        n = len(done.shards)
        progress(n, n, f"{out} already holds this: {n} drives, {done.samples} scenes")
        return done
    with locked(out):
        if rebuild:
            _make_room(out, settings, progress)
        shards = _write_drives(run, logs, out, settings, config, progress, drives)
        if not shards:
            raise InputError(f"{source} {version} {split} gave no drive. Choose another split or version.")
        if files_now and files_now() != settings.source_files:
            changed = sorted(dict(settings.source_files.items() ^ files_now().items()))
            raise InputError(
                f"{', '.join(changed)} changed while {source} was read. Run the same command again with --rebuild."
            )
        created = datetime.now(UTC).isoformat(timespec="seconds")
        manifest = Manifest(created=created, settings=settings, defects=defects(), shards=tuple(shards))
        write_atomically(out / "manifest.json", manifest.model_dump_json(indent=1))
    return manifest


def _make_room(out: Path, settings: Settings, progress: Progress) -> None:
    """Delete the manifest and every drive that cannot stay."""
    try:
        shards = read_manifest(out).shards
    except (InputError, FileNotFoundError):
        shards = ()  # whatever is there is judged by itself
    gone = discard_unusable(out, settings, shards)
    (out / "manifest.json").unlink(missing_ok=True)
    progress(0, 0, f"to be made anew: {', '.join(gone) or 'nothing'}")


def _write_drives(
    run: Engine, logs: Iterator[Log], out: Path, settings: Settings, config: SceneConfig, progress: Progress, drives: int
) -> list[Shard]:
    shards = []
    for shard, note in run(partial(write_drive, out=out, settings=settings, config=config), _unique(logs)):
        shards.append(shard)
        progress(len(shards), drives, f"{shard.name}: {note}")
    return shards


def finished(out: Path, settings: Settings) -> Manifest | None:
    """The manifest of a finished cache with these settings, None where there is none yet; InputError where others are."""
    if (out / "manifest.json").is_file():
        manifest = open_cache(out).manifest
        need_same(out, manifest.settings, settings)
        return manifest
    need_settings(out, settings)
    return None


@dataclass(frozen=True)
class Cache:
    """A finished cache; drives by index, scenes by one flat index over all drives."""

    path: Path
    manifest: Manifest

    def __len__(self) -> int:
        """Number of drives."""
        return len(self.manifest.shards)

    @property
    def samples(self) -> int:
        """Number of scenes, the bound of `sample`."""
        return self.manifest.samples

    def log(self, i: int) -> Log:
        return read_drive(self.path, self.manifest.shards[i])

    def scenes(self, i: int, views: Views = "all") -> tuple[Scene, Future]:
        """Scenes of drive i, stacked on B: every keyframe seen from the ego, every target of the log, or all, in that order."""
        shard = self.manifest.shards[i]
        return read_scenes([(self.path, shard, shard.span(views))])

    def alone(self, i: int) -> "Cache":
        """The same cache with drive i only, which takes little to send elsewhere."""
        return Cache(self.path, self.manifest.model_copy(update={"shards": (self.manifest.shards[i],)}))

    def sample(self, j: int) -> tuple[Scene, Future]:
        """Scene and Future with B = 1."""
        return read_samples([(self, j)])

    def place(self, j: int) -> tuple[int, int]:
        """Drive of sample j, and which of its scenes it is."""
        if not 0 <= j < self.samples:
            raise IndexError(f"Sample {j} of a cache with {self.samples}")
        i = bisect_right(self._ends, j)
        return i, j - (self._ends[i] - self.manifest.shards[i].views)

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(shard.views for shard in self.manifest.shards))


def read_samples(places: Sequence[tuple[Cache, int]]) -> tuple[Scene, Future]:
    """Samples of some caches, stacked on B: the quickest way to a batch."""
    at = [(cache, *cache.place(j)) for cache, j in places]
    return read_scenes([(cache.path, cache.manifest.shards[i], range(k, k + 1)) for cache, i, k in at])


def open_cache(path: Path) -> Cache:
    """Open a finished cache. Sizes are compared now, hashes when a process first reads a file."""
    manifest = read_manifest(path)
    for shard in manifest.shards:
        need_sizes(path, shard)
    return Cache(path, manifest)


def open_caches(paths: Sequence[Path], only: Sequence[str] = (), leave_out: Sequence[str] = ()) -> list[Cache]:
    """Open caches with some drives only, or without some; raises InputError for a drive that none holds."""
    caches = [open_cache(path) for path in paths]
    names = [shard.name for cache in caches for shard in cache.manifest.shards]
    unknown = [name for name in (*only, *leave_out) if name not in names]
    if unknown:
        held = ", ".join(names[:12]) + ", ..." * (len(names) > 12)
        raise InputError(f"{', '.join(map(str, paths))} hold no drive {', '.join(unknown)}; they hold {held}.")
    kept = [tuple(s for s in c.manifest.shards if (not only or s.name in only) and s.name not in leave_out) for c in caches]
    if not any(kept):
        raise InputError(f"No drive of {', '.join(map(str, paths))} is left. Name fewer with --leave-out.")
    return [
        replace(cache, manifest=cache.manifest.model_copy(update={"shards": shards}))
        for cache, shards in zip(caches, kept, strict=True)
        if shards
    ]


def _unique(logs: Iterator[Log]) -> Iterator[Log]:
    seen: set[str] = set()
    for log in logs:
        if log.name in seen:
            raise InputError(f"Two drives of {log.source} are named {log.name!r}; names must differ. Rename one.")
        seen.add(log.name)
        yield log
