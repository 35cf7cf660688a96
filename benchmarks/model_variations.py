"""What else a model may be: agents that nothing limits, a map that reaches half as far or is half as fine."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from drive_wm.kinematics import DT_S
from drive_wm.log import STATIC
from drive_wm.model.dynamics import Dynamics, Latent
from drive_wm.model.world_model import WorldModel
from drive_wm.scene import CELL_M, X_RANGE_M, Y_RANGE_M, Scene

FREE_MPS = 6.0  # by how much a velocity changes per step where 1 is said; the limits bring it to 3 m/s
TURNS_MPS = 0.3  # who moves as fast as this faces where it goes

ModelVariation = Callable[[WorldModel], WorldModel]


class FreeDynamics(Dynamics):
    """The same layers, of which two numbers are the change of velocity ahead and to the left, whoever moves, without limits.

    An ego that follows a plan keeps to it.
    """

    def forward(self, latent: Latent, ego_action: Tensor | None, message_passing: bool, crowd: Latent | None = None) -> Latent:
        moved = super().forward(latent, ego_action, message_passing, crowd)
        pose, velocity_mps = _freely(latent, FREE_MPS * self.act(moved.hidden)[..., :2])
        agents = torch.arange(pose.shape[3], device=pose.device)[:, None]
        planned = (agents == 0) & (ego_action is not None)
        stays = ((latent.context.kind == STATIC) | ~latent.context.valid)[:, None, None, :, None]
        limited = planned | stays
        return replace(
            moved,
            pose=torch.where(limited, moved.pose, pose),
            velocity_mps=torch.where(limited, moved.velocity_mps, velocity_mps),
        )


def _freely(latent: Latent, change_mps: Tensor) -> tuple[Tensor, Tensor]:
    x, y, yaw_rad = latent.pose.unbind(-1)
    cos, sin = yaw_rad.cos(), yaw_rad.sin()
    ahead_mps, left_mps = change_mps.unbind(-1)
    vx = latent.velocity_mps[..., 0] + cos * ahead_mps - sin * left_mps
    vy = latent.velocity_mps[..., 1] + sin * ahead_mps + cos * left_mps
    turns = vx * vx + vy * vy > TURNS_MPS**2
    faced_rad = torch.atan2(torch.where(turns, vy, sin), torch.where(turns, vx, cos))
    return torch.stack([x + vx * DT_S, y + vy * DT_S, faced_rad], dim=-1), torch.stack([vx, vy], dim=-1)


def free(model: WorldModel) -> WorldModel:
    """The same weights, moved by `FreeDynamics`."""
    limited, model.dynamics = model.dynamics, FreeDynamics(model.config.dynamics, model.config.bev.width)
    model.dynamics.load_state_dict(limited.state_dict())
    return model


def sees_half_as_far(model: WorldModel) -> WorldModel:
    """The map ends at half the distance on each side; what moves there is still seen."""
    return _sees(model, _near)


def sees_half_as_fine(model: WorldModel) -> WorldModel:
    """The map in cells of 1 m, each the mean of four."""
    return _sees(model, _coarse)


def _sees(model: WorldModel, seen: Callable[[Tensor], Tensor]) -> WorldModel:
    def instead(encoder: nn.Module, inputs: tuple[Scene]) -> tuple[Scene]:
        return (replace(inputs[0], raster=seen(inputs[0].raster)),)

    model.bev.register_forward_pre_hook(instead)
    return model


def _near(raster: Tensor) -> Tensor:
    """0 beyond half of X_RANGE_M and Y_RANGE_M."""
    near = torch.zeros_like(raster)
    rows, columns = _half(Y_RANGE_M), _half(X_RANGE_M)
    near[..., rows, columns] = raster[..., rows, columns]
    return near


def _half(range_m: tuple[float, float]) -> slice:
    """The cells that lie within half of a range."""
    first, last = (round((half_m / 2 - range_m[0]) / CELL_M) for half_m in range_m)
    return slice(first, last)


def _coarse(raster: Tensor) -> Tensor:
    return functional.interpolate(functional.avg_pool2d(raster, 2), scale_factor=2.0)
