"""The counterfactual branches of a drive, as a cache holds them: one scene, and what the ego and the others did after it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.datasets.cache import Cache
from drive_wm.errors import InputError
from drive_wm.log import KEEP, STATIC, Log
from drive_wm.rollouts import Plans
from drive_wm.scene import Future, Scene
from drive_wm.structs import cat
from drive_wm.train import logged_plan

SAME_M = 1e-3
Place = tuple[Cache, int]  # a drive of a cache


@dataclass(frozen=True)
class Branches:
    """K branches of a drive, that in which the ego goes on first, seen from the keyframe after which they part."""

    actions: tuple[str, ...]  # K
    scene: Scene  # B = 1
    plans: Plans  # (1, K): the path that the ego really took in each
    truth_m: Tensor  # (K, A, T, 2) box centres in the frame of the scene
    there: Tensor  # (K, A, T) bool
    alike: Tensor  # (A,) bool: moves, and is there with one and the same past in all of them; never the ego


def families(places: Iterable[Place]) -> dict[str, list[Place]]:
    """Drives that hold branches, by the name of the log that they branch from; that log first, and at least one other."""
    found: dict[str, list[Place]] = {}
    for cache, i in places:
        log = cache.log(i)
        if log.branch_action == KEEP:
            found.setdefault(log.branch_of, []).insert(0, (cache, i))
        elif log.branch_action:
            found.setdefault(log.branch_of, []).append((cache, i))
    return {name: those for name, those in found.items() if len(those) > 1 and place_name(those[0]) == name}


def place_name(place: Place) -> str:
    """The drive's name."""
    cache, i = place
    return cache.manifest.shards[i].name


def read_family(places: Sequence[Place]) -> tuple[Branches, list[Log]]:
    """The branches of one family, and their logs in the same order."""
    logs = [cache.log(i) for cache, i in places]
    step = logs[0].branch_step
    seen = [cache.alone(i).sample(step) for cache, i in places]  # the views of the ego come first
    return branches_of([log.branch_action for log in logs], seen), logs


def branches_of(actions: Sequence[str], seen: Sequence[tuple[Scene, Future]]) -> Branches:
    """From the scene of each branch at the keyframe after which they part, B = 1 each; InputError where the egos differ."""
    scenes, futures = cat([scene for scene, _ in seen]), cat([future for _, future in seen])
    plans = logged_plan(scenes, futures)  # (K, 1)
    tracks = scenes.tracks
    apart_m = torch.where(tracks.valid[..., None], tracks.position_m - tracks.position_m[:1], 0.0).norm(dim=-1)
    alike = ((apart_m < SAME_M) & (tracks.valid == tracks.valid[:1])).all((0, 2)) & (tracks.kind == tracks.kind[:1]).all(0)
    if not bool(alike[0]):
        raise InputError(
            "The branches of a drive differ in what the ego did before branch_step; needed: the same past. "
            "Make them with `drive-wm synth --counterfactual`."
        )
    can_react = tracks.valid[0, :, -1] & (tracks.kind[0] != STATIC) & (torch.arange(len(alike)) > 0)
    return Branches(
        actions=tuple(actions),
        scene=scenes[:1],
        plans=plans.map(lambda x: x.transpose(0, 1)),
        truth_m=futures.tracks.position_m,
        there=futures.tracks.valid,
        alike=alike & can_react,
    )
