"""Every published figure has its source, and stands where it belongs."""

import re

import pytest

from drive_wm.benchmarks.anchors import anchors, anchors_of
from drive_wm.benchmarks.result_kinds import KINDS
from drive_wm.benchmarks.results_table import is_number
from drive_wm.metrics.planning import PROTOCOLS


@pytest.mark.parametrize("anchor", anchors(), ids=lambda anchor: f"{anchor.kind} {anchor.method}")
def test_every_anchor_has_its_source(anchor):
    assert re.search(r"\w+ .*(19|20)\d\d|NVIDIA|Autoware", anchor.source), "authors and year, or who maintains it"
    assert re.fullmatch(r"(arxiv\.org/abs/\d{4}\.\d{5}|github\.com/[\w-]+/[\w-]+)", anchor.link)
    assert anchor.seen
    assert anchor.kind in {kind.name for kind in KINDS}
    assert any(is_number(value) for value in anchor.values.values())


@pytest.mark.parametrize("anchor", anchors_of("planning"), ids=lambda anchor: anchor.method)
def test_planning_names_protocol_ego_status_and_command(anchor):
    assert anchor.values["protocol"] in PROTOCOLS
    assert anchor.values["ego_status"]
    assert anchor.values["command_origin"]


@pytest.mark.parametrize("anchor", anchors(), ids=lambda anchor: f"{anchor.kind} {anchor.method}")
def test_figures_have_the_units_of_ours(anchor):
    """Shares are fractions, and an average is that of its three horizons to the last digit that was printed."""
    for key, value in anchor.values.items():
        if key.startswith(("collision", "pdms", "no_at_fault", "drivable", "time_to", "ego_prog", "comfort")):
            assert 0 <= value <= 1
    for name, digit in (("l2", 0.01), ("collision", 1e-4)):
        at = [anchor.values.get(f"{name}_{s}s") for s in (1, 2, 3)]
        if None not in (*at, anchor.values.get(f"{name}_avg")):
            assert anchor.values[f"{name}_avg"] == pytest.approx(sum(at) / 3, abs=1.1 * digit)


def test_anchors_of_a_protocol():
    assert {anchor.values["protocol"] for anchor in anchors_of("planning", "uniad")} == {"uniad"}
    assert anchors_of("planning", "strict") == ()
    vad = next(anchor for anchor in anchors_of("planning", "stp3_vad") if anchor.method == "VAD-Base")
    assert (vad.values["l2_avg"], vad.values["collision_avg"]) == (0.72, 0.0022)
