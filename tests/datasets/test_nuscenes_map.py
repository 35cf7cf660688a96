"""The map expansion as a LogMap: one street worked by hand, laws of the crop, and traffic on real lanes."""

import warnings

import numpy as np
import pytest
import shapely

from drive_wm.datasets.nuscenes import read_logs
from drive_wm.datasets.nuscenes_map import crop_map, has_expansion, location_map, map_at
from drive_wm.log import VEHICLE, LogMap

STREET_M = np.array([[0.0, 0.0], [10.0, 0.0]])


def test_street_by_hand(dataroot):
    street = location_map(dataroot, "singapore-onenorth")
    assert sum(line.length for line in street.lanes.geoms) == pytest.approx(300, abs=0.01)
    junction = [line for line, inside in zip(street.lanes.geoms, street.lane_in_junction, strict=True) if inside]
    assert sum(line.length for line in junction) == pytest.approx(20, abs=0.01)
    assert all(line.length <= 20.01 for line in street.lanes.geoms)
    assert street.drivable.area == pytest.approx(300 * 12)  # a union: the two areas overlap
    assert street.crosswalks.area == pytest.approx(4 * 12)
    assert street.walkways.area == pytest.approx(4)
    assert street.walkways.is_valid
    assert street.stop_lines.equals(shapely.MultiLineString([[(59.5, -2), (59.5, 2)]]))
    assert street.lane_dividers.length == 60
    assert street.road_dividers.length == 300


def test_one_can_drive_from_end_to_end(dataroot):
    street = location_map(dataroot, "singapore-onenorth")
    after = dict(street.lane_successors.tolist())
    lane = next(i for i, line in enumerate(street.lanes.geoms) if line.coords[0] == (0, 0))
    x_m = [0.0]
    while lane in after:
        lane = after[lane]
        x_m.append(street.lanes.geoms[lane].coords[0][0])
    assert x_m == sorted(x_m)
    assert street.lanes.geoms[lane].coords[-1] == pytest.approx((300, 0), abs=0.01)
    assert len(after) == len(street.lanes.geoms) - 1


def test_crop_keeps_what_is_near(dataroot):
    near = crop_map(location_map(dataroot, "singapore-onenorth"), STREET_M, margin_m=50.0)
    starts = sorted(line.coords[0][0] for line in near.lanes.geoms)
    assert starts[0] == 0
    assert max(starts) <= 60
    assert near.drivable.bounds == pytest.approx((0, -6, 60, 6), abs=0.5)
    assert near.extent.bounds == pytest.approx((-50, -50, 60, 50), abs=0.5)
    assert len(near.crosswalks.geoms) == 0  # 52 m away
    assert len(near.road_dividers.geoms) == 1


@pytest.mark.parametrize("margin_m", [0.5, 30.0, 1000.0])
def test_crop_keeps_links_between_what_it_keeps(dataroot, margin_m):
    whole, path = location_map(dataroot, "singapore-onenorth"), shapely.LineString(STREET_M)
    kept = {link for link in links(whole) if all(path.dwithin(shapely.LineString(end), margin_m) for end in link)}
    assert links(crop_map(whole, STREET_M, margin_m)) == kept


def links(part: LogMap) -> set[tuple]:
    ends = [tuple(line.coords) for line in part.lanes.geoms]
    return {(ends[a], ends[b]) for a, b in part.lane_successors}


def test_crop_around_an_ego_that_stands(dataroot):
    standing = np.zeros((3, 2))
    assert len(crop_map(location_map(dataroot, "singapore-onenorth"), standing, 5.0).lanes.geoms) == 1


def test_without_expansion_one_warning(dataroot):
    (dataroot / "maps" / "expansion" / "singapore-onenorth.json").unlink()
    has_expansion.cache_clear()
    with pytest.warns(UserWarning, match=r"nuScenes-map-expansion-v1\.3"):
        assert map_at(dataroot, "singapore-onenorth", STREET_M).drivable.is_empty
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(map_at(dataroot, "boston-seaport", STREET_M).lanes.geoms) == 0


def test_real_cars_follow_real_lanes(outside_data):
    """Of the cars in motion, most are within 2 m of a lane that has their heading: the map is where the boxes are."""
    root = outside_data("data/nuscenes-mini-train")
    on_lane = []
    for log in read_logs(root, "v1.0-mini", "mini_train"):
        lanes = np.array(log.map.lanes.geoms)
        tree = shapely.STRtree(lanes)
        speed_mps = np.linalg.norm(np.diff(log.position_m, axis=1), axis=-1) / np.diff(log.time_s)
        moving = log.valid[:, 1:] & log.valid[:, :-1] & (speed_mps > 2) & (log.kind == VEHICLE)[:, None]
        near_ego = np.linalg.norm(log.position_m - log.ego_pose[None, :, :2], axis=-1)[:, 1:] < 60
        for agent, step in np.argwhere(moving & near_ego):
            box = shapely.Point(log.position_m[agent, step + 1])
            near = lanes[tree.query(box, predicate="dwithin", distance=2.0)]
            along = shapely.line_locate_point(near, box)
            ahead = shapely.get_coordinates(shapely.line_interpolate_point(near, along + 0.5))
            behind = shapely.get_coordinates(shapely.line_interpolate_point(near, np.maximum(along - 0.5, 0)))
            heading = np.array([np.cos(log.yaw_rad[agent, step + 1]), np.sin(log.yaw_rad[agent, step + 1])])
            on_lane.append(bool(((ahead - behind) @ heading > 0.87 * np.linalg.norm(ahead - behind, axis=1)).any()))
    assert len(on_lane) > 500
    assert np.mean(on_lane) > 0.8
