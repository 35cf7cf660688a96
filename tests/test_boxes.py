"""Oriented boxes against rows worked by hand, against shapely, and under rigid motion."""

from math import pi, sqrt

import numpy as np
import pytest
import shapely
import torch
from torch.testing import assert_close

from drive_wm.boxes import Boxes, corners_m, overlap, separation_m
from drive_wm.geometry import transform


def box(x: float, y: float, yaw: float, length: float, width: float) -> Boxes:
    return Boxes(*(torch.tensor(v, dtype=torch.float64) for v in ((x, y), yaw, (length, width))))


UNIT = (0.0, 0.0, 0.0, 4.0, 2.0)
GAPS = {  # name: (a, b, signed gap)
    "one metre ahead":           (UNIT, (5.0, 0.0, 0.0, 4.0, 2.0), 1.0),
    "one metre beside":          (UNIT, (0.0, -3.0, 0.0, 4.0, 2.0), 1.0),
    "touching":                  (UNIT, (4.0, 0.0, 0.0, 4.0, 2.0), 0.0),
    "same place":                (UNIT, UNIT, -2.0),
    "half a metre in":           (UNIT, (3.5, 0.0, 0.0, 4.0, 2.0), -0.5),
    "crossing":                  (UNIT, (0.0, 0.0, pi / 2, 4.0, 2.0), -3.0),
    "turned, ahead":             (UNIT, (4.0, 0.0, pi / 2, 4.0, 2.0), 1.0),
    "corner to edge":            (UNIT, (2.0 + sqrt(2) + 0.5, 0.0, pi / 4, 2.0, 2.0), 0.5),
    "diamond in front of corner": (UNIT, (3.0, 2.0, pi / 4, 1.0, 1.0), 2 / sqrt(2) - 0.5),
    "corner to corner is a bound": (UNIT, (7.0, 6.0, 0.0, 4.0, 2.0), 4.0),  # true distance 5
}  # fmt: skip


@pytest.mark.parametrize(("a", "b", "gap_m"), GAPS.values(), ids=GAPS)
def test_separation(a, b, gap_m):
    expected = torch.tensor(gap_m, dtype=torch.float64)
    assert_close(separation_m(box(*a), box(*b)), expected, atol=1e-12, rtol=0)
    assert_close(separation_m(box(*b), box(*a)), expected, atol=1e-12, rtol=0)
    assert bool(overlap(box(*a), box(*b))) == (gap_m <= 0)


def test_corners_start_front_left_and_run_counter_clockwise():
    quarter = box(1.0, 1.0, pi / 2, 4.0, 2.0)
    expected = torch.tensor([[0.0, 3.0], [0.0, -1.0], [2.0, -1.0], [2.0, 3.0]], dtype=torch.float64)
    assert_close(corners_m(quarter.centre_m, quarter.yaw_rad, quarter.size_m), expected)


@pytest.fixture
def pairs() -> tuple[Boxes, Boxes]:
    """Two sets of 4,000 boxes, about half of them in contact."""
    rng = np.random.default_rng(0)

    def draw() -> Boxes:
        values = rng.uniform(-4, 4, (4000, 2)), rng.uniform(-4, 4, 4000), rng.uniform(0.3, 6, (4000, 2))
        return Boxes(*map(torch.from_numpy, values))

    return draw(), draw()


def test_overlap_and_gap_agree_with_shapely(pairs):
    a, b = (shapely.polygons(corners_m(p.centre_m, p.yaw_rad, p.size_m).numpy()) for p in pairs)
    gap_m, distance_m = separation_m(*pairs).numpy(), shapely.distance(a, b)
    np.testing.assert_array_equal(gap_m <= 0, shapely.intersects(a, b))
    apart = gap_m > 0
    assert 500 < apart.sum() < 3500
    assert (gap_m[apart] <= distance_m[apart] + 1e-12).all()
    assert (gap_m[apart] >= distance_m[apart] / sqrt(2) - 1e-12).all()


def test_a_common_rigid_motion_changes_nothing(pairs):
    pose = torch.tensor([30.0, -7.0, 2.1], dtype=torch.float64)
    moved = (Boxes(transform(pose, p.centre_m), p.yaw_rad + pose[2], p.size_m) for p in pairs)
    assert_close(separation_m(*moved), separation_m(*pairs), atol=1e-9, rtol=0)


def test_fields_broadcast(pairs):
    ego, others = pairs[0][:5], pairs[1][:7]
    one_to_many = Boxes(ego.centre_m[:, None], ego.yaw_rad[:, None], ego.size_m[:, None])
    gap_m = separation_m(one_to_many, others)
    assert gap_m.shape == (5, 7)
    assert_close(gap_m[3, 4], separation_m(ego[3:4], others[4:5])[0])


def test_exports_as_one_static_graph():
    class Gap(torch.nn.Module):
        def forward(self, centre_m, yaw_rad, size_m, other_m):
            return separation_m(Boxes(centre_m, yaw_rad, size_m), Boxes(other_m, yaw_rad, size_m))

    exported = torch.export.export(Gap(), tuple(torch.randn(3, 4, *s) for s in ((2,), (), (2,), (2,))))
    assert {str(n.target) for n in exported.graph.nodes if n.op == "call_function"} <= {
        f"aten.{op}" for op in (
            "sub.Tensor", "add.Tensor", "mul.Tensor", "div.Tensor", "neg.default", "cos.default", "sin.default", "abs.default",
            "maximum.default", "select.int", "slice.Tensor", "stack.default",
        )
    }  # fmt: skip
