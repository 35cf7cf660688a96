"""Where dots stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_wm.benchmarks.dot_plot import LEFT, RIGHT, TOP, WIDTH, Dot, DotPlot

NUMBERS = st.floats(-1e6, 1e6)


def plot(*dots) -> DotPlot:
    return DotPlot("L2", [str(i) for i in range(len(dots))], [""] * len(dots), {"ours": dots})


def test_the_axis_holds_zero_and_every_end():
    one = plot(Dot(1.0, 0.5, 4.0), None)
    assert one.ticks == [0, 1, 2, 3, 4]
    assert (one.x(0), one.x(4)) == (LEFT, WIDTH - RIGHT)
    assert one.x(2) == (LEFT + WIDTH - RIGHT) / 2


def test_lines_stand_below_one_another_and_series_within_a_line():
    two = DotPlot("L2", ["a", "b"], ["", ""], {"x": [None, None], "y": [None, None]})
    assert two.y(0, 0) < two.y(0) < two.y(0, 1) < two.y(1, 0)
    assert two.y(0) == TOP + two.pitch / 2
    assert two.y(1, 1) < two.height


CASES = {"no dots": (None,), "all zero": (Dot(0.0), Dot(0.0)), "negative": (Dot(-2.0, -3.0, -1.0),)}


@pytest.mark.parametrize("dots", CASES.values(), ids=CASES)
def test_an_axis_always_has_a_length(dots):
    one = plot(*dots)
    assert one.ticks[0] <= 0 <= one.ticks[-1]
    assert one.ticks[0] < one.ticks[-1]


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS).map(sorted), min_size=1, max_size=5))
def test_every_dot_lies_on_the_drawing(found):
    one = plot(*(Dot(middle, low, high) for low, middle, high in found))
    for low, middle, high in found:
        assert LEFT - 0.1 <= one.x(low) <= one.x(middle) <= one.x(high) <= WIDTH - RIGHT + 0.1
