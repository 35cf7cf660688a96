"""Where drives are worked on: here, one after another, or on every machine of a Ray cluster."""

import importlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch

from drive_wm.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_local(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in order."""
    threads = torch.get_num_threads()
    # The tensors of one keyframe are small: more threads spend a third of the time on waiting for each other.
    torch.set_num_threads(1)
    try:
        yield from map(work, items)
    finally:
        torch.set_num_threads(threads)


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
    remote = ray.remote(lambda item: work(item))
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
