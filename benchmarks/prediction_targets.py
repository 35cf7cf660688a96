"""Which agents at which keyframes a forecast is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nuscenes.eval.prediction.splits import get_prediction_challenge_split

from drive_wm.errors import InputError
from drive_wm.log import VEHICLE, Log

SPLITS = ("mini_train", "mini_val", "train", "train_val", "val")
STEPS = 12  # six seconds
_PARKED_M = 2.0  # a vehicle that never leaves a box of this size is parked


@dataclass(frozen=True)
class Target:
    """An agent at one keyframe of a drive."""

    drive: int  # index of its log
    agent: int  # index into log.agents
    step: int


def challenge_targets(logs: Sequence[Log], root: Path, split: str) -> tuple[list[Target], int]:
    """The targets of an official split in its order, and how many more it has in drives that are not among these."""
    tokens = [tuple(token.split("_")) for token in _tokens(root, split)]
    places = {token: (drive, step) for drive, log in enumerate(logs) for step, token in enumerate(log.keyframes)}
    agents = [{name: i for i, name in enumerate(log.agents)} for log in logs]
    targets = []
    for instance, sample in tokens:
        if sample in places:
            drive, step = places[sample]
            agent = agents[drive].get(instance, -1)
            if agent < 0 or not logs[drive].valid[agent, step]:
                raise InputError(
                    f"Drive {logs[drive].name!r} has no agent {instance!r} at keyframe {sample!r}, which split {split!r} asks "
                    f"for: the cache and {root} do not fit together. Prepare the cache again from {root}."
                )
            targets.append(Target(drive, agent, step))
    if not targets:
        raise InputError(
            f"None of the {len(tokens)} targets of split {split!r} in {root} is in these drives. "
            f"Pass the cache of that split, or another --split: {', '.join(SPLITS)}."
        )
    return targets, len(tokens) - len(targets)


def log_targets(logs: Sequence[Log]) -> list[Target]:
    """The targets that the logs themselves name."""
    return [Target(drive, agent, step) for drive, log in enumerate(logs) for agent, step in log.targets.tolist()]


def vehicle_targets(logs: Sequence[Log]) -> list[Target]:
    """Vehicles that are not parked, at every keyframe with the one before and the twelve after it annotated.

    What the challenge picks from, on any source: a wider choice than its own.
    """
    found = [target for drive, log in enumerate(logs) for target in _vehicles(drive, log)]
    if not found:
        raise InputError("No vehicle moves through six annotated seconds in these drives. Pass another cache.")
    return found


def _vehicles(drive: int, log: Log) -> list[Target]:
    seen = log.valid[..., None]
    low, high = (f(np.where(seen, log.position_m, -sign * np.inf), axis=1) for f, sign in ((np.min, -1), (np.max, 1)))
    moves = (log.kind == VEHICLE) & ((high - low).max(-1) > _PARKED_M)
    long_enough = range(1, len(log.keyframes) - STEPS)
    return [
        Target(drive, int(agent), step)
        for step in long_enough
        for agent in np.flatnonzero(moves & log.valid[:, step - 1 : step + STEPS + 1].all(1))
    ]


def _tokens(root: Path, split: str) -> list[str]:
    if split not in SPLITS:
        raise InputError(f"No split {split!r} in the prediction challenge; known: {', '.join(SPLITS)}. Pass one with --split.")
    file = root / "maps" / "prediction" / "prediction_scenes.json"
    if not file.is_file():
        raise FileNotFoundError(
            f"No {file}. It comes with nuScenes-map-expansion-v1.3.zip from nuscenes.org/nuscenes#download; "
            "or leave out --root to forecast every moving vehicle of the cache."
        )
    try:
        tokens = get_prediction_challenge_split(split, dataroot=str(root))
    except ValueError as error:
        raise InputError(f"{file} is damaged ({error}). Unpack the map expansion again.") from error
    return list(tokens)
