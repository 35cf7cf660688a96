"""PlanRows: what one planning protocol saw of each sample and step, the means it reports and how sure they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drive_wm.benchmarks.bootstrap import draws, interval, sums_by_scene
from drive_wm.benchmarks.planning_input import Bools, Floats, Ints
from drive_wm.metrics.planning import (
    COLLISION_OVER_TIME,
    HORIZONS_S,
    L2_OVER_TIME,
    Protocol,
    at_horizons,
    over_horizons,
    to_sum,
    weights,
)


@dataclass(frozen=True)
class PlanRows:
    """What one protocol saw, per sample S and step; where a step is missing, l2_m is 0.

    In a protocol that drops samples with a missing step, their hits are not computed and stay False. `uniad` fills a
    missing step with obstacles, so that plan and human both hit and the step is not counted.
    """

    protocol: Protocol
    l2_m: Floats  # (S, 6)
    collision: Bools  # (S, 6) the plan's own hit
    truth_collision: Bools  # (S, 6) the human's own hit
    counted: Bools  # (S, 6) steps whose collision counts
    valid: Bools  # (S, 6) steps that exist

    def take(self, which: Bools) -> "PlanRows":
        """The rows of these samples (S,)."""
        return PlanRows(
            self.protocol, self.l2_m[which], self.collision[which], self.truth_collision[which], self.counted[which],
            self.valid[which],
        )  # fmt: skip

    def of_human(self) -> "PlanRows":
        """The human's own path scored as a plan."""
        return replace(self, l2_m=np.zeros_like(self.l2_m), collision=self.truth_collision)

    def summary(self) -> dict[str, float]:
        """Means in this protocol's own averaging: metres and fractions.

        Keys: l2_1s, l2_2s, l2_3s, l2_avg, collision_1s, ..., collision_avg, truth_collision (the human's, averaged as
        collision_avg, missing steps left out), and n, the samples behind them. nan where n, or the count at a step, is 0.
        """
        weight = weights(self.protocol, self.valid)
        over_time = COLLISION_OVER_TIME[self.protocol]
        l2_m = at_horizons(self.l2_m, weight, L2_OVER_TIME[self.protocol])
        collision = at_horizons(self.collision & self.counted, weight, over_time)
        truth = at_horizons(self.truth_collision & self.valid, weight, over_time)
        return {
            **_named("l2", l2_m),
            **_named("collision", collision),
            "truth_collision": sum(truth) / len(truth),
            "n": int(weight.any(1).sum()),
        }

    def resampled(self, scene: Ints) -> dict[str, Floats]:
        """l2_avg and collision_avg (1000,) of resampled scenes, which is all nan for fewer than two; scene (S,) from 0."""
        weight = weights(self.protocol, self.valid)
        count = sums_by_scene(weight.astype(np.float64), scene)
        drawn = draws(len(count)) if len(count) > 1 else np.zeros((1, len(count)))
        figures: dict[str, tuple[Floats | Bools, str]] = {
            "l2_avg": (self.l2_m, L2_OVER_TIME[self.protocol]),
            "collision_avg": (self.collision & self.counted, COLLISION_OVER_TIME[self.protocol]),
        }
        return {
            name: over_horizons(drawn @ sums_by_scene(to_sum(values, weight, over_time), scene), drawn @ count, over_time).mean(
                -1
            )
            for name, (values, over_time) in figures.items()
        }

    def intervals(self, scene: Ints) -> dict[str, float | None]:
        """95 % intervals by scene: l2_avg_low, l2_avg_high, collision_avg_low, collision_avg_high; and the scenes behind them.

        None for fewer than two scenes.
        """
        ends: dict[str, float | None] = {}
        for name, figures in self.resampled(scene).items():
            ends[f"{name}_low"], ends[f"{name}_high"] = interval(figures)
        return {**ends, "scenes": len(np.unique(scene[weights(self.protocol, self.valid).any(1)]))}


def _named(name: str, values: tuple[float, ...]) -> dict[str, float]:
    at = {f"{name}_{s}s": value for s, value in zip(HORIZONS_S, values, strict=True)}
    return {**at, f"{name}_avg": sum(values) / len(values)}


def join(parts: Sequence[PlanRows]) -> PlanRows:
    """The samples of several drives under one protocol, in order."""
    names = ("l2_m", "collision", "truth_collision", "counted", "valid")
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
