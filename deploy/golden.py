"""Golden scenes: on these every runtime must equal the reference; drawn from the sample logs, some with data missing."""

from dataclasses import replace

import torch

from drive_wm.datasets.sumo_samples import sample_logs
from drive_wm.scene import Scene, SceneConfig
from drive_wm.scene_at import SceneBuilder
from drive_wm.told import without_lanes, without_raster

PER_LOG = 4


def golden_scenes(config: SceneConfig, per_log: int = PER_LOG) -> list[Scene]:
    """Scenes (B = 1) spread over each sample log; one in three lacks its route, one in six its lanes or its raster."""
    scenes = []
    for log in sample_logs():
        builder = SceneBuilder(log, config)
        last = len(log.keyframes) - 1
        steps = [round(config.history + (last - config.history) * i / max(per_log - 1, 1)) for i in range(per_log)]
        scenes += [builder.at(step, "route")[0] for step in steps]
    return [_with_gaps(scene, number) for number, scene in enumerate(scenes)]


def _with_gaps(scene: Scene, number: int) -> Scene:
    """The same scene without what some sources lack."""
    no, hidden = torch.zeros_like(scene.has_route), torch.ones_like(scene.has_route)
    if number % 3 == 1:
        scene = replace(
            scene, has_route=no, route_m=torch.zeros_like(scene.route_m), command_origin=torch.zeros_like(scene.command_origin)
        )
    if number % 6 == 2:
        scene = without_lanes(scene, hidden)
    if number % 6 == 5:
        scene = without_raster(scene, hidden)
    return scene
