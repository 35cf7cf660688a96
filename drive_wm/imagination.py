"""Long imagination: drives of any length in which everybody is imagined, the ego too.

A latent is relative to its start, and the map it knows ends 70 m ahead. So every two seconds what was imagined is written
to the Log as if it had been recorded, and the next Scene is made from that, as from any log. Between, one joint mode is
drawn, and agents take their courses by it.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drive_wm.courses import choose_courses
from drive_wm.geometry import rotate, transform
from drive_wm.kinematics import DT_S
from drive_wm.log import Log
from drive_wm.model.world_model import WorldModel
from drive_wm.scene_at import SceneBuilder
from drive_wm.structs import cat

REFRESH = 4  # steps from one Scene to the next
LOOK_AHEAD = 8  # steps for which courses are to be clear


def imagine_onward(
    model: WorldModel,
    log: Log,
    step: int,
    steps: int,
    random: torch.Generator,
    samples: int = 1,
    refresh: int = REFRESH,
) -> list[Log]:
    """Drives that end `steps` after keyframe `step`: the recorded past up to it, what is imagined from there on.

    They hold the agents present at `step`, each from there on at every keyframe: nobody joins, nobody leaves. All of them
    are imagined, not only as many as a Scene usually shows; those beyond the map's raster see no road. The first imagined
    keyframe is number `len(keyframes) - steps`. Nothing recorded after `step` is read.
    """
    start = _prepared(log, step, steps, model.config.scene.history)
    builder = SceneBuilder(start, replace(model.config.scene, agents=1 + len(start.agents)))
    drives = [start] * samples
    for now in range(len(start.keyframes) - steps - 1, len(start.keyframes) - 1, refresh):
        views = [builder.with_log(drive) for drive in drives]
        scene = cat([view.at(now)[0] for view in views])
        with torch.inference_mode():
            ahead = min(refresh, len(start.keyframes) - 1 - now)
            rollouts = model.imagine(scene.to(model.modes.device), steps=max(ahead, LOOK_AHEAD)).to("cpu")
        drawn = torch.multinomial(rollouts.mode_logits.softmax(-1), 1, generator=random)[:, 0]
        courses = choose_courses(scene, rollouts, drawn).map(torch.Tensor.double)
        position_m, yaw_rad = courses.position_m[:, :, :ahead], courses.yaw_rad[:, :, :ahead]
        drives = [_written(view, now, position_m[i], yaw_rad[i]) for i, view in enumerate(views)]
    return drives


def _prepared(log: Log, step: int, steps: int, history: int) -> Log:
    """The past that a Scene at `step` reads, and room for what comes; everybody present stays, at last known size."""
    first = max(step - history, 0)  # one more than a Scene shows: velocity is a difference of two
    here = np.flatnonzero(log.valid[:, step])
    room = ((0, 0), (0, steps))

    def kept(values: NDArray[Any], fill: int = 0) -> NDArray[Any]:
        return np.pad(values[here, first : step + 1], room + ((0, 0),) * (values.ndim - 2), constant_values=fill)

    size_m = kept(log.size_m)
    size_m[:, -steps:] = log.size_m[here, step, None]
    valid = np.pad(log.valid[here, first : step + 1], room, constant_values=True)
    return replace(
        log,
        keyframes=(*log.keyframes[first : step + 1], *(f"imagined {i}" for i in range(1, steps + 1))),
        agents=tuple(log.agents[i] for i in here),
        categories=tuple(log.categories[i] for i in here),
        time_s=np.append(log.time_s[first : step + 1], log.time_s[step] + DT_S * np.arange(1, steps + 1)),
        ego_pose=np.pad(log.ego_pose[first : step + 1], ((0, steps), (0, 0))),
        position_m=kept(log.position_m),
        yaw_rad=kept(log.yaw_rad),
        size_m=size_m,
        kind=log.kind[here],
        points=kept(log.points, -1),
        visibility=kept(log.visibility),
        valid=valid,
        targets=np.zeros((0, 2), np.int64),
    )


def _written(view: SceneBuilder, now: int, position_m: Tensor, yaw_rad: Tensor) -> Log:
    """The log with the keyframes after `now`: box centres (A, T, 2) and yaw (A, T) in the frame of `now`."""
    log, pose = view.log, torch.from_numpy(view.log.ego_pose[now])
    position_m, yaw_rad = transform(pose, position_m), yaw_rad + pose[2]
    at = slice(now + 1, now + 1 + yaw_rad.shape[1])
    shown = view.shown(now)
    agents = shown[1:] - 1
    ego_pose, agents_m, agents_rad = log.ego_pose.copy(), log.position_m.copy(), log.yaw_rad.copy()
    behind_m = rotate(torch.tensor([-log.ego_centre_m, 0.0], dtype=torch.float64).expand_as(position_m[0]), yaw_rad[0])
    ego_pose[at] = torch.cat([position_m[0] + behind_m, yaw_rad[0, :, None]], dim=-1).numpy()
    agents_m[agents, at] = position_m[1 : len(shown)].numpy()
    agents_rad[agents, at] = yaw_rad[1 : len(shown)].numpy()
    return replace(log, ego_pose=ego_pose, position_m=agents_m, yaw_rad=agents_rad)
