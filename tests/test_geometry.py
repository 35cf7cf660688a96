"""Rigid motion in the plane: a table worked by hand and the laws of a group."""

from math import pi

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from drive_wm.geometry import compose, inverse, rotate, transform, wrap_angle

CASES = {  # name: (target_from_source, point, expected)
    "identity": ((0.0, 0.0, 0.0), (1.0, 2.0), (1.0, 2.0)),
    "shift forward": ((3.0, 0.0, 0.0), (1.0, 2.0), (4.0, 2.0)),
    "quarter turn": ((0.0, 0.0, pi / 2), (1.0, 0.0), (0.0, 1.0)),
    "turn, then shift": ((10.0, -1.0, pi / 2), (2.0, 3.0), (7.0, 1.0)),
    "half turn": ((0.0, 5.0, -pi), (1.0, 2.0), (-1.0, 3.0)),
}
ANGLES = {
    "zero": (0.0, 0.0),
    "pi": (pi, -pi),
    "minus pi": (-pi, -pi),
    "one turn more": (2 * pi + 1, 1.0),
    "two less": (-4 * pi - 1, -1.0),
}
poses = st.tuples(*[st.floats(-1e3, 1e3)] * 2, st.floats(-10, 10)).map(lambda p: tensor(p, dtype=torch.float64))
points = st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2), min_size=1, max_size=4).map(lambda p: tensor(p, dtype=torch.float64))


def close(a, b):
    assert_close(a, b, atol=1e-8, rtol=1e-9)


@pytest.mark.parametrize(("pose", "point", "expected"), CASES.values(), ids=CASES)
def test_transform(pose, point, expected):
    assert_close(transform(tensor(pose), tensor([point])), tensor([expected]))


@pytest.mark.parametrize(("angle", "expected"), ANGLES.values(), ids=ANGLES)
def test_wrap_angle(angle, expected):
    close(wrap_angle(tensor(angle, dtype=torch.float64)), tensor(expected, dtype=torch.float64))


@given(poses, points)
def test_inverse_undoes_transform(pose, points):
    close(transform(inverse(pose), transform(pose, points)), points)


@given(poses, poses, points)
def test_compose_is_one_transform_after_the_other(first, second, points):
    close(transform(compose(second, first), points), transform(second, transform(first, points)))


@given(poses, poses, poses)
def test_compose_is_associative(a, b, c):
    left, right = compose(compose(a, b), c), compose(a, compose(b, c))
    close(left[:2], right[:2])
    close(left[2].cos(), right[2].cos())
    close(left[2].sin(), right[2].sin())


@given(poses)
def test_a_pose_after_its_inverse_is_identity(pose):
    whole = compose(pose, inverse(pose))
    close(whole[:2], torch.zeros_like(whole[:2]))
    close(whole[2].cos(), torch.ones_like(whole[2]))


def test_rotate_takes_leading_axes():
    assert_close(rotate(tensor([[1.0, 0.0], [0.0, 2.0]]), tensor([pi / 2, pi])), tensor([[0.0, 1.0], [0.0, -2.0]]))
