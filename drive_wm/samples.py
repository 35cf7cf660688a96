"""What training reads: scenes of several caches, in batches of scenes that are alike, cut to what is in them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from drive_wm.datasets.cache import Cache, read_samples
from drive_wm.datasets.manifest import Shard, Views
from drive_wm.scene import Future, Scene

Batch = tuple[Scene, Future]


BRANCHES = "logs"  # a source whose egos were told what to do: others are learnt from, what the ego did is not


class Samples(Dataset[Batch]):
    """Scenes of some logs of several caches that have a future to learn from; every n-th log is held out for validation.

    `held_out` chooses these or the others, `ego_stride` every n-th of those seen from the ego, `stride` every n-th of what is
    left. `kinds` (N,) numbers what each scene is: its cache, and whose view it is.
    """

    def __init__(
        self,
        caches: Sequence[Cache],
        held_out: bool,
        stride: int,
        views: Views = "all",
        every: int = 10,
        ego_stride: int = 1,
    ) -> None:
        self.caches = caches
        self.places: list[tuple[int, int]] = []
        self.kinds: list[int] = []
        log_number = 0
        for c, cache in enumerate(caches):
            first = 0
            for shard in cache.manifest.shards:
                if (every > 0 and log_number % every == every - 1) == held_out:
                    chosen = _with_future(shard, views, ego_stride)[::stride]
                    self.places += [(c, first + k) for k in chosen]
                    self.kinds += [2 * c + (k >= shard.ego_views) for k in chosen]
                first += shard.views
                log_number += 1

    def __len__(self) -> int:
        return len(self.places)

    def name(self, i: int) -> str:
        """The drive and the view that a scene is."""
        cache, k = self.places[i]
        for shard in self.caches[cache].manifest.shards:
            if k < shard.views:
                view = f"keyframe {k}" if k < shard.ego_views else f"target {k - shard.ego_views}"
                return f"{shard.name!r} ({view})"
            k -= shard.views
        raise IndexError(i)

    def __getitem__(self, i: int) -> Batch:
        return self.__getitems__([i])

    def __getitems__(self, batch: Sequence[int]) -> Batch:
        """What a DataLoader takes, where there is one, to read a batch at once."""
        places = [self.places[i] for i in batch]
        scene, future = read_samples([(self.caches[c], j) for c, j in places])
        told = torch.tensor([self.caches[c].manifest.settings.source == BRANCHES for c, _ in places])
        valid = future.tracks.valid & ~(told[:, None] & (torch.arange(future.tracks.kind.shape[1]) == 0))[..., None]
        return scene, replace(future, tracks=replace(future.tracks, valid=valid))


class EpochBatches(Sampler[list[int]]):
    """Batches of one kind each, in an order that the epoch's number alone decides: the same in a resumed run.

    Several processes read different batches of the same kind at the same time, so that none waits for one that has more to
    do; where they do not come out even, some are read twice.
    """

    def __init__(self, kinds: Sequence[int], batch: int, seed: int) -> None:
        self.kinds, self.batch, self.seed, self.epoch = torch.tensor(kinds), batch, seed, 0
        self.sampler = self  # where Lightning looks for set_epoch

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        rank, processes = _process()
        own_share: list[Tensor] = []
        for kind in self.kinds.unique():
            own = (self.kinds == kind).nonzero()[:, 0]
            batches = own[torch.randperm(len(own), generator=random)].split(self.batch)
            own_share += [batches[(first + rank) % len(batches)] for first in range(0, len(batches), processes)]
        order = torch.randperm(len(own_share), generator=random).tolist()
        # A generator: Lightning asks for the iterator first and tells the epoch then.
        yield from (own_share[k].tolist() for k in order)

    def __len__(self) -> int:
        batches = (-(-int(count) // self.batch) for count in self.kinds.unique(return_counts=True)[1])
        return sum(-(-some // _process()[1]) for some in batches)


def _process() -> tuple[int, int]:
    """The number of this process, and how many train together."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if together else (0, 1)


def as_read(batch: Any) -> Any:
    """A batch as `Samples` reads it, stacked already."""
    return batch


def trimmed(scene: Scene, future: Future, agents: int) -> Batch:
    """The batch without the places that none of its scenes fills, and with this many agents at most, the nearest."""
    agents = min(_used(scene.tracks.valid[..., -1]), agents)
    lanes, elements = _used(scene.lanes.valid), _used(scene.elements.valid)
    cut = replace(
        scene,
        tracks=scene.tracks.map(lambda x: x[:, :agents]),
        lanes=scene.lanes.map(lambda x: x[:, :lanes]),
        elements=scene.elements.map(lambda x: x[:, :elements]),
    )
    return cut, replace(future, tracks=future.tracks.map(lambda x: x[:, :agents]))


def _used(valid: Tensor) -> int:
    """How many places (B, N) any scene fills, one at least; those filled come first."""
    return max(int(valid.sum(1).max()), 1)


def _with_future(shard: Shard, views: Views, ego_stride: int) -> list[int]:
    """The scenes of a drive but for the one from the ego's last keyframe; of those from the ego every n-th."""
    from_ego = range(shard.ego_views - 1)[::ego_stride]
    return [k for k in shard.span(views) if k >= shard.ego_views or k in from_ego]
