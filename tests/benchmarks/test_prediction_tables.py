"""Logs behind the devkit's PredictHelper: what it reads of a hand-made drive, and of nuScenes what the real tables give."""

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.eval.prediction.splits import get_prediction_challenge_split
from nuscenes.prediction import PredictHelper

from drive_wm.benchmarks.prediction_tables import helper_of, plain
from drive_wm.datasets.nuscenes import read_logs

LEADER, CROSSING, ONCOMING = 0, 1, 2


@pytest.fixture(scope="module")
def helper(crossroads_log):
    return helper_of([crossroads_log])


def future(helper, agent, step, seconds=6):
    return helper.get_future_for_agent(agent, f"keyframe-{step}", seconds, in_agent_frame=False)


def test_future_and_past(helper, crossroads_log):
    np.testing.assert_array_equal(future(helper, "leader", 3), crossroads_log.position_m[LEADER, 4:16])
    np.testing.assert_array_equal(future(helper, "crossing", 16), crossroads_log.position_m[CROSSING, 17:19])
    past = helper.get_past_for_agent("oncoming", "keyframe-4", 2, in_agent_frame=False)
    np.testing.assert_array_equal(past, crossroads_log.position_m[ONCOMING, [3, 2]])


def test_speed_and_heading(helper, crossroads_log):
    way_m = np.diff(crossroads_log.position_m[LEADER, 9:11], axis=0)
    assert helper.get_velocity_for_agent("leader", "keyframe-10") == pytest.approx(np.linalg.norm(way_m) / 0.5)
    turned = np.diff(crossroads_log.yaw_rad[LEADER, 9:11])[0]
    assert helper.get_heading_change_rate_for_agent("leader", "keyframe-10") == pytest.approx(turned / 0.5)
    assert np.isnan(helper.get_velocity_for_agent("oncoming", "keyframe-2"))


def test_who_is_there(helper, crossroads_log):
    there = [one["instance_token"] for one in helper.get_annotations_for_sample("keyframe-0")]
    assert there == [name for name, here in zip(crossroads_log.agents, crossroads_log.valid[:, 0], strict=True) if here]
    assert helper.get_map_name_from_sample_token("keyframe-0") == "crossroads"


def test_names_are_made_plain():
    assert plain("cut_in-00") == "cut~in-00"
    assert plain("39586f9d59004284a7114a68825e8eec") == "39586f9d59004284a7114a68825e8eec"


@pytest.mark.slow
def test_equals_the_real_tables(outside_data):
    root = outside_data("data/nuscenes-mini-train")
    real = PredictHelper(NuScenes("v1.0-mini", str(root), verbose=False))
    ours = helper_of(read_logs(root, "v1.0-mini", "mini_train"))
    for token in get_prediction_challenge_split("mini_train", str(root)):
        instance, sample = token.split("_")
        for method in ("get_future_for_agent", "get_past_for_agent"):
            theirs, found = (getattr(h, method)(instance, sample, 6, in_agent_frame=False) for h in (real, ours))
            np.testing.assert_array_equal(found, theirs)
        for method in ("get_velocity_for_agent", "get_acceleration_for_agent", "get_heading_change_rate_for_agent"):
            theirs, found = (getattr(h, method)(instance, sample) for h in (real, ours))
            assert found == pytest.approx(theirs, abs=1e-9, nan_ok=True)
        assert ours.get_map_name_from_sample_token(sample) == real.get_map_name_from_sample_token(sample)
