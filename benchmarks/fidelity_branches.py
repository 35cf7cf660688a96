"""Reaction against a simulation that ran the same drive with another ego: how far off those are who reacted, and which way.

Every branch in which the ego does something else is compared with the one in which it goes on. In SUMO nobody acts by chance
there, so whatever the others do differently is the ego's doing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from drive_wm.benchmarks.branches import Branches
from drive_wm.benchmarks.drive_sums import Sums, joined, summed
from drive_wm.metrics.displacement import best_mode, displacement_m, expected, of_mode

REACTS_M = 1.0  # apart in the two truths at some step within six seconds
YIELDS_M = 1.0  # less way made within six seconds than when the ego goes on
NEAR_M = 30.0  # this near comes the ego, centre to centre, in one of the two truths
REACTED, SIGN = "branches: reacted", "branches: sign"


@dataclass(frozen=True)
class Imagined:
    """What a model says of the agents of K branches, the ego's path in each given."""

    position_m: Tensor  # (K, M, A, T, 2) box centres, as in Branches
    mode_logits: Tensor  # (M,)


def blind(imagined: Imagined) -> Imagined:
    """The same model, if it could not know what the ego does: in every branch what it says where the ego goes on."""
    return Imagined(imagined.position_m[:1].expand_as(imagined.position_m), imagined.mode_logits)


def branch_sums(branches: Branches, imagined: Imagined) -> Sums:
    """Sums of the figures that `benchmarks/fidelity_rows.py` explains, over agents of all branches but the first."""
    return {**_displacement_sums(branches, imagined), **_sign_sums(branches, imagined)}


def reacted(branches: Branches) -> Tensor:
    """Agents (K - 1, A) that the ego's doing moved by more than REACTS_M at some step."""
    apart_m = (branches.truth_m[1:] - branches.truth_m[:1]).norm(dim=-1)
    return ((apart_m > REACTS_M) & _both_there(branches)).any(-1) & branches.alike


def near_ego(branches: Branches) -> Tensor:
    """Agents (K - 1, A) to which the ego comes nearer than NEAR_M within six seconds, there or where it just goes on."""
    apart_m = (branches.truth_m - branches.truth_m[:, :1]).norm(dim=-1)
    near = ((apart_m < NEAR_M) & branches.there).any(-1)
    return near[1:] | near[:1]


def made_way_m(position_m: Tensor, start_m: Tensor) -> Tensor:
    """Length (...) of the way through positions (..., T, 2) from a start (..., 2)."""
    way_m = torch.cat([start_m[..., None, :].expand_as(position_m[..., :1, :]), position_m], dim=-2)
    return (way_m[..., 1:, :] - way_m[..., :-1, :]).norm(dim=-1).sum(-1)


def _displacement_sums(branches: Branches, imagined: Imagined) -> Sums:
    """Errors of those that reacted, of the likeliest joint mode and of that nearest to the truth of them."""
    error_m = displacement_m(imagined.position_m[1:], branches.truth_m[1:])  # (K - 1, M, A, T)
    counted = reacted(branches)[..., None] & _both_there(branches)
    slices = _slices(branches, REACTED, counted)
    likeliest, sums = imagined.mode_logits.argmax().expand(len(error_m)), []
    for end, at in (("ade", slice(None)), ("fde", slice(-1, None))):
        error, where = error_m[..., at], {name: those[..., at] for name, those in slices.items()}
        values = {
            f"likeliest_{end}": of_mode(error, likeliest),
            f"min_{end}": of_mode(error, best_mode(error, counted[..., at])),
        }
        sums.append(summed(values, where))
    return joined(*sums)


def _sign_sums(branches: Branches, imagined: Imagined) -> Sums:
    """Whether those that the ego comes near, or that reacted to it from afar, yield: as imagined and in truth."""
    start_m = branches.scene.tracks.position_m[0, :, -1]
    truth_m, said_m = (made_way_m(x, start_m) for x in (branches.truth_m, imagined.position_m))
    logits = imagined.mode_logits.expand(len(said_m) - 1, -1)
    change_m = expected(said_m[1:] - said_m[:1], logits)  # (K - 1, A)
    true_change_m = truth_m[1:] - truth_m[:1]
    yields, says = true_change_m < -YIELDS_M, change_m < -YIELDS_M
    counted = (near_ego(branches) | reacted(branches)) & branches.alike & _both_there(branches).all(-1)
    slices = _slices(branches, SIGN, counted)
    slices[f"{SIGN}, reacted"] = counted & reacted(branches)
    return joined(
        summed({"sign_accuracy": (yields == says).double(), "yields_share": yields.double()}, slices),
        summed({"yields_recall": says.double()}, {name: where & yields for name, where in slices.items()}),
        summed({"yields_precision": yields.double()}, {name: where & says for name, where in slices.items()}),
        summed(
            {"change_of_yielding_m": change_m, "true_change_of_yielding_m": true_change_m},
            {name: where & yields for name, where in slices.items()},
        ),
    )


def _both_there(branches: Branches) -> Tensor:
    """At which steps an agent is there in a branch and in the first (K - 1, A, T)."""
    return branches.there[1:] & branches.there[:1]


def _slices(branches: Branches, name: str, counted: Tensor) -> dict[str, Tensor]:
    """What is counted (K - 1, ...) in all branches, and in those of each action."""
    those = {name: counted}
    for action in dict.fromkeys(branches.actions[1:]):
        own = torch.tensor([one == action for one in branches.actions[1:]]).reshape(-1, *(1,) * (counted.ndim - 1))
        those[f"{name}, {action}"] = counted & own
    return those
