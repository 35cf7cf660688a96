"""Logs as the tables that the devkit's PredictHelper reads, so that its code runs from a cache, on any source's drives."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from nuscenes.prediction import PredictHelper

from drive_wm.log import Log

Record = dict[str, Any]


class LogTables:
    """Stands in for the devkit's NuScenes: sample, scene, log and sample_annotation, as far as prediction needs them."""

    def __init__(self, logs: Iterable[Log], dataroot: Path | None = None) -> None:
        self.dataroot = None if dataroot is None else str(dataroot)  # where the devkit finds maps
        self._tables: dict[str, dict[str, Record]] = {"sample": {}, "scene": {}, "log": {}, "sample_annotation": {}}
        for log in logs:
            self._add(log)

    def get(self, table: str, token: str) -> Record:
        return self._tables[table][token]

    @cached_property
    def sample_annotation(self) -> list[Record]:
        return list(self._tables["sample_annotation"].values())

    def _add(self, log: Log) -> None:
        self._tables["log"][log.name] = {"location": log.location}
        self._tables["scene"][log.name] = {"log_token": log.name}
        micros = np.round(log.time_s * 1e6).astype(int).tolist()
        for step, timestamp in enumerate(micros):
            anns = ["_".join(tokens(log, a, step)) for a in np.flatnonzero(log.valid[:, step])]
            sample = {"timestamp": timestamp, "scene_token": log.name, "anns": anns}
            self._tables["sample"][plain(log.keyframes[step])] = sample
        for agent in range(len(log.agents)):
            steps = np.flatnonzero(log.valid[agent]).tolist()
            own = ["", *("_".join(tokens(log, agent, step)) for step in steps), ""]
            for i, step in enumerate(steps):
                links = {"prev": own[i], "token": own[i + 1], "next": own[i + 2]}
                self._tables["sample_annotation"][own[i + 1]] = links | _annotation(log, agent, step)


def helper_of(logs: Iterable[Log], dataroot: Path | None = None) -> PredictHelper:
    """The devkit's PredictHelper over these drives."""
    return PredictHelper(LogTables(logs, dataroot))


def tokens(log: Log, agent: int, step: int) -> tuple[str, str]:
    """Instance and sample token: nuScenes' own, and other sources' names as the devkit can take them."""
    return plain(log.agents[agent]), plain(log.keyframes[step])


def plain(name: str) -> str:
    """A name without the underscore, at which the devkit takes instance and sample apart."""
    return name.replace("_", "~")


def _annotation(log: Log, agent: int, step: int) -> Record:
    half_rad = log.yaw_rad[agent, step] / 2
    instance, sample = tokens(log, agent, step)
    return {
        "instance_token": instance,
        "sample_token": sample,
        "category_name": log.categories[agent],
        "translation": [*log.position_m[agent, step].tolist(), 0.0],
        "rotation": [float(np.cos(half_rad)), 0.0, 0.0, float(np.sin(half_rad))],
        "size": [*log.size_m[agent, step, ::-1].tolist(), 0.0],
    }
