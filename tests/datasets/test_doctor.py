"""The doctor finds what is missing and says what to do about it."""

import pytest

from drive_wm.datasets.doctor import diagnose, healthy


@pytest.fixture
def findings():
    """findings(root) -> by name."""
    return lambda root: {finding.name: finding for finding in diagnose(root, "v1.0-mini")}


def test_a_good_dataroot(dataroot, findings):
    found = findings(dataroot)
    assert healthy(list(found.values()))
    assert found["tables of v1.0-mini"].found == "2 scenes: train 1/700, val 1/150, mini_train 2/8, train_detect 1/350"
    assert found["map of singapore-onenorth"].found == "expansion 1.3"
    assert not found["prediction_scenes.json"].ok
    assert found["torch"].ok


LACKS = {  # name: (file to delete below the dataroot, finding, what to do)
    "table": ("v1.0-mini/sample.json", "tables of v1.0-mini", "lacks sample.json"),
    "map": ("maps/expansion/singapore-onenorth.json", "map of singapore-onenorth", "nuScenes-map-expansion-v1.3"),
}


@pytest.mark.parametrize(("file", "name", "to_do"), LACKS.values(), ids=LACKS)
def test_what_is_missing(dataroot, findings, file, name, to_do):
    (dataroot / file).unlink()
    found = findings(dataroot)
    assert not healthy(list(found.values()))
    assert not found[name].ok
    assert to_do in found[name].to_do


def test_an_old_map(dataroot, findings, edit):
    edit(dataroot / "maps" / "expansion" / "singapore-onenorth.json", lambda content: content.update(version="1.2"))
    assert not findings(dataroot)["map of singapore-onenorth"].ok


def test_without_dataroot_only_packages(findings):
    assert "torch" in findings(None)
    assert not any("map" in name and "of" in name for name in findings(None))


def test_real_dataroot(outside_data, findings):
    found = findings(outside_data("data/nuscenes-mini-train"))
    assert healthy(list(found.values()))
    assert found["tables of v1.0-mini"].found.startswith("8 scenes: train 6/700, val 2/150, mini_train 8/8")
    assert found["prediction_scenes.json"].ok
