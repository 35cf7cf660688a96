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


def delete(name):
    return lambda root: (root / name).unlink()


def write(name, text):
    return lambda root: (root / name).write_text(text)


def only_a_start(root):
    path = root / "v1.0-mini" / "sample_annotation.json"
    path.write_bytes(path.read_bytes()[:-40])


MAP = "maps/expansion/singapore-onenorth.json"
LACKS = {  # name: (damage, finding, what was found, what to do)
    "table": (delete("v1.0-mini/sample.json"), "sample.json", "missing", "v1.0-mini.tgz"),
    "large table": (delete("v1.0-mini/sample_data.json"), "sample_data.json", "missing", "v1.0-mini.tgz"),
    "cut table": (only_a_start, "sample_annotation.json", "not a whole JSON list", "v1.0-mini.tgz"),
    "empty table": (write("v1.0-mini/ego_pose.json", ""), "ego_pose.json", "0 bytes", "v1.0-mini.tgz"),
    "broken table": (write("v1.0-mini/scene.json", "[{]"), "scene.json", "damaged: Expecting", "v1.0-mini.tgz"),
    "map": (delete(MAP), "map of singapore-onenorth", "missing", "nuScenes-map-expansion-v1.3"),
    "cut map": (write(MAP, '{"version": "1.'), "map of singapore-onenorth", "damaged", "nuScenes-map-expansion-v1.3"),
    "unversioned map": (write(MAP, "{}"), "map of singapore-onenorth", "expansion 1.0", "needed: 1.3"),
}


@pytest.mark.parametrize(("damage", "name", "what", "to_do"), LACKS.values(), ids=LACKS)
def test_what_is_missing(dataroot, findings, damage, name, what, to_do):
    damage(dataroot)
    found = findings(dataroot)
    assert not healthy(list(found.values()))
    assert [finding.name for finding in found.values() if finding.required and not finding.ok] == [name]
    assert what in found[name].found
    assert to_do in found[name].to_do


def test_everything_missing_is_named_at_once(dataroot, findings):
    """Not only the first: nobody wants to download five times."""
    for name in ("v1.0-mini/log.json", "v1.0-mini/category.json", MAP):
        (dataroot / name).unlink()
    lacking = {finding.name for finding in findings(dataroot).values() if finding.required and not finding.ok}
    places = ("singapore-onenorth", "singapore-hollandvillage", "singapore-queenstown", "boston-seaport")
    assert lacking == {"log.json", "category.json", *(f"map of {place}" for place in places)}


VERSIONS = {"v1.0-trainval": "v1.0-trainval_meta.tgz", "v1.0-test": "v1.0-test_meta.tgz", "v2.0": "the metadata of v2.0"}


@pytest.mark.parametrize(("version", "archive"), VERSIONS.items(), ids=VERSIONS)
def test_another_version(dataroot, version, archive):
    (finding,) = (f for f in diagnose(dataroot, version) if f.name == f"tables of {version}")
    assert (finding.ok, "there: v1.0-mini" in finding.found, archive in finding.to_do) == (False, True, True)


def test_damaged_prediction_scenes(dataroot, findings):
    (dataroot / "maps" / "prediction").mkdir()
    write("maps/prediction/prediction_scenes.json", "[1]")(dataroot)
    found = findings(dataroot)
    assert healthy(list(found.values())), "optional"
    assert "damaged" in found["prediction_scenes.json"].found


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
    assert found["prediction_scenes.json"].found == "742 targets"
