"""Where drives are worked on: here, one after another or in several processes, or on every machine of a Ray cluster."""

import ctypes
import importlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import Any, TypeVar

import cv2
import torch

from drive_wm.errors import InputError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT_BYTES, ARRAY_BYTES = 128 * 2**20, 32 * 2**20  # the second is the most that it takes

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_local(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in order."""
    _keep_memory()
    threads = torch.get_num_threads(), cv2.getNumThreads()
    # The tensors of one keyframe are small: more threads spend a third of the time on waiting for each other.
    _use_threads(1, 1)
    try:
        yield from map(work, items)
    finally:
        _use_threads(*threads)


def _use_threads(of_torch: int, of_opencv: int) -> None:
    torch.set_num_threads(of_torch)
    cv2.setNumThreads(of_opencv)


def _keep_memory() -> None:
    """Let what one drive's arrays took serve the next: new pages from the system cost a fifth of the time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; others have none
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, ARRAY_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def _settle() -> None:
    """Prepare a process that only works on drives: one thread each."""
    _keep_memory()
    _use_threads(1, 1)


def run_pool(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Results in order, from processes of this machine; the first error of a worker is raised here as it is."""
    # Spawned, not forked: a fork of a process with threads may hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _settle)
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise InputError("A worker was ended from outside, most likely for want of memory. Pass fewer --workers.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def run_ray(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in order, from all cores that Ray has: this machine's, or the cluster's that RAY_ADDRESS names.

    What the work writes must then lie on a disk that all machines share.
    """
    try:
        ray: Any = importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise InputError("Ray is not installed. Type pip install 'drive-wm[ray]', or pass --engine local.") from error
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, configure_logging=False)

    def settled(item: Any) -> Any:
        _settle()
        return work(item)

    remote = ray.remote(settled)
    # Items are read only as fast as they are worked off, so that a large data set never fills the memory.
    room = 2 * int(ray.cluster_resources().get("CPU", 1))
    pending: deque[Any] = deque()
    try:
        for item in items:
            pending.append(remote.remote(item))
            if len(pending) >= room:
                yield ray.get(pending.popleft())
        while pending:
            yield ray.get(pending.popleft())
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    finally:
        if started:
            ray.shutdown()


ENGINES = {"local": run_local, "ray": run_ray}
Engine = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


def engine_named(name: str, workers: int) -> Engine:
    """An engine of ENGINES, or as many processes of this machine; InputError where that is not possible."""
    if name not in ENGINES:
        raise InputError(f"No engine {name!r}; known: {', '.join(ENGINES)}. Pass one of them with --engine.")
    if workers > 1 and name != "local":
        raise InputError(f"--workers counts processes of this machine, {name} uses all that it has. Leave out --workers.")
    return partial(run_pool, workers=workers) if workers > 1 else ENGINES[name]


def here_or(name: str) -> Engine:
    """For work that uses all cores of a machine by itself: one item after another here, or the engine of that name."""
    return map if name == "local" else engine_named(name, workers=1)
