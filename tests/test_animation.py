"""The moving picture keeps to its frame, its length and its size; what it shows lies where the log says."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor
from torch.testing import assert_close

from drive_wm.animation import Tick, animate, moments, present, turned_along
from drive_wm.drawing import LIGHT
from drive_wm.log import CYCLIST, VEHICLE


@pytest.fixture
def ticks():
    """Straight ahead at 10 m/s, and one other that is imagined in two modes."""
    plan_m = torch.stack([5.0 * torch.arange(4), torch.zeros(4)], dim=-1)
    imagined_m = plan_m.expand(2, 1, 4, 2) + 10.0
    return [Tick(step, plan_m, imagined_m, torch.tensor([0]), torch.tensor([0.7, 0.3])) for step in range(4, 8)]


def test_moments_run_from_the_first_to_the_last_keyframe(ticks):
    assert [at for _, at in moments(ticks, 2)] == [4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0]
    assert [now.step for now, _ in moments(ticks, 2)] == [4, 4, 5, 5, 6, 6, 7]


def test_ego_box_lies_halfway_between_keyframes(crossroads_log):
    boxes, colours = present(crossroads_log, 2.5, LIGHT)
    rear = crossroads_log.ego_pose[2:4].mean(0)
    centre_m = rear[:2] + crossroads_log.ego_centre_m * np.array([np.cos(rear[2]), np.sin(rear[2])])
    assert_close(boxes[-1].mean(0), torch.from_numpy(centre_m))
    assert colours[-1] == LIGHT.ego


def test_an_agent_is_drawn_only_between_keyframes_that_know_it(crossroads_log):
    first_seen = int(crossroads_log.valid[crossroads_log.agents.index("barrier")].argmax())
    before, after = (len(present(crossroads_log, at, LIGHT)[1]) for at in (first_seen - 0.5, first_seen))
    assert after == before + 1


def test_the_drive_lies_flat(crossroads_log, ticks):
    """The ego starts to turn left after these keyframes, so its first heading is the road's."""
    assert_close(turned_along(crossroads_log, ticks), torch.from_numpy(crossroads_log.ego_pose[4]), atol=1e-6, rtol=0)


def test_gif_has_a_frame_per_moment_and_is_small(crossroads_log, ticks):
    data = animate(crossroads_log, ticks, width_px=220, frames_per_step=2)
    picture = Image.open(BytesIO(data))
    assert (picture.format, picture.size, picture.n_frames) == ("GIF", (220, 100), 7)
    assert len(data) < 60_000
    colours = {colour for _, colour in picture.convert("RGB").getcolors(100_000)}
    for own in (LIGHT.ego, LIGHT.kinds[VEHICLE], LIGHT.kinds[CYCLIST]):
        assert ImageColor.getrgb(own) in colours, "the first frame shows everyone in their own colour"
