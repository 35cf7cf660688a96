"""Contract of an exported planner: every tensor's shape, unit, frame, range and tolerance, and where the weights come from."""

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from drive_wm import kinematics
from drive_wm.checkpoint import Origin
from drive_wm.errors import InputError
from drive_wm.planners.lattice import LatticeConfig
from drive_wm.planners.score import Weights
from drive_wm.scene import CELL_M, RASTER_LAYERS, X_RANGE_M, Y_RANGE_M

CONTRACT_VERSION = 1
TOLERANCE = 1e-4
EGO = "ego: rear axle on the ground, x forward, y left, yaw counter-clockwise"
CELLS = f"ego, rows along y from {Y_RANGE_M[0]:g} m, columns along x from {X_RANGE_M[0]:g} m, cells of {CELL_M:g} m"
Arrays = Mapping[str, NDArray[Any]]
Field = tuple[str, str, str, tuple[float, float] | None, str]  # axes, unit, frame, range, padding

ZERO, PIECE = "0 where not valid", "0 where the piece is not valid"
INPUTS: dict[str, Field] = {
    "tracks.position_m": ("B A H xy", "m", EGO, (-500, 500), ZERO),
    "tracks.yaw_rad": ("B A H", "rad", EGO, (-3.1416, 3.1416), ZERO),
    "tracks.velocity_mps": ("B A H xy", "m/s", EGO, (-100, 100), f"{ZERO}, or where the step before is not"),
    "tracks.size_m": ("B A length,width", "m", "the box's own", (0, 50), "0 where never seen"),
    "tracks.kind": ("B A", "0 vehicle, 1 cyclist, 2 pedestrian, 3 static", "", (0, 3), "0 where never seen"),
    "tracks.valid": ("B A H", "", "", None, "False: no box; agent 0 is the ego, the last step is now"),
    "lanes.position_m": ("B L P xy", "m", EGO, (-500, 500), PIECE),
    "lanes.yaw_rad": ("B L P", "rad", EGO, (-3.1416, 3.1416), PIECE),
    "lanes.successor": ("B L 3", "index into L", "", (-1, 1e4), "-1 for none"),
    "lanes.left": ("B L", "index into L", "", (-1, 1e4), "-1 for none"),
    "lanes.right": ("B L", "index into L", "", (-1, 1e4), "-1 for none"),
    "lanes.in_junction": ("B L", "", "", None, "False"),
    "lanes.valid": ("B L", "", "", None, "False: no piece"),
    "elements.position_m": ("B E Q xy", "m", EGO, (-500, 500), "0 where the element is not valid"),
    "elements.kind": ("B E", "0 crosswalk, 1 stop_line, 2 lane_divider, 3 road_divider", "", (0, 3), "0"),
    "elements.valid": ("B E", "", "", None, "False: no element"),
    "raster": ("B layer Y X", "share of the cell: " + ", ".join(RASTER_LAYERS), CELLS, (-1, 1), "0 where has_raster is False"),
    "edge_m": ("B Y X", "m to the border of the drivable area, positive inside and beyond the map", CELLS, (-10, 10), "0"),
    "ego_centre_m": ("B", "m from the rear axle forward to the box centre", "ego", (-5, 10), "none"),
    "route_m": ("B R xy", "m", EGO, (-500, 500), "the last point repeated; 0 where has_route is False"),
    "has_route": ("B", "", "", None, "False: no route"),
    "command": ("B", "0 left, 1 straight, 2 right", "", (0, 2), "any where command_origin is 0"),
    "command_origin": ("B", "0 none, 1 route, 2 ground_truth_offset", "", (0, 2), "0"),
    "has_ego": ("B", "", "", None, "none"),
    "has_all_traffic": ("B", "", "", None, "False: agents may be missing"),
    "has_lanes": ("B", "", "", None, "False: no vector map"),
    "has_raster": ("B", "", "", None, "False: no drivable area"),
}
OUTPUTS: dict[str, Field] = {
    "position_m": ("B T xy", "m, of the rear axle at dt, 2 dt, ...", EGO, (-500, 500), "none"),
    "heading": ("B T cos,sin", "cosine and sine of yaw", EGO, (-1, 1), "none"),
    "speed_mps": ("B T", "m/s along the heading", "ego", (0, 100), "none"),
    "candidate": ("B", "index into K of the chosen plan", "", (0, 1e4), "none"),
    "scores": ("B K", "costs of a certain collision, higher is better", "", (-1e5, 100), "-10000 for a slot without a plan"),
    "mode_probability": ("B M", "probability of each imagined joint mode", "", (0, 1), "none"),
}


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(Frozen):
    name: str
    dtype: Literal["float32", "int32", "bool"]
    shape: tuple[int, ...]
    axes: str
    unit: str
    frame: str
    range: tuple[float, float] | None
    padding: str
    tolerance: float | None  # largest absolute difference between runtimes; None for inputs


class Training(Frozen):
    """The weights: where they were read, what they learned from, under which licence."""

    source: str
    sha256: str
    trained_on: tuple[str, ...]
    command: str
    licence: str


class Contract(Frozen):
    version: int
    dt_s: float
    history_steps: int
    future_steps: int
    limits: dict[str, float]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    weights: Training
    lattice: dict[str, Any]
    score_weights: dict[str, float]
    opset: int
    versions: dict[str, str]


def contract_of(
    inputs: Arrays,
    outputs: Arrays,
    source: str,
    sha256: str,
    origin: Origin,
    lattice: LatticeConfig,
    weights: Weights,
    opset: int,
) -> Contract:
    """The contract of a graph with these inputs and outputs."""
    limits = {name.lower(): value for name, value in vars(kinematics).items() if name.startswith("MAX_")}
    packages = ("drive-wm", "torch", "onnx", "onnxscript", "onnxruntime")
    return Contract(
        version=CONTRACT_VERSION,
        dt_s=kinematics.DT_S,
        history_steps=inputs["tracks.valid"].shape[2],
        future_steps=outputs["position_m"].shape[1],
        limits=limits,
        inputs=tuple(_spec(name, value, INPUTS[name], None) for name, value in inputs.items()),
        outputs=tuple(_spec(name, value, OUTPUTS[name], _tolerance(value)) for name, value in outputs.items()),
        weights=Training(source=source, sha256=sha256, **asdict(origin)),
        lattice=asdict(lattice),
        score_weights=asdict(weights),
        opset=opset,
        versions={"python": platform.python_version(), **{name: version(name) for name in packages}},
    )


def check_arrays(specs: tuple[TensorSpec, ...], arrays: Arrays, owner: str) -> None:
    """Raise InputError that names the first tensor which breaks its spec: absent, dtype, shape, not finite, out of range."""
    for spec in specs:
        value = arrays.get(spec.name)
        if value is None:
            raise InputError(f"{owner}: {spec.name} is absent; needed: {spec.dtype} {spec.shape} ({spec.axes}).")
        if str(value.dtype) != spec.dtype or value.shape != spec.shape:
            raise InputError(
                f"{owner}: {spec.name} is {value.dtype} {value.shape}; needed: {spec.dtype} {spec.shape} ({spec.axes})."
            )
        if spec.range is None:
            continue
        low, high = spec.range
        found = float(value.min()), float(value.max())
        # Written so that a NaN, which every comparison denies, fails too.
        if not (np.isfinite(found).all() and low <= found[0] and found[1] <= high):
            raise InputError(f"{owner}: {spec.name} runs from {found[0]:g} to {found[1]:g}; needed: {low:g} to {high:g}.")


def _spec(name: str, value: NDArray[Any], field: Field, tolerance: float | None) -> TensorSpec:
    described = dict(zip(("axes", "unit", "frame", "range", "padding"), field, strict=True))
    found = {"name": name, "dtype": str(value.dtype), "shape": value.shape, "tolerance": tolerance}
    return TensorSpec.model_validate(found | described)


def _tolerance(value: NDArray[Any]) -> float:
    return TOLERANCE if value.dtype == np.float32 else 0.0
