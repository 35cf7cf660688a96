import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from drive_wm.datasets.sumo_map import read_roads
from drive_wm.datasets.sumo_networks import NETWORKS
from drive_wm.datasets.sumo_plain import Network, arc, bezier, compile_network, heading
from drive_wm.errors import InputError


@pytest.fixture(autouse=True)
def _needs_sumo(request: pytest.FixtureRequest) -> None:
    if "network" in request.fixturenames or "broken" in request.node.name:
        pytest.importorskip("sumolib", reason="SUMO is not installed: pip install 'drive-wm[sumo]'")


def test_quarter_arc_ends_a_radius_ahead_and_a_radius_left() -> None:
    points = arc(np.array([1.0, 2.0]), 0.0, 10 * math.pi / 2, 1 / 10)
    np.testing.assert_allclose(points[[0, -1]], [[1, 2], [11, 12]], atol=1e-9)
    assert heading(points) == pytest.approx(math.pi * 3 / 8)  # the second of two chords


def test_bezier_starts_and_ends_as_told() -> None:
    points = bezier(np.zeros(2), 0.0, np.array([10.0, 10.0]), math.pi / 2)
    np.testing.assert_allclose(points[[0, -1]], [[0, 0], [10, 10]], atol=1e-9)
    assert heading(points) == pytest.approx(math.pi / 2, abs=0.1)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_every_network_compiles(network, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    net = network(rng)
    path = compile_network(net, rng, tmp_path)
    crossings = [e for e in ElementTree.parse(path).getroot().iter("edge") if e.get("function") == "crossing"]
    assert len(crossings) == len(net.crossings)
    roads = read_roads(path).map
    pieces = np.array(roads.lanes.geoms)
    assert (pieces[roads.lane_successors[:, 0]].size) > 0
    ends = np.array([lane.coords[-1] for lane in pieces[roads.lane_successors[:, 0]]])
    starts = np.array([lane.coords[0] for lane in pieces[roads.lane_successors[:, 1]]])
    assert np.linalg.norm(ends - starts, axis=1).max() < 0.5
    assert roads.drivable.buffer(0.2).contains(roads.lanes)
    assert roads.walkways.intersection(roads.drivable).area < 0.001 * roads.walkways.area


def test_broken_network_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="netconvert refused the empty network"):
        compile_network(Network("empty"), np.random.default_rng(0), tmp_path)
