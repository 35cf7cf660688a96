"""The five planning protocols against published outputs, one case worked by hand, laws, and bad input."""

import json
from math import pi

import numpy as np
import pytest

from drive_wm.benchmarks.planning import score_human, score_planner, score_plans
from drive_wm.errors import InputError
from drive_wm.metrics.planning import PROTOCOLS
from drive_wm.planners import constant_velocity
from drive_wm.scene_at import scenes_of

GOLDEN = {  # protocol: (its key in the golden file, the key of its hits after exclusion)
    "uniad": ("uniad", "obj_box_col"),
    "stp3_vad": ("vad", "obj_box_col_steps"),
    "sparsedrive": ("sparsedrive", "obj_box_col_steps"),
    "bev_planner": ("bev_planner_same_xy_as_ego_origin", "obj_box_col_steps"),
}


@pytest.fixture(scope="session")
def golden(outside_data):
    """The golden cases of one protocol, and what `score_plans` takes of them."""
    cases = json.loads(outside_data("golden/planning_metrics.json").read_text())["cases"]

    def of(protocol):
        key = GOLDEN[protocol][0]
        chosen = [case for case in cases if key in case]
        valid = np.arange(6) < np.array([case["n_valid"] for case in chosen])[:, None]
        fields = [np.array([case[name] for case in chosen]) for name in ("pred", "gt")]
        return [case[key] for case in chosen], (*fields, valid, [case["fut_boxes"] for case in chosen])

    return of


@pytest.mark.parametrize("protocol", GOLDEN)
def test_hits_equal_the_golden_ones(protocol, golden):
    expected, given = golden(protocol)
    rows = score_plans(protocol, *given)
    assert len(expected) in (45, 60)
    np.testing.assert_array_equal(rows.collision & rows.counted, [case[GOLDEN[protocol][1]] for case in expected])
    np.testing.assert_array_equal(rows.truth_collision, [case["gt_box_col"] for case in expected])


@pytest.mark.parametrize(("protocol", "key"), [("uniad", "L2"), ("sparsedrive", "L2_steps")])
def test_distances_equal_the_golden_ones(protocol, key, golden):
    expected, given = golden(protocol)
    np.testing.assert_allclose(score_plans(protocol, *given).l2_m, [case[key] for case in expected], atol=1e-6)


@pytest.mark.parametrize(
    ("protocol", "names"),
    [("stp3_vad", {"l2": "plan_L2", "collision": "plan_obj_box_col"}), ("bev_planner", {"collision": "plan_obj_box_col"})],
)
def test_averages_equal_the_golden_ones(protocol, names, golden):
    expected, given = golden(protocol)
    for i, case in enumerate(expected):
        summary = score_plans(protocol, *(part[i : i + 1] for part in given)).summary()
        for ours, theirs in names.items():
            for s in (1, 2, 3):
                assert summary[f"{ours}_{s}s"] == pytest.approx(case[f"{theirs}_{s}s"], abs=1e-6)


# The human drives ahead at 4 m/s; the plan is 5 m to the right of that. Boxes stand on the plan at 1 s and 2 s, and on the
# human at 1 s. The second sample ends after 1.5 s.
TRUTH = np.array([[(0.0, 2.0 * step) for step in range(1, 7)]] * 2)
PLAN = TRUTH + (5.0, 0.0)
VALID = np.array([[True] * 6, [True] * 3 + [False] * 3])
_NONE: list[list[float]] = []
_AT_1S = [[0.0, 4.5, 2.0, 1.0, 0.0], [5.0, 4.5, 2.0, 1.0, 0.0]]
BOXES = [[_NONE, _AT_1S, _NONE, [[5.0, 8.5, 1.0, 1.0, 1.0]], _NONE, _NONE], [_NONE, _AT_1S, _NONE, _NONE, _NONE, _NONE]]

SUMMARIES = {  # protocol: (n, L2 at 1, 2, 3 s, collisions at 1, 2, 3 s, the human's collisions)
    "uniad":       (2, (5.0, 2.5, 2.5), (0.0, 0.5, 0.0), 1 / 3),
    "stp3_vad":    (1, (5.0, 5.0, 5.0), (0.0, 1 / 4, 1 / 6), (1 / 2 + 1 / 4 + 1 / 6) / 3),
    "bev_planner": (1, (5.0, 5.0, 5.0), (0.0, 1.0, 1.0), 1.0),
    "sparsedrive": (1, (5.0, 5.0, 5.0), (0.0, 1 / 4, 1 / 6), (1 / 2 + 1 / 4 + 1 / 6) / 3),
    "strict":      (2, (5.0, 5.0, 5.0), (1.0, 1.0, 0.0), 1 / 3),
}  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_summary_worked_by_hand(protocol):
    n, l2_m, collision, truth = SUMMARIES[protocol]
    summary = score_plans(protocol, PLAN, TRUTH, VALID, BOXES).summary()
    assert summary["n"] == n
    assert [summary[f"l2_{at}"] for at in ("1s", "2s", "3s", "avg")] == pytest.approx([*l2_m, sum(l2_m) / 3])
    assert [summary[f"collision_{at}"] for at in ("1s", "2s", "3s", "avg")] == pytest.approx([*collision, sum(collision) / 3])
    assert summary["truth_collision"] == pytest.approx(truth)


COUNTED = {  # protocol: steps that count, of the two samples
    "uniad":       ("101111", "101000"),
    "stp3_vad":    ("101111", "000000"),
    "bev_planner": ("101111", "000000"),
    "sparsedrive": ("101111", "000000"),
    "strict":      ("111111", "111000"),
}  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_counted_worked_by_hand(protocol):
    rows = score_plans(protocol, PLAN, TRUTH, VALID, BOXES)
    assert tuple("".join(str(int(step)) for step in sample) for sample in rows.counted) == COUNTED[protocol]


@pytest.fixture
def drives():
    """Random plans, truths, masks and boxes near them, 60 samples."""
    rng = np.random.default_rng(11)
    truth = np.cumsum(rng.normal((0, 2), 0.7, (60, 6, 2)), axis=1)
    plan = truth + np.cumsum(rng.normal(0, 0.5, (60, 6, 2)), axis=1)
    valid = np.arange(6) < rng.choice([0, 2, 6, 6, 6], 60)[:, None]
    boxes = [
        [np.c_[rng.normal(point, 3, (4, 2)), rng.uniform(0.4, 5, (4, 2)), rng.uniform(-pi, pi, 4)] for point in path]
        for path in truth
    ]
    return plan, truth, valid, boxes


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_truth_as_plan_collides_as_the_truth_does(protocol, drives):
    _, truth, valid, boxes = drives
    rows = score_plans(protocol, truth, truth, valid, boxes)
    assert rows.truth_collision.any()
    np.testing.assert_array_equal(rows.collision, rows.truth_collision)
    assert not rows.l2_m.any()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_order_of_boxes_and_what_stands_in_missing_steps_change_nothing(protocol, drives):
    plan, truth, valid, boxes = drives
    rows = score_plans(protocol, plan, truth, valid, boxes)
    hidden = valid[..., None]
    again = score_plans(
        protocol,
        np.where(hidden, plan, np.nan),
        np.where(hidden, truth, np.nan),
        valid,
        [[step[::-1] for step in sample] for sample in boxes],
    )
    for name in ("l2_m", "collision", "truth_collision", "counted"):
        np.testing.assert_array_equal(getattr(again, name), getattr(rows, name))
    assert again.summary() == rows.summary()


def test_strict_is_unchanged_by_a_turn_about_the_start_of_a_moving_ego(drives):
    plan, truth, valid, boxes = drives
    moving = [np.linalg.norm(np.diff(path, axis=1, prepend=0), axis=-1).min(-1) > 0.5 for path in (plan, truth)]
    keep = np.flatnonzero(moving[0] & moving[1])
    assert len(keep) > 20
    angle = 0.7
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = [[np.c_[step[:, :2] @ turn, step[:, 2:4], step[:, 4] + angle] for step in boxes[i]] for i in keep]
    rows = score_plans("strict", plan[keep], truth[keep], valid[keep], [boxes[i] for i in keep])
    again = score_plans("strict", plan[keep] @ turn, truth[keep] @ turn, valid[keep], turned)
    np.testing.assert_array_equal(again.collision, rows.collision)
    np.testing.assert_allclose(again.l2_m, rows.l2_m)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_samples_give_nan_and_n_0(protocol):
    empty = np.zeros((0, 6, 2))
    summary = score_plans(protocol, empty, empty, np.zeros((0, 6), bool), []).summary()
    assert summary.pop("n") == 0
    assert np.isnan(list(summary.values())).all()


NAN = np.where(np.arange(6)[:, None] == 1, np.nan, PLAN)
BAD = {  # name: (changes to a good call, words in the message)
    "protocol": ({"protocol": "vad"}, "'vad' is unknown"),
    "steps": ({"plans_m": PLAN[:, :5]}, r"plans_m has shape \(2, 5, 2\)"),
    "truth shape": ({"truths_m": TRUTH[:1]}, "truths_m has shape"),
    "valid shape": ({"valid": VALID[:, :3]}, r"valid has shape \(2, 3\)"),
    "valid values": ({"valid": VALID * 2}, "true and false"),
    "nan": ({"plans_m": NAN}, "plans_m is not finite at sample 0, step 1"),
    "samples of boxes": ({"boxes": BOXES[:1]}, "boxes holds 1 samples"),
    "steps of boxes": ({"boxes": [BOXES[0], BOXES[1][:4]]}, "boxes of sample 1 hold 4 steps"),
    "width of a box": ({"boxes": [BOXES[0], [[[0.0, 0.0, 1.0, 1.0]]] * 6]}, r"sample 1, step 0 have shape \(1, 4\)"),
    "ragged boxes": ({"boxes": [BOXES[0], [[[0.0] * 5, [0.0] * 4]] * 6]}, "sample 1, step 0 cannot be read"),
    "nan box": ({"boxes": [BOXES[0], [[[np.nan, 0.0, 1.0, 1.0, 0.0]]] * 6]}, "sample 1, step 0 are not finite"),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_named(change, words):
    good = {"protocol": "uniad", "plans_m": PLAN, "truths_m": TRUTH, "valid": VALID, "boxes": BOXES}
    score_plans(**good)
    with pytest.raises(InputError, match=words):
        score_plans(**(good | change))


def test_the_human_as_a_planner_is_the_control_row(crossroads_log) -> None:
    """Scored like a planner, the human's own poses give what the control row of any planner says."""
    drives = [(crossroads_log, scenes_of(crossroads_log)[0])]
    control = [row for row in score_planner(drives, constant_velocity.plan, "any").table() if row["planner"] == "log"]
    human = score_human(log for log, _ in drives).table()
    assert {row["planner"] for row in human} == {"log"}
    assert {row["l2_avg"] for row in human} == {0.0}
    for row, expected in zip(human, control, strict=True):
        assert row == pytest.approx(expected, abs=1e-9, nan_ok=True)
