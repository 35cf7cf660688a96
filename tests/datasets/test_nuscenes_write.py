"""What is written is what `read_logs` reads back, and what is in every table fits together."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from drive_wm.datasets.nuscenes import read_logs
from drive_wm.datasets.nuscenes_layers import moved
from drive_wm.datasets.nuscenes_tables import OPTIONAL_TABLES, TABLES
from drive_wm.datasets.nuscenes_write import RIGHT_HAND, VERSION, Place, Splits, write_dataroot
from drive_wm.log import Log

AREAS = ("drivable", "crosswalks", "walkways")
LINES = ("lanes", "stop_lines", "lane_dividers", "road_dividers")


@pytest.fixture(scope="module")
def source(crossroads_log: Log) -> list[Log]:
    """Two drives at one crossroads, and one at its copy elsewhere."""
    other = replace(crossroads_log, name="other", valid=crossroads_log.valid & (np.arange(24) % 5 > 0))
    return [crossroads_log, masked(other), replace(crossroads_log, name="copy")]


@pytest.fixture(scope="module")
def root(source: list[Log], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    signals = shapely.MultiLineString(source[0].map.stop_lines.geoms[:1])
    places = [Place(source[0].map, signals, False, tuple(source[:2])), Place(source[2].map, signals, False, (source[2],))]
    write_dataroot(places, folder, "test")
    return folder


def masked(log: Log) -> Log:
    """The log with zeros where nobody is seen."""
    seen = log.valid[..., None]
    return replace(log, position_m=log.position_m * seen, size_m=log.size_m * seen, yaw_rad=log.yaw_rad * log.valid,
                   points=log.points * log.valid, visibility=log.visibility * log.valid)  # fmt: skip


def test_logs_come_back(source: list[Log], root: Path) -> None:
    back = list(read_logs(root, VERSION, "synth"))
    assert len(back) == len(source)
    for log, one in zip(source, back, strict=True):
        offset_m = one.ego_pose[0, :2] - log.ego_pose[0, :2]
        order = [i for i in np.argsort(np.argmax(log.valid, axis=1), kind="stable") if log.valid[i].any()]
        seen = log.valid[order]
        np.testing.assert_array_equal(one.valid, seen)
        assert one.categories == tuple(log.categories[i] for i in order)
        np.testing.assert_array_equal(one.kind, log.kind[order])
        np.testing.assert_array_equal(one.points, log.points[order])
        np.testing.assert_array_equal(one.visibility, log.visibility[order])
        np.testing.assert_allclose(one.ego_pose, log.ego_pose + [*offset_m, 0.0], atol=1e-3)
        np.testing.assert_allclose(one.position_m[seen], log.position_m[order][seen] + offset_m, atol=1e-3)
        np.testing.assert_allclose(np.exp(1j * one.yaw_rad[seen]), np.exp(1j * log.yaw_rad[order][seen]), atol=1e-6)
        np.testing.assert_allclose(one.size_m, log.size_m[order], atol=1e-3)
        np.testing.assert_allclose(np.diff(one.time_s), np.diff(log.time_s), atol=1e-5)
        np.testing.assert_allclose(one.ego_from_lidar, log.ego_from_lidar, atol=1e-6)


def test_maps_come_back(source: list[Log], root: Path) -> None:
    for log, one in zip(source, read_logs(root, VERSION, "synth"), strict=True):
        around = shapely.LineString(one.ego_pose[:, :2]).buffer(60.0)
        there = moved(log.map, one.ego_pose[0, :2] - log.ego_pose[0, :2])
        for name in (*AREAS, *LINES):
            a, b = (getattr(m, name).boundary if name in AREAS else getattr(m, name) for m in (there, one.map))
            a, b = shapely.intersection(a, around), shapely.intersection(b, around)
            assert a.is_empty == b.is_empty, name
            assert a.is_empty or a.hausdorff_distance(b) < 0.1, name


def test_links_between_lanes_come_back(source: list[Log], root: Path) -> None:
    log, one = source[0], next(read_logs(root, VERSION, "synth"))
    offset_m = one.ego_pose[0, :2] - log.ego_pose[0, :2]
    assert joints(moved(log.map, offset_m), one.ego_pose[0, :2]) == joints(one.map, one.ego_pose[0, :2])


def joints(m, around_m) -> set[tuple]:
    """Where lanes end that lead into a junction or out of it, with the end of the piece that follows."""
    pieces = shapely.get_parts(m.lanes)
    ends = [shapely.get_coordinates(shapely.get_point(piece, -1))[0] for piece in pieces]
    return {
        (*ends[a].round(0), int(m.lane_in_junction[a]), int(m.lane_in_junction[b]))
        for a, b in m.lane_successors
        if m.lane_in_junction[a] != m.lane_in_junction[b] and np.linalg.norm(ends[a] - around_m) < 100
    }


def test_rows_refer_to_rows(root: Path) -> None:
    tables = {name: json.loads((root / VERSION / f"{name}.json").read_text()) for name in (*TABLES, *OPTIONAL_TABLES)}
    tokens = {name: {row["token"] for row in rows} for name, rows in tables.items()}
    for name, rows in tables.items():
        assert len(tokens[name]) == len(rows), f"{name} has a token twice"
        for row in rows:
            for key, value in row.items():
                table = key.removesuffix("_token").removesuffix("_tokens").removeprefix("first_").removeprefix("last_")
                table = "sample_annotation" if table == "annotation" else table
                if table in tokens and key != table and value:
                    assert set([value] if isinstance(value, str) else value) <= tokens[table], (name, key)
            assert all(row[link] in tokens[name] for link in ("prev", "next") if row.get(link))
    assert {(root / row["filename"]).is_file() for row in tables["map"]} == {True}


def test_map_of_a_location_holds_both_places_apart(root: Path) -> None:
    content = json.loads((root / "maps" / "expansion" / f"{RIGHT_HAND}.json").read_text())
    nodes = {node["token"]: (node["x"], node["y"]) for node in content["node"]}
    polygons = {p["token"]: shapely.Polygon([nodes[n] for n in p["exterior_node_tokens"]]) for p in content["polygon"]}
    one, other = (shapely.MultiPolygon([polygons[p] for p in a["polygon_tokens"]]) for a in content["drivable_area"])
    assert one.distance(other) > 150.0
    assert min(*one.bounds, *other.bounds) > 150.0
    assert all(0 < x < content["canvas_edge"][0] and 0 < y < content["canvas_edge"][1] for x, y in nodes.values())


def test_same_input_gives_same_bytes(source: list[Log], tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_dataroot([Place(source[0].map, shapely.MultiLineString(), True, (source[0],))], tmp_path / name, "test")
    files = [p.relative_to(tmp_path / "a") for p in sorted((tmp_path / "a").rglob("*")) if p.is_file()]
    assert len(files) == 13 + 2 + 4 + 4
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_splits_keep_their_shares_and_places_whole() -> None:
    splits, places = Splits(), []
    for number in [6] * 100 + [3] * 100:
        places.append(splits.names(number))
    names = {split: set(used) for split, used in splits.used.items()}
    assert sum(map(len, names.values())) == 900
    assert len(names["val"]) / 900 == pytest.approx(150 / 850, abs=0.02)
    assert all(any(set(place) <= used for used in names.values()) for place in places)
    assert names["val"] <= {*Splits().left["val"], *(f"scene-{i}" for i in range(2001, 2060))}
