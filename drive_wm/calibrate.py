"""Calibration of spread: the layer that tells how far agents scatter about a mode, fitted anew while all else is held.

Training asks only the best mode to explain what happened, so that no mode's spread covers what the others do. Here all modes
explain every agent together, each as likely as it is said to be. Positions and how likely modes are stay as they were.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from drive_wm.checkpoint import load_weights, save_weights
from drive_wm.errors import InputError
from drive_wm.fit import origin_of
from drive_wm.geometry import rotate
from drive_wm.log import STATIC
from drive_wm.losses import laplace_nll_of
from drive_wm.metrics.calibration import mixture_nll
from drive_wm.model.dynamics import MIN_SPREAD_M, grown_m2
from drive_wm.model.world_model import WorldModel
from drive_wm.samples import Samples, trimmed
from drive_wm.scene import Future, Scene
from drive_wm.structs import TensorStruct, cat
from drive_wm.train import caches_for

BATCH = 16
AGENTS = 8  # of a scene, the nearest
PASSES = 60  # of the optimiser over all agents


@dataclass(frozen=True)
class Explained(TensorStruct):
    """What the modes make of N agents, one each, and what then happened."""

    hidden: Tensor  # (N, M, T, D) after each step
    error_m: Tensor  # (N, M, T, 2) from the imagined to the true box centre, along and across the imagined heading
    mode_logits: Tensor  # (N, M)
    valid: Tensor  # (N, T)


def calibrate(weights: str, caches: Sequence[Path], out: Path, every: int, stride: int, command: str = "") -> Path:
    """Write the weights with their spread fitted to every n-th drive of the caches, as training holds them out, to `out`.

    `stride` reads every n-th scene of them. InputError where there is none, or the caches have scenes of other sizes.
    """
    model, origin = load_weights(weights)
    opened = caches_for(model.config.scene, caches)
    data = Samples(opened, every > 1, stride, every=every if every > 1 else 0)
    if not len(data):
        raise InputError(f"No scene to calibrate on in {', '.join(map(str, caches))}. Pass a smaller --every or --stride.")
    fit_spread(model, cat(list(_explained(model, data))))
    save_weights(model, origin_of(opened, command, origin), out)
    return out


def _explained(model: WorldModel, data: Samples) -> Iterator[Explained]:
    for start in range(0, len(data), BATCH):
        yield explained(model, *trimmed(*data.__getitems__(range(start, min(start + BATCH, len(data)))), AGENTS))


@torch.no_grad()
def explained(model: WorldModel, scene: Scene, future: Future) -> Explained:
    """Every agent that could move, is there now and is seen later, when everyone acts by itself."""
    latent, hidden = model.encode(scene), []
    imagined = model.imagine(scene)
    for _ in range(model.config.scene.future):
        latent = model.step(latent, None)
        hidden.append(latent.hidden[:, 0])
    valid = future.tracks.valid & (scene.tracks.valid[..., -1] & (scene.tracks.kind != STATIC))[..., None]
    error_m = rotate(future.tracks.position_m[:, None] - imagined.position_m[:, 0], -imagined.yaw_rad[:, 0])
    row, agent = valid.any(-1).nonzero().T
    return Explained(
        torch.stack(hidden, dim=3)[row, :, agent],
        error_m[row, :, agent],
        imagined.mode_logits[row],
        valid[row, agent],
    )


def fit_spread(model: WorldModel, seen: Explained) -> None:
    """Change, in place, what the model says of spread to the likeliest for these agents."""
    said = model.dynamics.act
    weight, bias = (x.detach()[2:].clone().requires_grad_() for x in (said.weight, said.bias))
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=PASSES, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        grown = grown_m2(torch.nn.functional.linear(seen.hidden, weight, bias))
        spread_m = (MIN_SPREAD_M**2 + grown.cumsum(2)).sqrt()
        nll = mixture_nll(laplace_nll_of(seen.error_m, spread_m), seen.mode_logits)
        value = (nll * seen.valid).sum() / seen.valid.sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        said.weight[2:], said.bias[2:] = weight, bias
