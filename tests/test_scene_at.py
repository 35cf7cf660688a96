"""Log to Scene: frames, crops, padding, links, causality, and that the place of the world does not matter."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from drive_wm.errors import InputError
from drive_wm.geometry import transform
from drive_wm.lane_graph import build_lanes
from drive_wm.log import Log, empty_map
from drive_wm.scene import COMMAND_ORIGINS, COMMANDS, ELEMENTS, SceneConfig, ego_speed_mps
from drive_wm.scene_at import SceneBuilder, scene_at, scenes_of
from drive_wm.structs import TensorStruct, tensors

STEP = 6


def assert_same(one: TensorStruct, other: TensorStruct, atol: float = 0.0) -> None:
    flat = tensors(other)
    for name, value in tensors(one).items():
        assert_close(value, flat[name], atol=atol, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


def agent(log: Log, name: str) -> int:
    return log.agents.index(name)


def bare(log: Log, **changes) -> Log:
    """A log without other agents, map and route."""
    s = len(log.keyframes)
    return replace(
        log, agents=(), categories=(), position_m=np.zeros((0, s, 2)), yaw_rad=np.zeros((0, s)), size_m=np.zeros((0, s, 2)),
        kind=np.zeros(0, np.int64), points=np.zeros((0, s), np.int64), visibility=np.zeros((0, s), np.int64),
        valid=np.zeros((0, s), bool), map=empty_map(), route=shapely.LineString(), **changes,
    )  # fmt: skip


@settings(max_examples=8)
@given(st.floats(-3000, 3000), st.floats(-3000, 3000), st.floats(-pi, pi), st.integers(0, 23))
def test_turning_and_shifting_the_world_changes_nothing(crossroads_log, move_log, x_m, y_m, yaw_rad, step):
    elsewhere = move_log(crossroads_log, np.array([x_m, y_m, yaw_rad]))
    for here, there in zip(
        scene_at(crossroads_log, step, command="route"), scene_at(elsewhere, step, command="route"), strict=True
    ):
        assert_same(here, there, atol=1e-4)


def test_every_step_passes_the_check_and_the_stack_holds_each(crossroads_log: Log):
    scenes, futures = scenes_of(crossroads_log, command="route")
    scenes.check()
    assert len(scenes.raster) == len(futures.ego_pose) == len(crossroads_log.keyframes)
    for step in (0, 23):
        scene, future = scene_at(crossroads_log, step, command="route")
        assert_same(scenes[step : step + 1], scene)
        assert_same(futures[step : step + 1], future)


@pytest.mark.parametrize("step", [0, 5, 17])
def test_a_scene_does_not_read_the_future(crossroads_log: Log, step):
    later = np.arange(len(crossroads_log.keyframes)) > step
    changed = replace(
        crossroads_log,
        time_s=crossroads_log.time_s + 0.1 * np.cumsum(later),
        ego_pose=crossroads_log.ego_pose + 3.0 * later[:, None],
        position_m=crossroads_log.position_m - 5.0 * later[:, None],
        yaw_rad=crossroads_log.yaw_rad + later,
        size_m=crossroads_log.size_m + later[:, None],
        valid=crossroads_log.valid ^ later,
    )
    one, future = scene_at(crossroads_log, step, command="route")
    other, changed_future = scene_at(changed, step, command="route")
    assert_same(one, other)
    assert not torch.equal(future.tracks.position_m, changed_future.tracks.position_m)


@pytest.mark.parametrize("step", [0, 6])
def test_more_slots_only_add_padding(crossroads_log: Log, step):
    small, small_future = scene_at(crossroads_log, step, SceneConfig(agents=12, lanes=150, elements=60))
    large, large_future = scene_at(crossroads_log, step, SceneConfig(agents=40, lanes=170, elements=90))
    for name, value in (tensors(small) | tensors(small_future, "future.")).items():
        wide = (tensors(large) | tensors(large_future, "future."))[name]
        if wide.shape == value.shape:
            assert_close(wide, value, atol=0, rtol=0)
            continue
        shared, rest = wide[:, : value.shape[1]], wide[:, value.shape[1] :]
        assert_close(shared, value, atol=0, rtol=0)
        empty = -1 if name in ("lanes.successor", "lanes.left", "lanes.right") else 0
        assert (rest == empty).all(), name


def test_ego_is_first_and_seen_in_its_own_frame(crossroads_log: Log):
    scene, future = scene_at(crossroads_log, STEP)
    ego = scene.tracks
    assert_close(ego.position_m[0, 0, -1], tensor([crossroads_log.ego_centre_m, 0.0]), atol=1e-5, rtol=0)
    assert_close(ego.position_m[0, 0, -2], tensor([crossroads_log.ego_centre_m - 4.0, 0.0]), atol=1e-4, rtol=0)
    assert_close(ego_speed_mps(scene), tensor([8.0]), atol=1e-4, rtol=0)
    assert_close(ego.size_m[0, 0], tensor([4.084, 1.85]))
    assert future.ego_valid.all()
    assert_close(future.ego_pose[0, 0, 2], tensor(0.0), atol=1e-4, rtol=0)
    assert future.ego_pose[0, -1, 1] > 5  # it turned left
    reached = future.ego_pose[0, 5]
    ahead = crossroads_log.ego_centre_m * torch.stack([reached[2].cos(), reached[2].sin()])
    assert_close(future.tracks.position_m[0, 0, 5], reached[:2] + ahead, atol=1e-4, rtol=0)


def test_others_come_nearest_first_and_only_those_present(crossroads_log: Log):
    scene, _ = scene_at(crossroads_log, 0)
    present = crossroads_log.valid[:, 0]
    away_m = (scene.tracks.position_m[0, :, -1] - scene.tracks.position_m[0, 0, -1]).norm(dim=-1)
    shown = scene.tracks.valid[0, :, -1]
    assert shown.sum() == 1 + present.sum()
    assert (away_m[shown].diff() >= 0).all()
    few, _ = scene_at(crossroads_log, 0, SceneConfig(agents=3))
    assert_close(few.tracks.position_m, scene.tracks.position_m[:, :3], atol=0, rtol=0)


def test_equally_near_agents_keep_the_order_of_the_log(crossroads_log: Log):
    """Two agents at one place swap slots when the log lists them the other way round, and not otherwise."""
    twice = replace(crossroads_log, position_m=np.broadcast_to(crossroads_log.position_m[:1], crossroads_log.position_m.shape),
                    valid=np.ones_like(crossroads_log.valid), size_m=np.ones_like(crossroads_log.size_m))  # fmt: skip
    kind = scene_at(twice, STEP)[0].tracks.kind[0, 1 : 1 + len(twice.agents)]
    assert kind.tolist() == twice.kind.tolist()


def test_steps_outside_the_log_are_not_valid(crossroads_log: Log):
    first, _ = scene_at(crossroads_log, 0)
    assert first.tracks.valid[0, 0].tolist() == [False] * 4 + [True]
    assert (first.tracks.velocity_mps[0, 0] == 0).all()  # nothing before it to take a difference from
    _, future = scene_at(crossroads_log, 21)
    assert future.ego_valid[0].tolist() == [True] * 2 + [False] * 10
    for name, value in tensors(future.tracks).items():
        if name not in ("size_m", "kind", "valid"):
            assert (value[:, :, 2:] == 0).all(), name


def test_velocity_is_the_backward_difference_over_real_time(crossroads_log: Log):
    time_s = crossroads_log.time_s.copy()
    time_s[STEP:] += 0.3  # the last step before STEP took 0.8 s
    scene, _ = scene_at(replace(crossroads_log, time_s=time_s), STEP)
    assert_close(scene.tracks.velocity_mps[0, 0, -1, 0], tensor(8.0 * 0.5 / 0.8), atol=1e-4, rtol=0)
    assert_close(scene.tracks.velocity_mps[0, 0, -2, 0], tensor(8.0), atol=1e-4, rtol=0)


def test_velocity_is_zero_where_the_step_before_is_not_valid(crossroads_log: Log):
    """The oncoming car appears at step 2: no velocity there, -11 m/s from step 3 on."""
    scene, _ = scene_at(crossroads_log, 4)
    [slot] = [i for i in range(8) if scene.tracks.velocity_mps[0, i, -1, 0] < -10]
    assert scene.tracks.valid[0, slot].tolist() == [False, False, True, True, True]
    assert_close(scene.tracks.velocity_mps[0, slot, :, 0], tensor([0.0, 0.0, 0.0, -11.0, -11.0]), atol=1e-3, rtol=0)


def test_links_join_ends_and_neighbours_lie_beside(crossroads_log: Log):
    scene, _ = scene_at(crossroads_log, STEP, SceneConfig(lanes=60))
    lanes = scene.lanes
    assert lanes.valid.all()
    assert len(crossroads_log.map.lanes.geoms) > 60
    links = [(i, int(j)) for i in range(60) for j in lanes.successor[0, i] if j >= 0]
    assert len(links) > 40
    for i, j in links:
        assert_close(lanes.position_m[0, i, -1], lanes.position_m[0, j, 0], atol=1e-3, rtol=0)
    for side, sign in ((lanes.left, 1), (lanes.right, -1)):
        pairs = [(i, int(j)) for i, j in enumerate(side[0]) if j >= 0]
        assert pairs
        for i, j in pairs:
            offset = lanes.position_m[0, j] - lanes.position_m[0, i, 5]
            yaw = lanes.yaw_rad[0, i, 5]
            left_m = offset[:, 1] * yaw.cos() - offset[:, 0] * yaw.sin()
            assert sign * left_m.mean() == pytest.approx(3.5, abs=0.8)


def test_the_nearest_lanes_stay_and_their_order_is_by_distance(crossroads_log: Log):
    all_lanes = scene_at(crossroads_log, STEP, SceneConfig(lanes=150))[0].lanes
    few = scene_at(crossroads_log, STEP, SceneConfig(lanes=20))[0].lanes
    assert_close(few.position_m, all_lanes.position_m[:, :20], atol=0, rtol=0)
    away_m = all_lanes.position_m[0][all_lanes.valid[0]].norm(dim=-1).amin(dim=-1)
    assert (away_m.diff() > -1e-4).all()
    steps_m = few.position_m.diff(dim=2).norm(dim=-1)
    assert (steps_m - steps_m.mean(dim=2, keepdim=True)).abs().max() < 0.05  # equal steps, but for chords of bends
    turn_rad = few.position_m.diff(dim=2)
    forward = turn_rad[..., 0] * few.yaw_rad[:, :, :-1].cos() + turn_rad[..., 1] * few.yaw_rad[:, :, :-1].sin()
    assert (forward > 0).all()


def test_successors_run_from_left_to_right(crossroads_log: Log):
    """One lane that splits five ways keeps the leftmost, the straightest and the rightmost."""
    ends = {
        "right": (15.0, -10.0),
        "left": (15.0, 10.0),
        "half left": (18.0, 5.0),
        "straight": (19.0, 0.3),
        "half right": (18.0, -5.0),
    }
    place = crossroads_log.ego_pose[0]
    cos, sin = np.cos(place[2]), np.sin(place[2])

    def there(xy):
        return np.asarray(xy, float) @ np.array([[cos, sin], [-sin, cos]]) + place[:2]

    lines = [there([(-10, 0), (0, 0)])] + [there([(0, 0), end]) for end in ends.values()]
    lanes, successors, left, right, junction = build_lanes(lines, [(0, i) for i in range(1, 6)], [False] + [True] * 5)
    fork = replace(
        empty_map(), lanes=lanes, lane_successors=successors, lane_left=left, lane_right=right, lane_in_junction=junction
    )
    scene, _ = scene_at(replace(crossroads_log, map=fork), 0)
    root = int(scene.lanes.position_m[0, :, 0, 0].argmin())
    found = [scene.lanes.position_m[0, j, -1].tolist() for j in scene.lanes.successor[0, root]]
    assert found == [pytest.approx(ends[name], abs=1e-4) for name in ("left", "straight", "right")]


def test_elements_are_near_and_of_every_kind(crossroads_log: Log):
    elements = scene_at(crossroads_log, 10)[0].elements
    assert {ELEMENTS[k] for k in elements.kind[elements.valid]} == set(ELEMENTS)
    crosswalk = elements.position_m[elements.valid & (elements.kind == 0)]
    assert_close(crosswalk[:, 0], crosswalk[:, -1])  # a closed outline
    rest = elements.position_m[elements.valid & (elements.kind != 0)]
    assert rest.diff(dim=1).norm(dim=-1).sum(dim=1).max() <= 20.01


def test_route_points_lie_two_metres_apart_ahead_of_the_ego(crossroads_log: Log):
    scene, _ = scene_at(crossroads_log, STEP)
    assert scene.has_route.all()
    assert_close(scene.route_m[0, :4], tensor([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0], [6.0, 0.0]]), atol=1e-4, rtol=0)
    x_m, y_m, yaw_rad = crossroads_log.ego_pose[STEP]
    end_m = (x_m + 4 * np.cos(yaw_rad), y_m + 4 * np.sin(yaw_rad))
    short = replace(crossroads_log, route=shapely.LineString([(x_m, y_m), end_m]))
    route_m = scene_at(short, STEP)[0].route_m[0]
    assert_close(route_m[2:], tensor([[4.0, 0.0]]).expand(38, 2), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("origin", "step", "found_origin", "command"),
    [
        ("none", 6, "none", "straight"),
        ("route", 0, "route", "straight"),  # the bend is more than 30 m away
        ("route", 8, "route", "left"),
        ("route", 22, "route", "straight"),
        ("ground_truth_offset", 0, "ground_truth_offset", "straight"),
        ("ground_truth_offset", 10, "ground_truth_offset", "left"),
        ("ground_truth_offset", 23, "none", "straight"),  # nothing follows
    ],
)
def test_command(crossroads_log: Log, origin, step, found_origin, command):
    scene, _ = scene_at(crossroads_log, step, command=origin)
    assert COMMANDS[scene.command] == command
    assert COMMAND_ORIGINS[scene.command_origin] == found_origin


@pytest.mark.parametrize(("lateral_m", "command"), [(2.01, "left"), (1.99, "straight"), (-1.99, "straight"), (-2.01, "right")])
def test_command_from_the_future_turns_at_two_metres(crossroads_log: Log, lateral_m, command):
    steps = np.arange(len(crossroads_log.keyframes))
    path = np.stack([4.0 * steps, lateral_m / 6 * steps, 0.0 * steps], axis=1)
    scene, _ = scene_at(replace(crossroads_log, ego_pose=path), 0, command="ground_truth_offset")
    assert COMMANDS[scene.command] == command


def test_a_log_with_nothing_but_the_ego(crossroads_log: Log):
    scene, future = scene_at(bare(crossroads_log), STEP, command="route")
    scene.check()
    assert scene.tracks.valid.sum() == 5
    assert future.tracks.valid.sum() == 12
    assert not scene.has_lanes.any()
    assert not scene.has_raster.any()
    assert not scene.has_route.any()
    assert scene.command_origin == 0
    for empty in (scene.raster, scene.edge_m, scene.lanes.position_m, scene.elements.position_m, scene.route_m):
        assert (empty == 0).all()
    assert (scene.lanes.successor == -1).all()


def test_types_are_what_the_contract_says(crossroads_log: Log):
    kinds = {x.dtype for x in tensors(scene_at(crossroads_log, STEP)[0]).values()}
    assert kinds == {torch.float32, torch.int64, torch.bool}


@pytest.mark.parametrize(
    ("changes", "step", "command", "message"),
    [
        ({"has_ego": False}, 0, "none", "no ego"),
        ({}, 24, "none", "no step 24; needed: 0 to 23"),
        ({}, -1, "none", "no step -1"),
        ({}, 0, "guess", "No command origin 'guess'"),
    ],
)
def test_bad_input_says_what_is_needed(crossroads_log: Log, changes, step, command, message):
    with pytest.raises(InputError, match=message):
        SceneBuilder(replace(crossroads_log, **changes)).at(step, command)


def test_shown_says_which_agent_is_which(crossroads_log):
    builder = SceneBuilder(crossroads_log, SceneConfig(agents=4))
    scene, _ = builder.at(6)
    shown = builder.shown(6)
    assert shown[0] == 0
    assert len(shown) == 4
    position_m = transform(torch.from_numpy(crossroads_log.ego_pose[6]), scene.tracks.position_m[0, 1:, -1].double())
    assert_close(position_m, torch.from_numpy(crossroads_log.position_m[shown[1:] - 1, 6]), atol=1e-4, rtol=0)
