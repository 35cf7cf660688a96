"""Figures say what they show, and a PNG of one is small."""

from io import BytesIO

import pytest
import torch
from PIL import Image

from drive_wm.figures import MODES_SHOWN, imagined_figure, log_figure, png, scene_figure, seen_figure
from drive_wm.kinematics import roll
from drive_wm.rollouts import Plans, Rollouts, Trajectory
from drive_wm.scene import Scene
from drive_wm.scene_at import scene_at

K, M, T = 3, 6, 12


@pytest.fixture
def plans() -> Plans:
    action = torch.stack([torch.linspace(-2, 1, K)[:, None].expand(K, T), torch.zeros(K, T)], dim=-1)[None]
    pose, speed_mps = roll(torch.zeros(1, K, 3), torch.full((1, K), 8.0), action)
    return Plans(action, pose, speed_mps, torch.tensor([[True, False, True]]))


@pytest.fixture
def rollouts(crossroads_scene: Scene) -> Rollouts:
    """Everyone keeps their velocity, in every mode."""
    t, seconds = crossroads_scene.tracks, 0.5 * torch.arange(1, T + 1)
    a = t.kind.shape[1]
    position_m = t.position_m[:, None, None, :, -1:] + t.velocity_mps[:, None, None, :, -1:] * seconds[:, None]
    return Rollouts(
        position_m.expand(1, K, M, a, T, 2), t.yaw_rad[:, None, None, :, -1:].expand(1, K, M, a, T),
        torch.zeros(1, K, M, a, T, 2), torch.ones(1, K, M, a, T, 2), torch.arange(M)[None].log1p(), t.size_m, t.valid[..., -1],
        Trajectory(torch.zeros(1, T, 3), torch.zeros(1, T)),
    )  # fmt: skip


SCORE = torch.tensor([1.0, 9.0, 3.0])


def test_seen_figure_counts_valid_plans_and_names_what_is_there(crossroads_scene, plans):
    figure = seen_figure(crossroads_scene, plans, SCORE, chosen=2)
    assert figure.axes[0].get_title(loc="left") == "Seen and chosen: 2 plans weighed"
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["ego", "vehicle", "cyclist", "pedestrian", "static", "chosen plan, a dot per second", "route"]


def test_imagined_figure_shows_the_likeliest_modes_first(crossroads_scene, plans, rollouts):
    """Logits log(1 + m) make probabilities (1 + m) / 21."""
    figure = imagined_figure(crossroads_scene, plans, rollouts, chosen=2)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Mode 6: 29%", "Mode 5: 24%", "Mode 4: 19%", "Mode 3: 14%"]
    assert len(titles) == MODES_SHOWN


def test_log_figure_ends_each_path_where_the_recording_ends(crossroads_log):
    scene, future = scene_at(crossroads_log, 17)
    figure = log_figure(scene, future, "crossroads", "word " * 60)
    paths = figure.axes[0].collections[-1].get_segments()
    reached = future.tracks.valid[0, scene.tracks.valid[0, :, -1]].sum(-1).tolist()
    assert [len(path) - 1 for path in paths] == reached, "the drive's six keyframes to come, one for the crossing truck"
    assert sorted(set(reached)) == [1, 6]
    assert figure.axes[0].texts[0].get_text().endswith("word …")
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["ego", "vehicle", "cyclist", "pedestrian", "static", "the last 2 s", "the next 6 s", "route"]


def test_png_is_small(crossroads_scene, plans, rollouts):
    data = png(scene_figure(crossroads_scene, plans, rollouts, SCORE, chosen=2, title="Crossroads"))
    assert Image.open(BytesIO(data)).size == (1850, 650)
    assert len(data) < 200_000
