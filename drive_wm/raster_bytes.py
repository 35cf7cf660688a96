"""The raster and the distance to its border in bytes, as they are drawn, cropped and kept in a cache.

A share of 0..1 is 0..255, a direction's part of -1..1 is 0..254, a distance of -EDGE_CLIP_M..EDGE_CLIP_M is -127..127.
"""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drive_wm.scene import EDGE_CLIP_M, RASTER_LAYERS

Bytes = NDArray[np.uint8]
COS, SIN = RASTER_LAYERS.index("lane_cos"), RASTER_LAYERS.index("lane_sin")
_STEPS = np.full(len(RASTER_LAYERS), 255)
_STEPS[[COS, SIN]] = 127
NOTHING = np.where(_STEPS == 127, 127, 0).astype(np.uint8)  # (C,) what each layer holds where nothing is
_EDGE_STEPS = 127 / EDGE_CLIP_M


def raster_of(stored: Tensor) -> Tensor:
    """Shares and directions (B, C, Y, X) as numbers."""
    raster = stored.to(torch.float32, memory_format=torch.contiguous_format)
    raster.div_(torch.from_numpy(_STEPS.astype(np.float32))[:, None, None])
    raster[:, [COS, SIN]] -= 1.0
    return raster


def layer_bytes(layer: NDArray[np.floating[Any]], name: str) -> Bytes:
    """A layer (Y, X) of that name in bytes."""
    i = RASTER_LAYERS.index(name)
    # Of numbers that are none below zero, which is why this takes no absolute value.
    return cv2.convertScaleAbs(layer, alpha=float(_STEPS[i]), beta=float(NOTHING[i])).astype(np.uint8, copy=False)


def turn_directions(stored: Bytes, yaw_rad: float) -> None:
    """Turn the directions in a raster (C, Y, X) to axes turned by yaw, in place."""
    cos, sin, ahead, left = stored[COS], stored[SIN], float(np.cos(yaw_rad)), float(np.sin(yaw_rad))
    turned = cv2.addWeighted(cos, ahead, sin, left, 127 * (1 - ahead - left))
    cv2.addWeighted(sin, ahead, cos, -left, 127 * (1 - ahead + left), dst=sin)
    np.minimum(turned, 254, out=cos)
    np.minimum(sin, 254, out=sin)


def edge_bytes(edge_m: NDArray[np.float32]) -> NDArray[np.int8]:
    return np.rint(edge_m * np.float32(_EDGE_STEPS)).astype(np.int8)


def edge_m_of(stored: Tensor) -> Tensor:
    """Distances as numbers."""
    return stored.float().div_(_EDGE_STEPS)
