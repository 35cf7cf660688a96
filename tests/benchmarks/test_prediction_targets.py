"""Which agents a forecast is asked for: the official file's, or every moving vehicle."""

import json
from dataclasses import replace

import numpy as np
import pytest

from drive_wm.benchmarks.prediction_targets import Target, challenge_targets, log_targets, vehicle_targets
from drive_wm.errors import InputError

LEADER, CROSSING, ONCOMING = 0, 1, 2
SCENE, OTHER = "scene-0061", "scene-0553"  # two scenes of mini_train; 0553 is of val as well


@pytest.fixture
def dataroot(tmp_path):
    """dataroot({scene: tokens}): a folder that names these targets."""

    def write(tokens):
        file = tmp_path / "maps" / "prediction" / "prediction_scenes.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(tokens))
        return tmp_path

    return write


def test_official_targets_in_the_files_order(dataroot, crossroads_log):
    root = dataroot({OTHER: ["gone_elsewhere", "a_b"], SCENE: ["oncoming_keyframe-6", "leader_keyframe-3"]})
    targets, missing = challenge_targets([crossroads_log], root, "mini_train")
    assert targets == [Target(0, ONCOMING, 6), Target(0, LEADER, 3)]
    assert missing == 2


def test_targets_that_logs_name(crossroads_log):
    log = replace(crossroads_log, targets=np.array([[ONCOMING, 6], [LEADER, 3]]))
    assert log_targets([crossroads_log, log]) == [Target(1, ONCOMING, 6), Target(1, LEADER, 3)]


def test_moving_vehicles(crossroads_log):
    """With the keyframe before and twelve after: the leader is there for 24, the truck until 18, the oncoming car from 2."""
    targets = vehicle_targets([crossroads_log])
    steps = {agent: [t.step for t in targets if t.agent == agent] for agent in {t.agent for t in targets}}
    assert steps == {LEADER: [*range(1, 12)], CROSSING: [*range(1, 7)], ONCOMING: [*range(3, 12)]}


def test_no_vehicle_moves_long_enough(crossroads_log):
    walkers = replace(crossroads_log, kind=crossroads_log.kind * 0 + 2)
    with pytest.raises(InputError, match="No vehicle moves"):
        vehicle_targets([walkers])


BAD = {  # name: (tokens of the scene, split, message)
    "unknown split": (["leader_keyframe-3"], "test", r"No split 'test'.*mini_train"),
    "no target here": (["leader_elsewhere"], "mini_train", r"None of the 1 targets.*--split"),
    "not annotated then": (["oncoming_keyframe-0"], "mini_train", r"no agent 'oncoming' at keyframe 'keyframe-0'.*Prepare"),
    "unknown agent": (["nobody_keyframe-3"], "mini_train", r"no agent 'nobody'"),
}


@pytest.mark.parametrize(("tokens", "split", "message"), BAD.values(), ids=BAD)
def test_refuses(dataroot, crossroads_log, tokens, split, message):
    with pytest.raises(InputError, match=message):
        challenge_targets([crossroads_log], dataroot({SCENE: tokens}), split)


def test_file_absent(tmp_path, crossroads_log):
    with pytest.raises(FileNotFoundError, match="map-expansion"):
        challenge_targets([crossroads_log], tmp_path, "val")


def test_file_damaged(dataroot, crossroads_log):
    root = dataroot({})
    (root / "maps" / "prediction" / "prediction_scenes.json").write_text('{"scene-0061": [')
    with pytest.raises(InputError, match="damaged"):
        challenge_targets([crossroads_log], root, "val")
