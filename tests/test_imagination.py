"""Long imagination: the one path again and again, reading nothing that came after."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from drive_wm.config import TINY
from drive_wm.geometry import transform
from drive_wm.imagination import imagine_onward
from drive_wm.log import empty_map
from drive_wm.model.world_model import WorldModel
from drive_wm.scene_at import scene_at

STEP = 6


@pytest.fixture(scope="module")
def model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(TINY.model).eval()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_first_stretch_is_one_imagined_mode(model, crossroads_log):
    # Where there is no road nobody leaves a mode to stay on it, and agents this small are not in each other's way.
    log = replace(crossroads_log, map=empty_map(), size_m=1e-3 * crossroads_log.size_m)
    log = replace(log, ego_size_m=1e-3 * log.ego_size_m)
    (drive,) = imagine_onward(model, log, STEP, 4, seeded(), refresh=4)
    with torch.inference_mode():
        rollouts = model.imagine(scene_at(log, STEP)[0], steps=4)
    pose = torch.from_numpy(crossroads_log.ego_pose[STEP])
    modes_m = transform(pose, rollouts.position_m[0, 0].double())  # (M, A, T, 2)
    heading = np.stack([np.cos(drive.ego_pose[-4:, 2]), np.sin(drive.ego_pose[-4:, 2])], -1)
    ego_m = torch.from_numpy(drive.ego_pose[-4:, :2] + drive.ego_centre_m * heading)
    apart_m = (modes_m[:, 0] - ego_m).norm(dim=-1).amax(-1)
    assert apart_m.min() < 1e-4
    others_m = modes_m[apart_m.argmin()]
    nearest_m = torch.cdist(torch.from_numpy(drive.position_m[:, -1]), others_m[1:, -1]).amin(-1)
    assert nearest_m.max() < 1e-4  # each agent of the drive is one of that mode


def test_log_holds_the_past_and_everybody_present(model, crossroads_log):
    (drive,) = imagine_onward(model, crossroads_log, STEP, 9, seeded())
    drive.check()
    past, here = TINY.model.scene.history + 1, crossroads_log.valid[:, STEP]
    assert drive.keyframes[:past] == crossroads_log.keyframes[STEP + 1 - past : STEP + 1]
    assert len(drive.keyframes) == past + 9
    assert drive.agents == tuple(name for name, kept in zip(crossroads_log.agents, here, strict=True) if kept)
    assert np.array_equal(drive.position_m[:, :past], crossroads_log.position_m[here, STEP + 1 - past : STEP + 1])
    assert drive.valid[:, past:].all()
    assert np.allclose(np.diff(drive.time_s[past - 1 :]), 0.5)


def test_nothing_after_the_start_is_read(model, crossroads_log):
    later = np.arange(len(crossroads_log.keyframes)) > STEP
    other = replace(
        crossroads_log,
        position_m=np.where(later[:, None], 0.0, crossroads_log.position_m),
        valid=crossroads_log.valid & ~later,
        ego_pose=np.where(later[:, None], 0.0, crossroads_log.ego_pose),
    )
    found, again = (imagine_onward(model, log, STEP, 10, seeded())[0] for log in (crossroads_log, other))
    assert np.array_equal(found.position_m, again.position_m)
    assert np.array_equal(found.ego_pose, again.ego_pose)


def test_moving_the_world_moves_what_is_imagined(model, crossroads_log, move_log):
    pose = np.array([400.0, -90.0, 0.7])
    here = imagine_onward(model, crossroads_log, STEP, 8, seeded())[0]
    there = imagine_onward(model, move_log(crossroads_log, pose), STEP, 8, seeded())[0]
    assert_close(torch.from_numpy(there.position_m), torch.from_numpy(move_log(here, pose).position_m), atol=0.02, rtol=0)


def test_samples_differ_and_repeat(model, crossroads_log):
    log = replace(crossroads_log, map=empty_map())
    drives, again = (imagine_onward(model, log, STEP, 16, seeded(), samples=3) for _ in range(2))
    assert all(np.array_equal(a.position_m, b.position_m) for a, b in zip(drives, again, strict=True))
    assert not np.array_equal(drives[0].position_m, drives[1].position_m)


def test_a_minute_stays_finite(model, crossroads_log):
    (drive,) = imagine_onward(model, crossroads_log, STEP, 120, seeded())
    drive.check()
    assert drive.position_m.shape[1] == TINY.model.scene.history + 1 + 120
