"""PDMS and EPDMS from terms, worked by hand."""

from dataclasses import fields, replace

import pytest
import torch
from torch import nan, tensor

from drive_wm.metrics.pdm_score import PdmTerms, epdms, forgive, pdms

PERFECT = PdmTerms(**{f.name: torch.ones(1, dtype=torch.float64) for f in fields(PdmTerms)})


def terms(**values: float) -> PdmTerms:
    return replace(PERFECT, **{name: tensor([value], dtype=torch.float64) for name, value in values.items()})


SCORES = {  # name: (terms, the human's, PDMS, EPDMS)
    "perfect": (terms(), terms(), 1.0, 1.0),
    "hits a cone": (terms(no_at_fault_collision=0.5), terms(), 0.5, 0.5),
    "leaves the road": (terms(drivable_area=0.0), terms(), 0.0, 0.0),
    "leaves the road as the human does": (terms(drivable_area=0.0), terms(drivable_area=0.0), 0.0, 1.0),
    "wrong way counts in EPDMS": (terms(driving_direction=0.5), terms(), 1.0, 0.5),
    "what the human half does is not forgiven": (terms(driving_direction=0.5), terms(driving_direction=0.5), 1.0, 0.5),
    "time to collision": (terms(time_to_collision=0.0, time_to_collision_v1=0.0), terms(), 7 / 12, 11 / 16),
    "half the progress": (terms(ego_progress=0.5, ego_progress_v1=0.5), terms(), 9.5 / 12, 13.5 / 16),
    "uncomfortable": (terms(comfort_v1=0.0, history_comfort=0.0), terms(), 10 / 12, 14 / 16),
    "uncomfortable as the human": (terms(history_comfort=0.0), terms(history_comfort=0.0), 1.0, 1.0),
    "off the lane's centre": (terms(lane_keeping=0.0), terms(), 1.0, 14 / 16),
    "unsteady, which is never forgiven": (terms(extended_comfort=0.0), terms(extended_comfort=0.0), 1.0, 14 / 16),
    "nothing to compare with": (terms(extended_comfort=nan, history_comfort=0.0), terms(), 1.0, 12 / 14),
    "no lanes": (terms(lane_keeping=nan, driving_direction=nan, ego_progress=0.4), terms(), 1.0, 11 / 14),
    "nuPlan's comfort is in neither": (terms(comfort_nuplan=0.0), terms(), 1.0, 1.0),
}


@pytest.mark.parametrize(("drive", "human", "v1", "v2"), SCORES.values(), ids=SCORES)
def test_scores(drive, human, v1, v2):
    assert pdms(drive).item() == pytest.approx(v1)
    assert epdms(drive, human).item() == pytest.approx(v2)


def test_forgiving_leaves_the_terms_of_v1_alone():
    nothing = PERFECT.map(torch.zeros_like)
    forgiven = forgive(nothing, nothing)
    assert forgiven.comfort_v1.item() == forgiven.time_to_collision_v1.item() == forgiven.extended_comfort.item() == 0
    assert forgiven.history_comfort.item() == forgiven.traffic_light.item() == 1
