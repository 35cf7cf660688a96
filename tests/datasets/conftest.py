"""A nuScenes dataroot small enough to work out by hand, and a Log that needs no dataroot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from PIL import Image

from drive_wm.log import VEHICLE, Log, LogMap

LOCATION = "singapore-onenorth"
VERSION = "v1.0-mini"
Tables = dict[str, list[dict[str, Any]]]


@pytest.fixture
def dataroot(tmp_path: Path) -> Path:
    """scene-0061 with 3 keyframes and scene-0553 with 4 (both in split mini_train), and one map."""
    return write_dataroot(tmp_path / "nuscenes")


@pytest.fixture
def edit() -> Callable[[Path, Callable[[Any], Any]], None]:
    """edit(path, change): read JSON, change it in place, write it back."""

    def apply(path: Path, change: Callable[[Any], Any]) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return apply


@pytest.fixture
def make_log() -> Callable[..., Log]:
    """make_log(name, steps): the ego follows a car along y = 0 at 4 m/s on a street of 3 lane pieces."""

    def make(name: str = "drive", steps: int = 4) -> Log:
        ahead_m = 2.0 * np.arange(steps)
        zeros, none = np.zeros(steps), np.full(3, -1)
        street = LogMap(
            lanes=shapely.MultiLineString([[(x, 0), (x + 20, 0)] for x in (-20, 0, 20)]),
            lane_successors=np.array([[0, 1], [1, 2]]),
            lane_left=none,
            lane_right=none,
            lane_in_junction=np.zeros(3, bool),
            drivable=shapely.MultiPolygon([shapely.box(-20, -5, 40, 5)]),
            crosswalks=shapely.MultiPolygon([shapely.box(10, -5, 14, 5)]),
            walkways=shapely.MultiPolygon(),
            stop_lines=shapely.MultiLineString(),
            lane_dividers=shapely.MultiLineString([[(-20, 2), (40, 2)]]),
            road_dividers=shapely.MultiLineString(),
        )
        return Log(
            name=name,
            source="hand",
            location="street",
            description="",
            keyframes=tuple(f"{name}/{step}" for step in range(steps)),
            agents=("car",),
            categories=("vehicle.car",),
            time_s=0.5 * np.arange(steps),
            ego_pose=np.stack([ahead_m, zeros, zeros], axis=1),
            ego_size_m=np.array([4.0, 1.8]),
            ego_centre_m=1.4,
            ego_from_lidar=np.array([0.9, 0.0, -np.pi / 2]),
            position_m=np.stack([ahead_m + 15, zeros], axis=1)[None],
            yaw_rad=zeros[None],
            size_m=np.full((1, steps, 2), 2.0),
            kind=np.array([VEHICLE]),
            points=np.full((1, steps), 9),
            visibility=np.full((1, steps), 4),
            valid=np.ones((1, steps), bool),
            map=street,
            route=shapely.LineString(),
            targets=np.zeros((0, 2), np.int64),
            has_ego=True,
            has_all_traffic=True,
        )

    return make


@pytest.fixture
def pred_folder(tmp_path: Path) -> Callable[..., Path]:
    """pred_folder(split, scene, rows): a nuscenes_pred folder with this scene, its rows by `pred_row`, and its map."""

    def write(split: str, scene: str, rows: list[str]) -> Path:
        root = tmp_path / "pred"
        label, maps = root / "label" / split, root / "map_0.1"
        label.mkdir(parents=True, exist_ok=True)
        maps.mkdir(exist_ok=True)
        (label / f"{scene}.txt").write_text("".join(row + "\n" for row in rows))
        # Rows of the picture run along x: a road 60 m long and 20 m wide along x, a divider along its middle.
        picture = np.zeros((301, 301, 3), np.uint8)
        picture[60:241, 120:181, 2] = 255
        picture[60:241, 149:152, 1] = 255
        Image.fromarray(picture).save(maps / f"{scene}.png")
        (maps / f"meta_{scene}.txt").write_text("350.00\n950.00\n3.00\n")
        return root

    return write


@pytest.fixture
def pred_row() -> Callable[..., str]:
    """pred_row(frame, id, x, ...): a row of a car that heads along x on y = 1000, or of the ego (id 99), 20 columns."""

    def row(frame: int, id: int, x: float, flag: int = 0, y: float = 1000.0, columns: int = 20, category: str = "Car") -> str:
        size = (1.73, 1.562, 4.084) if id == 99 else (1.9, 1.6, 4.5)
        numbers = [*size, x, 0.0 if id == 99 else 0.8, y, 0.0, float(id == 99 or flag), -1.0, -1.0]
        return " ".join([f"{frame:.1f}", f"{id:.1f}", category, *["-1.0"] * 7, *map(str, numbers)][:columns])

    return row


@pytest.fixture
def pred_rows(pred_row: Callable[..., str]) -> Callable[..., list[str]]:
    """pred_rows(frames, targets, ego): the ego at 4 m/s, car 7 ahead of it at 6 m/s, a target at some frames."""

    def rows(frames: list[int], targets: tuple[int, ...] = (), ego: bool = True) -> list[str]:
        columns = 20 if ego else 18
        egos = {frame: [pred_row(frame, 99, 380.0 + 2 * frame)] if ego else [] for frame in frames}
        cars = {frame: pred_row(frame, 7, 390.0 + 3 * frame, frame in targets, columns=columns) for frame in frames}
        return [row for frame in frames for row in (*egos[frame], cars[frame])]

    return rows


def write_dataroot(root: Path) -> Path:
    tables = _tables()
    for name, rows in tables.items():
        _write(root / VERSION / f"{name}.json", rows)
    _write(root / "maps" / "expansion" / f"{LOCATION}.json", _map())
    (root / "maps" / "mask.png").touch()
    return root


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _tables() -> Tables:
    """Both egos drive along y = 0 at 4 m/s; `car` drives 20 m ahead of them, `walker` is seen at steps 0 and 2."""
    tables: Tables = {
        "category": [
            {"token": "c_car", "name": "vehicle.car", "description": ""},
            {"token": "c_walker", "name": "human.pedestrian.adult", "description": ""},
        ],
        "attribute": [],
        "visibility": [],
        "sensor": [{"token": "lidar", "channel": "LIDAR_TOP", "modality": "lidar"}],
        "calibrated_sensor": [
            # Turned by -90 degrees about z.
            {
                "token": "mount",
                "sensor_token": "lidar",
                "translation": [0.94, 0.0, 1.84],
                "rotation": [0.5**0.5, 0.0, 0.0, -(0.5**0.5)],
                "camera_intrinsic": [],
            }
        ],
        "log": [{"token": "log", "logfile": "n015", "vehicle": "n015", "date_captured": "2018-07-24", "location": LOCATION}],
        "map": [{"token": "map", "category": "semantic_prior", "filename": "maps/mask.png", "log_tokens": ["log"]}],
        "scene": [], "sample": [], "sample_data": [], "ego_pose": [], "sample_annotation": [], "instance": [],
    }  # fmt: skip
    for name, keyframes in (("scene-0061", 3), ("scene-0553", 4)):
        _add_scene(tables, name, keyframes)
    return tables


def _add_scene(tables: Tables, name: str, keyframes: int) -> None:
    samples = [f"{name}/{step}" for step in range(keyframes)]
    tables["scene"].append(
        {
            "token": name,
            "name": name,
            "log_token": "log",
            "nbr_samples": keyframes,
            "first_sample_token": samples[0],
            "last_sample_token": samples[-1],
            "description": f"Drive of {name}",
        }
    )
    for agent, category in (("car", "c_car"), ("walker", "c_walker")):
        tables["instance"].append({"token": f"{name}/{agent}", "category_token": category, "nbr_annotations": 0})
    for step, token in enumerate(samples):
        stamp = 1_532_402_927_000_000 + 500_000 * step
        neighbours = {"prev": samples[step - 1] if step else "", "next": "".join(samples[step + 1 : step + 2])}
        tables["sample"].append({"token": token, "timestamp": stamp, "scene_token": name, **neighbours})
        # Nose up by 0.2 rad, which leaves the heading as it is: the quaternion turns about y alone.
        pose = {
            "token": token,
            "timestamp": stamp,
            "translation": [2.0 * step, 0.0, 0.0],
            "rotation": [0.995, 0.0, -0.0998, 0.0],
        }
        tables["ego_pose"].append(pose)
        # A sweep between keyframes must not be taken for the keyframe.
        for suffix, is_key_frame in (("", True), ("/sweep", False)):
            tables["sample_data"].append(
                {
                    "token": token + suffix,
                    "sample_token": token,
                    "ego_pose_token": token,
                    "calibrated_sensor_token": "mount",
                    "timestamp": stamp,
                    "is_key_frame": is_key_frame,
                    "filename": "",
                }
            )
        tables["sample_annotation"].append(
            _box(token, f"{name}/car", [20.0 + 2.0 * step, 0.0, 1.0], [1.8, 4.5, 1.5], 4, (10, 2))
        )
        if step in (0, 2):
            tables["sample_annotation"].append(_box(token, f"{name}/walker", [5.0, 6.0, 1.0], [0.6, 0.7, 1.8], 1, (-1, -1)))


def _box(
    sample: str, instance: str, centre: list[float], width_length_height: list[float], visibility: int, points: tuple[int, int]
) -> dict[str, Any]:
    return {
        "token": f"{sample}:{instance}",
        "sample_token": sample,
        "instance_token": instance,
        "visibility_token": str(visibility),
        "attribute_tokens": [],
        "translation": centre,
        "size": width_length_height,
        "rotation": [1.0, 0.0, 0.0, 0.0] if "car" in instance else [0.5**0.5, 0.0, 0.0, 0.5**0.5],
        "num_lidar_pts": points[0],
        "num_radar_pts": points[1],
        "prev": "",
        "next": "",
    }


def _map() -> dict[str, Any]:
    """Lane west (0 to 60 m on y = 0), connector middle (to 80 m), lane east (to 300 m), in a 300 x 12 m area."""
    content: dict[str, Any] = {"version": "1.3", "canvas_edge": [1585.6, 2025.0], "node": [], "polygon": [], "line": []}

    def nodes(points: list[tuple[float, float]]) -> list[str]:
        tokens = [f"n{len(content['node']) + i}" for i in range(len(points))]
        content["node"] += [{"token": t, "x": x, "y": y} for t, (x, y) in zip(tokens, points, strict=True)]
        return tokens

    def polygon(points: list[tuple[float, float]]) -> str:
        token = f"p{len(content['polygon'])}"
        content["polygon"].append({"token": token, "exterior_node_tokens": nodes(points), "holes": []})
        return token

    def line(points: list[tuple[float, float]]) -> str:
        token = f"l{len(content['line'])}"
        content["line"].append({"token": token, "node_tokens": nodes(points)})
        return token

    def box(x0: float, y0: float, x1: float, y1: float) -> str:
        return polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])

    bow_tie = polygon([(30, 8), (32, 12), (32, 8), (30, 12)])  # crosses itself: two triangles of 2 m2 together
    lane = {"lane_type": "CAR", "left_lane_divider_segments": [], "right_lane_divider_segments": []}
    return content | {
        "drivable_area": [{"token": "a0", "polygon_tokens": [box(0, -6, 200, 6), box(190, -6, 300, 6)]}],
        "road_segment": [],
        "road_block": [],
        "lane": [
            {"token": "west", "polygon_token": box(0, -2, 60, 2), **lane},
            {"token": "east", "polygon_token": box(80, -2, 300, 2), **lane},
            {"token": "without_path", "polygon_token": box(0, 2, 60, 6), **lane},
            {"token": "without_length", "polygon_token": box(0, 2, 60, 6), **lane},
        ],
        "lane_connector": [{"token": "middle", "polygon_token": box(60, -2, 80, 2)}],
        "ped_crossing": [{"token": "x0", "polygon_token": box(62, -6, 66, 6)}],
        "walkway": [{"token": "w0", "polygon_token": bow_tie}],
        "stop_line": [{"token": "s0", "polygon_token": box(59, -2, 60, 2), "stop_line_type": "YIELD"}],
        "carpark_area": [],
        "traffic_light": [],
        "road_divider": [{"token": "rd", "line_token": line([(0, 6), (300, 6)])}],
        "lane_divider": [{"token": "ld", "line_token": line([(0, 2), (60, 2)])}],
        "arcline_path_3": {
            "west": [_straight(0, 60)],
            "middle": [_straight(60, 20)],
            "east": [_straight(80, 220)],
            "without_path": [],
            "without_length": [_straight(0, 0)],
        },
        "connectivity": {
            "west": {"incoming": [], "outgoing": ["middle"]},
            "middle": {"incoming": ["west"], "outgoing": ["east"]},
            "east": {"incoming": ["middle"], "outgoing": ["not_in_this_file"]},
        },
    }


def _straight(x: float, length_m: float) -> dict[str, Any]:
    ends = {"start_pose": [x, 0.0, 0.0], "end_pose": [x + length_m, 0.0, 0.0]}
    return {**ends, "shape": "LSL", "radius": 999.0, "segment_length": [0.0, length_m, 0.0]}
