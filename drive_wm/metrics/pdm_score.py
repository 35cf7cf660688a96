"""NAVSIM's scores from their terms: PDMS (v1) and EPDMS (v2); a term that a map cannot give is nan and drops out.

Sources: PDMS: Dauner et al., NAVSIM, 2024, section 3, and `docs/metrics.md` of its repository; EPDMS: Cao et al.,
Pseudo-Simulation for Autonomous Driving, 2025, equation 1, and the same page of v2. Both multiply what must not be broken
with a weighted mean of the rest.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from drive_wm.structs import TensorStruct


@dataclass(frozen=True)
class PdmTerms(TensorStruct):
    """What a drive is judged by, each (B,) from 0 to 1; nan where the map, or a drive to compare with, is missing."""

    no_at_fault_collision: Tensor
    drivable_area: Tensor
    driving_direction: Tensor  # EPDMS alone; in PDMS its weight is 0
    traffic_light: Tensor  # 1: the sources have no traffic lights
    time_to_collision: Tensor
    ego_progress: Tensor
    lane_keeping: Tensor
    history_comfort: Tensor
    extended_comfort: Tensor
    time_to_collision_v1: Tensor  # these three as PDMS counts them
    ego_progress_v1: Tensor
    comfort_v1: Tensor
    comfort_nuplan: (
        Tensor  # nuPlan's bounds on the planner's half-second steps, lateral acceleration included; in neither score
    )


MULTIPLIED_V1 = ("no_at_fault_collision", "drivable_area")
WEIGHED_V1 = {"time_to_collision_v1": 5.0, "ego_progress_v1": 5.0, "comfort_v1": 2.0}
MULTIPLIED = (*MULTIPLIED_V1, "driving_direction", "traffic_light")
WEIGHED = {"time_to_collision": 5.0, "ego_progress": 5.0, "lane_keeping": 2.0, "history_comfort": 2.0, "extended_comfort": 2.0}
NEVER_FORGIVEN = "extended_comfort"  # NAVSIM adds it after its human filter


def pdms(terms: PdmTerms) -> Tensor:
    """NAVSIM v1's PDM score (B,)."""
    return product(getattr(terms, name) for name in MULTIPLIED_V1) * _mean(terms, WEIGHED_V1)


def epdms(terms: PdmTerms, human: PdmTerms) -> Tensor:
    """NAVSIM v2's extended PDM score (B,): what the human, too, gets 0 for counts as 1."""
    forgiven = forgive(terms, human)
    return product(getattr(forgiven, name) for name in MULTIPLIED) * _mean(forgiven, WEIGHED)


def forgive(terms: PdmTerms, human: PdmTerms) -> PdmTerms:
    """NAVSIM v2's human filter: 1 wherever the human's term is 0."""
    names = [name for name in (*MULTIPLIED, *WEIGHED) if name != NEVER_FORGIVEN]
    return replace(terms, **{n: torch.where(getattr(human, n) == 0, 1.0, getattr(terms, n)) for n in names})


def product(terms: Iterable[Tensor]) -> Tensor:
    """Product (B,) of terms; what is nan counts as 1."""
    return torch.stack(list(terms)).nan_to_num(nan=1.0).prod(0)


def _mean(terms: PdmTerms, weights: dict[str, float]) -> Tensor:
    """Weighted mean (B,) of the terms that are not nan."""
    values = torch.stack([getattr(terms, name) for name in weights])
    weight = values.new_tensor(list(weights.values()))[:, None] * ~values.isnan()
    return (values.nan_to_num(nan=0.0) * weight).sum(0) / weight.sum(0)
