"""Drawn boxes lie where the agents are, lines where the plans are, and nothing is drawn that is not there."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from matplotlib.colors import to_rgba, to_rgba_array
from matplotlib.figure import Figure
from torch import Tensor, tensor
from torch.testing import assert_close

from drive_wm.drawing import DARK, LIGHT, draw_candidates, draw_rollouts, draw_scene
from drive_wm.kinematics import roll
from drive_wm.log import PEDESTRIAN, STATIC, VEHICLE
from drive_wm.rollouts import Plans, Rollouts, Trajectory
from drive_wm.scene import CELL_M, RASTER_LAYERS, RASTER_SIZE, X_RANGE_M, Y_RANGE_M, Elements, Lanes, Scene, Tracks

H, T = 5, 12


def scene_of(*agents: tuple[float, float, float, float, float, int]) -> Scene:
    """A Scene without a map; agents are x m, y m, yaw rad, length m, width m, kind; one slot more is empty."""
    a = len(agents) + 1
    rows = torch.zeros(1, a, 6)
    rows[0, :-1] = tensor(agents)
    valid = (torch.arange(a) < a - 1)[None, :, None].expand(1, a, H)
    none, flag = torch.full((1, 2), -1), tensor([False])
    return Scene(
        tracks=Tracks(
            position_m=rows[:, :, None, :2].expand(1, a, H, 2), yaw_rad=rows[:, :, None, 2].expand(1, a, H),
            velocity_mps=torch.zeros(1, a, H, 2), size_m=rows[..., 3:5], kind=rows[..., 5].long(), valid=valid,
        ),
        lanes=Lanes(torch.zeros(1, 2, 3, 2), torch.zeros(1, 2, 3), torch.full((1, 2, 3), -1), none, none, none > 0, none > 0),
        elements=Elements(torch.zeros(1, 2, 3, 2), torch.zeros(1, 2, dtype=torch.long), none > 0),
        raster=torch.zeros(1, len(RASTER_LAYERS), RASTER_SIZE, RASTER_SIZE), edge_m=torch.zeros(1, RASTER_SIZE, RASTER_SIZE),
        ego_centre_m=tensor([1.5]), route_m=torch.zeros(1, 4, 2), has_route=flag, command=tensor([1]),
        command_origin=tensor([0]), has_ego=~flag, has_all_traffic=~flag, has_lanes=flag, has_raster=flag,
    )  # fmt: skip


def plans_of(*accels_mps2: float, invalid: int = -1) -> Plans:
    """Straight plans from 5 m/s."""
    k = len(accels_mps2)
    action = torch.stack([tensor(accels_mps2)[:, None].expand(k, T), torch.zeros(k, T)], dim=-1)[None]
    pose, speed_mps = roll(torch.zeros(1, k, 3), torch.full((1, k), 5.0), action)
    return Plans(action, pose, speed_mps, (torch.arange(k) != invalid)[None])


def rollouts_of(scene: Scene, speed_mps: list[float], mode_logits: list[float]) -> Rollouts:
    """One plan; agent a moves along its heading at speed_mps[a] in every mode, the spread 0.5 m along and 0.25 m across."""
    m, a = len(mode_logits), len(speed_mps)
    yaw_rad, seconds = scene.tracks.yaw_rad[0, :, -1], 0.5 * torch.arange(1, T + 1)
    heading = torch.stack([yaw_rad.cos(), yaw_rad.sin()], dim=-1)
    step_m = tensor(speed_mps)[:, None, None] * seconds[:, None] * heading[:, None]
    position_m = (scene.tracks.position_m[0, :, -1][:, None] + step_m).expand(1, 1, m, a, T, 2)
    return Rollouts(
        position_m, yaw_rad[:, None].expand(1, 1, m, a, T), torch.zeros(1, 1, m, a, T, 2),
        tensor([0.5, 0.25]).expand(1, 1, m, a, T, 2), tensor([mode_logits]), scene.tracks.size_m, scene.tracks.valid[..., -1],
        Trajectory(torch.zeros(1, T, 3), torch.zeros(1, T)),
    )  # fmt: skip


EGO = (1.5, 0.0, 0.0, 4.0, 2.0, VEHICLE)
WALKER = (10.0, 4.0, 0.0, 0.6, 0.8, PEDESTRIAN)
PARKED = (10.0, -4.0, 0.0, 4.0, 2.0, STATIC)
CROSSING = (20.0, 5.0, torch.pi / 2, 4.0, 2.0, VEHICLE)


@pytest.fixture
def axes():
    return Figure().subplots()


def of_type(axes, kind):
    return [c for c in axes.collections if type(c) is kind]


def corners(path) -> Tensor:
    return torch.as_tensor(path.vertices[:4], dtype=torch.float32)


def test_boxes_are_drawn_where_the_agents_are(axes):
    assert draw_scene(axes, scene_of(EGO, CROSSING)) == 2
    ego, crossing = of_type(axes, PolyCollection)[0].get_paths()
    assert_close(corners(ego), tensor([[3.5, 1.0], [-0.5, 1.0], [-0.5, -1.0], [3.5, -1.0]]))
    assert_close(corners(crossing), tensor([[19.0, 7.0], [19.0, 3.0], [21.0, 3.0], [21.0, 7.0]]))


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_colour_tells_the_kind_and_the_ego(axes, look):
    draw_scene(axes, scene_of(EGO, WALKER, PARKED), look)
    wanted = to_rgba_array([look.ego, look.kinds[PEDESTRIAN], look.kinds[STATIC]])
    np.testing.assert_allclose(of_type(axes, PolyCollection)[0].get_facecolors(), wanted)


def test_a_scene_without_ego_has_no_ego_colour(axes):
    scene = replace(scene_of(EGO, WALKER), has_ego=tensor([False]))
    draw_scene(axes, scene)
    assert tuple(of_type(axes, PolyCollection)[0].get_facecolors()[0]) == to_rgba(LIGHT.kinds[VEHICLE])


def test_map_cells_lie_at_their_metres(axes):
    scene = scene_of(EGO)
    row, column = int((10.0 - Y_RANGE_M[0]) / CELL_M), int((40.0 - X_RANGE_M[0]) / CELL_M)
    scene.raster[0, RASTER_LAYERS.index("drivable"), row, column] = 1.0
    draw_scene(axes, scene)
    image = axes.images[0]
    left, right, bottom, top = image.get_extent()
    assert image.origin == "lower"
    assert (left, right, bottom, top) == (*X_RANGE_M, *Y_RANGE_M)
    changed = np.argwhere(np.abs(image.get_array() - image.get_array()[0, 0]).sum(-1) > 0.01)
    assert changed.tolist() == [[row, column]]


def test_candidates_leave_out_invalid_plans_and_end_with_the_best(axes):
    lines = draw_candidates(axes, plans_of(0.0, -1.0, 1.0, invalid=2), tensor([2.0, 1.0, 9.0]), chosen=0)
    assert lines.get_array().tolist() == [1.0, 2.0]
    assert_close(tensor(lines.get_segments()[1][0]), tensor([0.0, 0.0], dtype=torch.float64))
    assert_close(tensor(lines.get_segments()[1][-1]), tensor([30.0, 0.0], dtype=torch.float64))


def test_chosen_plan_is_the_last_line(axes):
    draw_candidates(axes, plans_of(0.0, -1.0), tensor([1.0, 2.0]), chosen=1)
    ends = [line.get_xydata()[-1, 0] for line in axes.lines]
    assert ends == [pytest.approx(float(plans_of(-1.0).pose[0, 0, -1, 0]))] * 2


def test_rollouts_show_moving_agents_alone(axes):
    scene = scene_of(EGO, CROSSING, PARKED)
    rollouts = rollouts_of(scene, [5.0, 2.0, 0.0, 0.0], [0.0, 0.0])
    assert draw_rollouts(axes, scene, rollouts, 0) == 2, "one agent in two modes"
    path = of_type(axes, LineCollection)[0].get_segments()[0]
    np.testing.assert_allclose(path[[0, -1]], [[20.0, 5.0], [20.0, 17.0]], atol=1e-4)


def test_spread_is_drawn_as_two_standard_deviations_either_way(axes):
    scene = scene_of(EGO, CROSSING)
    draw_rollouts(axes, scene, rollouts_of(scene, [0.0, 2.0, 0.0], [0.0]), 0)
    (ellipses,) = of_type(axes, EllipseCollection)
    np.testing.assert_allclose(ellipses.get_widths(), [2.0] * 3)
    np.testing.assert_allclose(ellipses.get_heights(), [1.0] * 3)
    np.testing.assert_allclose(ellipses.get_angles(), [90.0] * 3, rtol=1e-5)
    np.testing.assert_allclose(ellipses.get_offsets(), [[20.0, 9.0], [20.0, 13.0], [20.0, 17.0]], atol=1e-4)


def test_a_likelier_mode_is_stronger(axes):
    scene = scene_of(EGO, CROSSING)
    draw_rollouts(axes, scene, rollouts_of(scene, [0.0, 2.0, 0.0], [0.0, 2.0]), 0)
    weak, strong = (lines.get_alpha() for lines in of_type(axes, LineCollection))
    assert weak < strong == 1.0
