"""Look at a Log: find it by the name a user types, and draw it as a picture, a moving picture or a Rerun recording."""

from pathlib import Path

from drive_wm.animation import animate, recorded
from drive_wm.datasets.cache import open_cache
from drive_wm.datasets.sumo_samples import SAMPLES, sample_logs
from drive_wm.errors import InputError
from drive_wm.figures import log_figure, png
from drive_wm.files import write_atomically
from drive_wm.log import Log, read_log
from drive_wm.rerun_log import rerun_recording
from drive_wm.scene_at import scene_at

FORMATS = (".png", ".gif")
NAMES_SHOWN = 12


def find_log(target: str) -> Log:
    """The Log of a file, of CACHE:NAME, of a cache with one drive, or a sample that ships with the package.

    Raises InputError or FileNotFoundError that lists what there is.
    """
    path = Path(target)
    if path.is_file():
        return read_log(path)
    folder, _, name = target.rpartition(":")
    if path.is_dir():
        folder, name = target, ""
    if folder:
        return _log_of_cache(Path(folder), name)
    if target in SAMPLES:
        return next(log for log in sample_logs() if log.name == target)
    raise FileNotFoundError(
        f"No log, cache or sample {target!r}. Type the path of a *.log.safetensors file, CACHE:NAME with a folder that "
        f"`drive-wm prepare` wrote, or one of the samples {', '.join(SAMPLES)}."
    )


def _log_of_cache(folder: Path, name: str) -> Log:
    cache = open_cache(folder)
    names = [shard.name for shard in cache.manifest.shards]
    if not name and len(names) == 1:
        return cache.log(0)
    if name not in names:
        more = f", ... ({len(names)} drives)" if len(names) > NAMES_SHOWN else ""
        wrong = f"no drive {name!r}" if name else f"{len(names)} drives"
        raise InputError(f"{folder} holds {wrong}. Type {folder}:NAME with one of: {', '.join(names[:NAMES_SHOWN])}{more}.")
    return cache.log(names.index(name))


def show_log(log: Log, step: int | None, out: Path | None, rerun: Path | None) -> list[Path]:
    """Draw a keyframe (a PNG; by default the middle one) or the drive (a GIF; by default all), and record it for Rerun.

    Returns what was written.
    """
    if out is None and rerun is None:
        out = Path(f"{log.name}.png")
    if out is not None and out.suffix not in FORMATS:
        raise InputError(f"--out {out} is neither picture nor moving picture. Give it the ending .png or .gif.")
    if rerun is not None and rerun.suffix != ".rrd":
        raise InputError(f"--rerun {rerun} would not open in Rerun. Give it the ending .rrd.")
    if step is not None and not 0 <= step < len(log.keyframes):
        raise InputError(f"Log {log.name!r} has no step {step}. Pass one of 0 to {len(log.keyframes) - 1} with --step.")
    written = {}
    if rerun is not None:
        written[rerun] = rerun_recording(log)
    if out is not None:
        written[out] = _picture(log, step) if out.suffix == ".png" else animate(log, recorded(log, step or 0))
    for path, content in written.items():
        write_atomically(path, content)
    return list(written)


def _picture(log: Log, step: int | None) -> bytes:
    at = len(log.keyframes) // 2 if step is None else step
    scene, future = scene_at(log, at)
    seconds = log.time_s[at] - log.time_s[0]
    title = f"{log.name}, {log.location}: {seconds:.1f} s (step {at} of 0 to {len(log.keyframes) - 1})"
    return png(log_figure(scene, future, title, log.description))
