"""Fixtures that several test files share."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from hypothesis import settings
from numpy.typing import ArrayLike
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from drive_wm.lane_graph import build_lanes
from drive_wm.log import CYCLIST, PEDESTRIAN, STATIC, VEHICLE, Log, LogMap
from drive_wm.scene import Scene
from drive_wm.scene_at import scene_at
from drive_wm.structs import cat

settings.register_profile("any machine", deadline=None)  # a slow machine is no wrong result
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def outside_data() -> Callable[[str], Path]:
    """Path of data that is not part of the repository; skips where it is absent.

    Names: "data/nuscenes-mini-train", "data/nuscenes_pred", "golden/planning_metrics.json".
    """
    root = Path(os.environ.get("DRIVE_WM_DATA", Path(__file__).resolve().parents[2] / "shared"))

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f"{path} is absent; set DRIVE_WM_DATA to the folder that holds {name}")
        return path

    return find


@pytest.fixture(scope="session")
def crossroads_log() -> Log:
    """A hand-made drive: the ego turns left at a four-way junction with two lanes each way, among seven others."""
    return build_crossroads()


@pytest.fixture(scope="session")
def crossroads_scene(crossroads_log: Log) -> Scene:
    """The crossroads 3 s into the drive; B = 1."""
    return scene_at(crossroads_log, 6)[0]


@pytest.fixture(scope="session")
def crossroads_batch(crossroads_log: Log) -> Scene:
    """The crossroads at three instants; B = 3."""
    return cat([scene_at(crossroads_log, step)[0] for step in (4, 9, 15)])


STEPS, LANE_M, BOX_M, ARM_M = 24, 3.5, 18.0, 120.0  # keyframes, lane width, half the junction, length of an arm
PLACE = np.array([612.3, 1834.7, 0.3])  # where the junction lies in the global frame, and how it is turned


def build_crossroads() -> Log:
    time_s = 0.5 * np.arange(STEPS)
    lanes, successors, in_junction = crossroads_lanes()
    # Arms are numbered east, north, west, south; the ego comes from the west on the inner lane and leaves to the north.
    route = np.concatenate([lanes["in", 2, 0], lanes["turn", 2, "left"], lanes["out", 1, 0]])
    ego_speed_mps = np.interp(time_s, (0.0, 3.0, 5.0, 9.0, 11.0), (8.0, 8.0, 5.0, 5.0, 8.0))
    ego_along_m = 60.0 + np.cumsum(ego_speed_mps * 0.5)
    straight = {
        arm: np.concatenate([lanes["in", arm, 1], lanes["turn", arm, "outer"], lanes["out", (arm + 2) % 4, 1]])
        for arm in range(4)
    }
    crossing_road = np.array([[14.5, -9.0], [14.5, 9.5]])
    still = np.zeros(STEPS)
    moves = {  # name: category, kind, length and width, polyline, distance along it, first and last step seen
        "leader": ("vehicle.car", VEHICLE, (4.5, 1.9), route, ego_along_m + 19.0, 0, STEPS),
        "crossing": ("vehicle.truck", VEHICLE, (8.0, 2.5), straight[1], 88.0 + 10.0 * time_s, 0, 19),
        "oncoming": ("vehicle.car", VEHICLE, (4.2, 1.8), straight[0], 75.0 + 11.0 * time_s, 2, STEPS),
        "cyclist": ("vehicle.bicycle", CYCLIST, (1.8, 0.6), straight[2] - [0.0, 1.0], 66.0 + 4.5 * time_s, 0, STEPS),
        "walker": ("human.pedestrian.adult", PEDESTRIAN, (0.7, 0.7), crossing_road, 1.3 * time_s, 0, STEPS),
        "parked": ("vehicle.car", VEHICLE, (4.4, 1.8), np.array([[40.0, 8.6], [30.0, 8.6]]), still, 0, STEPS),
        "barrier": ("movable_object.barrier", STATIC, (0.5, 2.0), np.array([[-30.0, -8.5], [-20.0, -8.5]]), still, 5, STEPS),
    }  # fmt: skip
    poses = np.stack([along(line, at_m) for *_, line, at_m, _, _ in moves.values()])
    valid = np.stack([(first <= np.arange(STEPS)) & (np.arange(STEPS) < last) for *_, first, last in moves.values()])
    poses = np.where(valid[..., None], placed_poses(poses), 0.0)
    return Log(
        name="crossroads",
        source="hand-made",
        location="crossroads",
        description="The ego turns left at a crossroads.",
        keyframes=tuple(f"keyframe-{step}" for step in range(STEPS)),
        agents=tuple(moves),
        categories=tuple(category for category, *_ in moves.values()),
        time_s=time_s,
        ego_pose=placed_poses(along(route, ego_along_m)),
        ego_size_m=np.array([4.084, 1.85]),
        ego_centre_m=1.4,
        ego_from_lidar=np.array([0.94, 0.0, -np.pi / 2]),
        position_m=poses[..., :2],
        yaw_rad=poses[..., 2],
        size_m=np.where(valid[..., None], np.array([size for _, _, size, *_ in moves.values()])[:, None], 0.0),
        kind=np.array([kind for _, kind, *_ in moves.values()]),
        points=np.where(valid, 20, 0),
        visibility=np.where(valid, 4, 0),
        valid=valid,
        map=crossroads_map(build_lanes([placed(line) for line in lanes.values()], successors, in_junction)),
        route=shapely.LineString(placed(route)),
        targets=np.zeros((0, 2), np.int64),
        has_ego=True,
        has_all_traffic=True,
    )


def crossroads_lanes() -> tuple[dict[tuple, np.ndarray], list[tuple[int, int]], list[bool]]:
    """Centrelines by ("in" or "out", arm, 0 inner or 1 outer) and ("turn", arm, way), their successors, in_junction."""
    lanes, ways = {}, []
    for arm in range(4):
        for lane in (0, 1):
            side_m = LANE_M * (lane + 0.5)
            lanes["in", arm, lane] = on_arm(arm, [[ARM_M, side_m], [BOX_M, side_m]])
            lanes["out", arm, lane] = on_arm(arm, [[BOX_M, -side_m], [ARM_M, -side_m]])
    for arm in range(4):
        turns = {
            "left": (0, (arm + 3) % 4),
            "inner": (0, (arm + 2) % 4),
            "outer": (1, (arm + 2) % 4),
            "right": (1, (arm + 1) % 4),
        }
        for way, (lane, target) in turns.items():
            before, after = lanes["in", arm, lane], lanes["out", target, lane]
            lanes["turn", arm, way] = bend(before[-1], before[-1] - before[0], after[0], after[-1] - after[0])
            ways += [(("in", arm, lane), ("turn", arm, way)), (("turn", arm, way), ("out", target, lane))]
    index = {name: i for i, name in enumerate(lanes)}
    return lanes, [(index[a], index[b]) for a, b in ways], [name[0] == "turn" for name in lanes]


def crossroads_map(lanes: tuple) -> LogMap:
    """Roads of 14.5 m with a narrow island in the west, crosswalks inside the stop lines, walkways beside the roads."""
    arms = range(4)
    road = shapely.union_all(
        [shapely.box(-ARM_M, -7.25, ARM_M, 7.25), shapely.box(-7.25, -ARM_M, 7.25, ARM_M), shapely.box(-10, -10, 10, 10)]
    )
    drivable = road - shapely.Polygon(on_arm(2, [[35, -0.4], [60, -0.4], [60, 0.4], [35, 0.4]]))
    boxes = {
        "crosswalks": [(13.0, -7.25, 16.0, 7.25)],
        "walkways": [(BOX_M, 7.25, ARM_M, 9.75), (BOX_M, -9.75, ARM_M, -7.25)],
    }
    lines = {
        "stop_lines": [[(BOX_M, 0.0), (BOX_M, 7.0)]],
        "lane_dividers": [[(BOX_M, side_m), (ARM_M, side_m)] for side_m in (-LANE_M, LANE_M)],
        "road_dividers": [[(BOX_M, 0.0), (ARM_M, 0.0)]],
    }
    areas = {
        name: shapely.MultiPolygon(
            [shapely.Polygon(placed(on_arm(arm, shapely.box(*b).exterior.coords))) for arm in arms for b in v]
        )
        for name, v in boxes.items()
    }
    return LogMap(
        *lanes,
        drivable=shapely.MultiPolygon([shapely.transform(drivable, placed)]),
        **areas,
        **{
            name: shapely.MultiLineString([placed(on_arm(arm, line)) for arm in arms for line in v])
            for name, v in lines.items()
        },
    )


def on_arm(arm: int, xy_m: ArrayLike) -> np.ndarray:
    """Points given as seen on the east arm, turned to an arm."""
    quarter = np.round([np.cos(arm * np.pi / 2), np.sin(arm * np.pi / 2)])
    return np.asarray(xy_m, float) @ np.array([quarter, [-quarter[1], quarter[0]]])


def bend(start: np.ndarray, heading: np.ndarray, end: np.ndarray, end_heading: np.ndarray) -> np.ndarray:
    """A smooth path (17, 2) that leaves start along heading and reaches end along end_heading: a cubic Bezier curve."""
    reach_m = 0.39 * np.linalg.norm(end - start)
    inner = [start + reach_m * heading / np.linalg.norm(heading), end - reach_m * end_heading / np.linalg.norm(end_heading)]
    t = np.linspace(0, 1, 17)[:, None]
    return (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * inner[0] + 3 * (1 - t) * t**2 * inner[1] + t**3 * end


def along(line_m: np.ndarray, at_m: np.ndarray) -> np.ndarray:
    """Poses (S, 3) at distances along a polyline."""
    line = shapely.LineString(line_m)
    here, ahead = (shapely.get_coordinates(shapely.line_interpolate_point(line, at_m + more)) for more in (0.0, 0.5))
    return np.concatenate([here, np.arctan2(*(ahead - here).T[::-1])[:, None]], axis=1)


def placed(xy_m: np.ndarray) -> np.ndarray:
    """Points of the junction's own frame in the global frame."""
    cos, sin = np.cos(PLACE[2]), np.sin(PLACE[2])
    return np.asarray(xy_m) @ np.array([[cos, sin], [-sin, cos]]) + PLACE[:2]


def placed_poses(poses: np.ndarray) -> np.ndarray:
    return np.concatenate([placed(poses[..., :2]), poses[..., 2:] + PLACE[2]], axis=-1)


@pytest.fixture(scope="session")
def move_log() -> Callable[[Log, np.ndarray], Log]:
    """The same drive in a world that is turned and shifted by a pose (3,)."""

    def move(log: Log, pose: np.ndarray) -> Log:
        cos, sin = np.cos(pose[2]), np.sin(pose[2])

        def points(xy: np.ndarray) -> np.ndarray:
            return xy @ np.array([[cos, sin], [-sin, cos]]) + pose[:2]

        def poses(xyt: np.ndarray) -> np.ndarray:
            return np.concatenate([points(xyt[..., :2]), xyt[..., 2:] + pose[2]], axis=-1)

        shapes = {name: x for name, x in vars(log.map).items() if isinstance(x, shapely.Geometry)}
        return replace(
            log,
            ego_pose=poses(log.ego_pose),
            position_m=np.where(log.valid[..., None], points(log.position_m), 0.0),
            yaw_rad=np.where(log.valid, log.yaw_rad + pose[2], 0.0),
            map=replace(log.map, **{name: shapely.transform(x, points) for name, x in shapes.items()}),
            route=shapely.transform(log.route, points),
        )

    return move


@pytest.fixture
def elsewhere() -> Iterator[torch.device]:
    """A second device that every machine has: tensors there mix with those on the processor as little as a GPU's do.

    What was moved with `.to(elsewhere)` says that its device is "meta", but holds numbers; code that would fail on a GPU,
    since tensors of both meet in one operation, raises.
    """
    with _Numbers(), _Made():
        yield ELSEWHERE


ELSEWHERE = torch.device("meta")
aten = torch.ops.aten
# What may read one device and write the other, and what takes indices that lie on the processor.
MOVES = {aten._to_copy.default, aten.copy_.default}
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._unsafe_index.Tensor}
FROM_NUMBERS = {torch.tensor, torch.as_tensor, Tensor.new_tensor}


class Distant(Tensor):
    """A tensor elsewhere; `held` is what it holds."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "Distant":
        distant: Distant = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=ELSEWHERE
        )
        distant.held = held
        return distant

    def __repr__(self, **_: Any) -> str:
        return f"Distant({self.held!r})"

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    distant = [x for x in tensors if isinstance(x, Distant)]
    near = [x for x in tensors if not isinstance(x, Distant) and x.ndim]
    if distant and near and func not in MOVES and not (func in INDEXED and isinstance(args[0], Distant)):
        raise RuntimeError(f"{func}: tensors on two devices, {[tuple(x.shape) for x in near]} on the processor")
    device = kwargs.get("device")
    goes_far = torch.device(device) == ELSEWHERE if device is not None else bool(distant)
    if device is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    found = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if not goes_far:
        return found
    found = tree_map(lambda x: Distant(x) if isinstance(x, Tensor) else x, found)
    return return_and_correct_aliasing(func, args, kwargs, found) if distant and device is None else found


def _held(value: Any) -> Any:
    return value.held if isinstance(value, Distant) else value


class _Numbers(TorchFunctionMode):
    """Tensors made of Python's numbers, which no operation sees before they are there."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        like = args[0] if func is Tensor.new_tensor else None
        if func not in FROM_NUMBERS or kwargs.get("device", like is not None and like.device) != ELSEWHERE:
            return func(*args, **kwargs)
        dtype = kwargs.get("dtype", None if like is None else like.dtype)
        return torch.as_tensor(args[-1], dtype=dtype, device="cpu").to(ELSEWHERE)


class _Made(TorchDispatchMode):
    """Tensors made from nothing, and those moved."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {})
