"""Dots with their intervals along one axis, a line for each slice or term: what a page draws as inline SVG.

Colours come from the page's style, so that the plot follows its light and dark look; positions are computed here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 440.0, 168.0, 66.0, 8.0, 22.0  # units of the drawing, about a pixel
_LINE, _PER_SERIES = 16.0, 7.0
SERIES = 6  # colours that a reader tells apart: more series take another plot


@dataclass(frozen=True)
class Dot:
    """A figure and the ends of its interval, None where it has none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class DotPlot:
    """Every series has one dot, or None, for each line."""

    title: str
    lines: Sequence[str]
    notes: Sequence[str]  # at the right end of each line: "n = 12"
    series: Mapping[str, Sequence[Dot | None]]

    @property
    def ticks(self) -> list[float]:
        """Round numbers from at most 0 to at least the largest end."""
        ends = [end for dots in self.series.values() for dot in dots if dot for end in _ends(dot)]
        low, high = min([0.0, *ends]), max([0.0, *ends])
        return [float(tick) for tick in MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high if high > low else 1.0)]

    @property
    def pitch(self) -> float:
        """Height of a line."""
        return _LINE + _PER_SERIES * (len(self.series) - 1)

    @property
    def height(self) -> float:
        return TOP + self.pitch * len(self.lines) + BOTTOM

    def x(self, value: float) -> float:
        """Where a value lies across the drawing."""
        low, high = self.ticks[0], self.ticks[-1]
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low), 1)

    def y(self, line: int, series: int | None = None) -> float:
        """The middle of a line, or of one series in it."""
        offset = 0.0 if series is None else _PER_SERIES * (series - (len(self.series) - 1) / 2)
        return round(TOP + self.pitch * (line + 0.5) + offset, 1)


def _ends(dot: Dot) -> tuple[float, ...]:
    return tuple(end for end in (dot.value, dot.low, dot.high) if end is not None)
