"""BEV encoder: map raster and past occupancy -> a feature map that is sampled wherever an agent or lane stands."""

import math
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from drive_wm.geometry import rotate
from drive_wm.scene import RASTER_LAYERS, RASTER_SIZE, X_RANGE_M, Y_RANGE_M, Scene, Tracks

CELL_M = 2.0  # of the feature map
OCCUPANCY_CELL_M = 1.0
OCCUPANCY_CHANNELS = 4  # now: occupied, velocity x, velocity y; one second ago: occupied


@dataclass(frozen=True)
class BevConfig:
    width: int = 32
    blocks: int = 3  # residual convolutions, each seeing twice as far as the one before
    coarse_width: int = 64  # of the same map in cells of 4 m
    coarse_blocks: int = 3


class BevEncoder(nn.Module):
    """Features (B, D, 50, 50) in cells of 2 m, rows along y, columns along x; cells of 4 m add what lies around."""

    def __init__(self, config: BevConfig) -> None:
        super().__init__()
        half = config.width // 2
        self.shrink_map = nn.Conv2d(len(RASTER_LAYERS) + 1, half, 4, stride=2, padding=1)
        self.shrink = nn.Conv2d(half + OCCUPANCY_CHANNELS, config.width, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv2d(config.width, config.width, 3, padding=2**i, dilation=2**i) for i in range(config.blocks)
        )
        self.coarsen = nn.Conv2d(config.width, config.coarse_width, 4, stride=2, padding=1)
        self.coarse_blocks = nn.ModuleList(
            nn.Conv2d(config.coarse_width, config.coarse_width, 3, padding=2**i, dilation=2**i)
            for i in range(config.coarse_blocks)
        )
        self.refine = nn.ConvTranspose2d(config.coarse_width, config.width, 4, stride=2, padding=1)
        nn.init.zeros_(self.refine.weight)
        self.bf16 = False  # training may ask for convolutions in bfloat16

    def forward(self, scene: Scene) -> Tensor:
        context = torch.autocast(scene.raster.device.type, torch.bfloat16) if self.bf16 else nullcontext()
        with context:
            features = self._features(scene)
        if features.requires_grad:
            features.register_hook(_as_convolutions_write)
        # Sampled in every step, which takes three times as long from other numbers than these.
        return features.to(scene.raster.dtype, memory_format=torch.contiguous_format)

    def _features(self, scene: Scene) -> Tensor:
        features = torch.relu(self.shrunk_map(scene))
        traffic = occupancy(scene.tracks).to(features.dtype, memory_format=torch.channels_last)
        features = torch.relu(self.shrink(torch.cat([features, traffic], dim=1)))
        for block in self.blocks:
            features = features + torch.relu(block(features))
        coarse = torch.relu(self.coarsen(features))
        for block in self.coarse_blocks:
            coarse = coarse + torch.relu(block(coarse))
        refined: Tensor = features + self.refine(coarse)
        return refined

    def shrunk_map(self, scene: Scene) -> Tensor:
        """`shrink_map` of the raster and a last channel of ones, both 0 where there is no raster.

        What the ones add is the same for all scenes, and eight channels go through a convolution quicker than nine.
        """
        layer = self.shrink_map
        raster = scene.raster.to(torch.bfloat16 if self.bf16 else scene.raster.dtype, memory_format=torch.channels_last)
        shrunk = functional.conv2d(raster, layer.weight[:, :-1], None, layer.stride, layer.padding)
        everywhere = scene.raster.new_ones(1, 1, RASTER_SIZE, RASTER_SIZE)
        known = functional.conv2d(everywhere, layer.weight[:, -1:], None, layer.stride, layer.padding)
        bias = layer.bias.to(shrunk.dtype)[:, None, None]  # type: ignore[union-attr]
        return torch.addcmul(bias, scene.has_raster.to(shrunk.dtype)[:, None, None, None], shrunk + known)


def _as_convolutions_write(gradient: Tensor) -> Tensor:
    """Convolutions leave channels of a cell together; what comes back in another order is slow to add to theirs."""
    return gradient.contiguous(memory_format=torch.channels_last)


def occupancy(tracks: Tracks) -> Tensor:
    """Share (B, 4, 100, 100) to which cells of 1 m are covered by boxes now, with their velocity, and one second ago."""
    now = _covered(tracks, -1)
    before = _covered(tracks, max(-3, -tracks.valid.shape[2]))
    moving = torch.einsum("bayx,bac->bcyx", now, tracks.velocity_mps[:, :, -1] / 10)
    return torch.cat([now.amax(1, keepdim=True), moving, before.amax(1, keepdim=True)], dim=1)


def _covered(tracks: Tracks, step: int) -> Tensor:
    """Soft box masks (B, A, 100, 100): 1 inside, 0 outside, linear over one cell at the border."""
    device = tracks.position_m.device
    x = torch.arange(X_RANGE_M[0] + OCCUPANCY_CELL_M / 2, X_RANGE_M[1], OCCUPANCY_CELL_M, device=device)
    y = torch.arange(Y_RANGE_M[0] + OCCUPANCY_CELL_M / 2, Y_RANGE_M[1], OCCUPANCY_CELL_M, device=device)
    yaw_rad = tracks.yaw_rad[:, :, step, None, None]
    cos, sin = yaw_rad.cos(), yaw_rad.sin()
    dx = x - tracks.position_m[:, :, step, 0, None, None]
    dy = y[:, None] - tracks.position_m[:, :, step, 1, None, None]
    # In place: these are by far the largest numbers of a scene.
    inside_x = (cos * dx + sin * dy).abs_().neg_().add_(tracks.size_m[..., 0, None, None] / 2 + OCCUPANCY_CELL_M / 2)
    inside_y = (cos * dy - sin * dx).abs_().neg_().add_(tracks.size_m[..., 1, None, None] / 2 + OCCUPANCY_CELL_M / 2)
    soft = torch.minimum(inside_x, inside_y).div_(OCCUPANCY_CELL_M).clamp_(0, 1)
    return soft.mul_(tracks.valid[:, :, step, None, None])


def sample(features: Tensor, points_m: Tensor) -> Tensor:
    """Bilinear samples (B, ..., D) of a feature map (B, D, Y, X) at points (B, ..., 2) in the ego frame, 0 outside."""
    x_m, y_m = points_m.flatten(1, -2).unbind(-1)
    return sample_columns(features, x_m, y_m).transpose(1, 2).reshape(*points_m.shape[:-1], features.shape[1])


def sample_columns(features: Tensor, x_m: Tensor, y_m: Tensor) -> Tensor:
    """The same at points (B, N) each, with features ahead of points: (B, D, N)."""
    x = 2 * (x_m - X_RANGE_M[0]) / (X_RANGE_M[1] - X_RANGE_M[0]) - 1
    y = 2 * (y_m - Y_RANGE_M[0]) / (Y_RANGE_M[1] - Y_RANGE_M[0]) - 1
    grid = torch.stack([x, y], dim=1).transpose(1, 2)[:, None]
    return functional.grid_sample(features, grid, align_corners=False).squeeze(2)


def look_rows(features: Tensor, weights: Tensor) -> Tensor:
    """What a look adds to an agent in each cell: rows (B * LOOKS * cells, D) of features (B, D_bev, Y, X) and weights
    (LOOKS, D_bev, D). One cell of zeros lies before the map and two behind it.

    A product of samples is a sample of products: where more agents look than there are cells, this is less to compute.
    """
    cells = functional.pad(features, (1, 2, 1, 2)).flatten(2).transpose(1, 2)
    return torch.matmul(cells[:, None], weights).flatten(0, 2)


def look(rows: Tensor, features: Tensor, x_m: Tensor, y_m: Tensor) -> Tensor:
    """The sum over all looks (B, N, LOOKS) of what they add, in the ego frame: (B, N, D) from the rows of these features."""
    length, width = (size + 3 for size in features.shape[2:])
    x = ((x_m - X_RANGE_M[0]) / CELL_M + 0.5).clamp(0, width - 2)
    y = ((y_m - Y_RANGE_M[0]) / CELL_M + 0.5).clamp(0, length - 2)
    column, row = x.int(), y.int()
    right, down = x - column, y - row
    maps = torch.arange(len(features) * LOOKS, dtype=torch.int32, device=x.device).reshape(-1, 1, LOOKS)
    cell = (maps * length + row) * width + column
    around = torch.stack([cell, cell + 1, cell + width, cell + width + 1], dim=-1)
    left, up = 1 - right, 1 - down
    share = torch.stack([up * left, up * right, down * left, down * right], dim=-1)
    bags, shares = around.flatten(2).flatten(0, 1), share.flatten(2).flatten(0, 1)
    return functional.embedding_bag(bags, rows, per_sample_weights=shares, mode="sum").reshape(*x.shape[:2], -1)


# Where an agent looks when a scene is encoded: metres away, and degrees from straight ahead.
FAN = (
    ((0.0, (0.0,)), (5.0, (-50.0, -20.0, 0.0, 20.0, 50.0)), (12.0, (-90.0, -50.0, -20.0, 0.0, 20.0, 50.0, 90.0)))
    + ((22.0, (-50.0, -20.0, 0.0, 20.0, 50.0)), (35.0, (-50.0, -20.0, 0.0, 20.0, 50.0)), (50.0, (-15.0, 0.0, 15.0)))
)  # fmt: skip
FAN_POINTS = sum(len(angles) for _, angles in FAN)
LOOKS = 5  # points that an imagined agent looks at in every step
LOOK_ASIDE = 0.5  # sine of the angle at which it looks to the left and to the right


def fan(pose: Tensor) -> Tensor:
    """Points (..., FAN_POINTS, 2) around and ahead of poses (..., 3)."""
    offsets = [
        (distance * math.cos(math.radians(angle)), distance * math.sin(math.radians(angle)))
        for distance, angles in FAN
        for angle in angles
    ]
    offset_m = pose.new_tensor(offsets).expand(*pose.shape[:-1], FAN_POINTS, 2)
    return pose[..., None, :2] + rotate(offset_m, pose[..., None, 2])


def looks_m(speed_mps: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Metres ahead and to the left: at itself, and one and three seconds ahead at its speed, straight and to both sides."""
    zero, near, far = torch.zeros_like(speed_mps), speed_mps + 4, 3 * speed_mps + 8
    ahead = (1 - LOOK_ASIDE**2) ** 0.5
    sides = [(ahead * reach, side * LOOK_ASIDE * reach) for reach in (far,) for side in (-1, 1)]
    return [(zero, zero), (near, zero), (far, zero), *sides]
