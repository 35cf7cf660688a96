"""nuscenes_pred by hand, its splits and gaps, and the counts of the real folder."""

import numpy as np
import pytest
import shapely
from typer.testing import CliRunner

from drive_wm.benchmarks.prediction_run import run_prediction
from drive_wm.checkpoint import load_weights
from drive_wm.cli import app
from drive_wm.config import TINY
from drive_wm.datasets.cache import open_cache
from drive_wm.datasets.nuscenes_pred import defects, drive_count, read_logs, scene_names
from drive_wm.datasets.nuscenes_pred_map import DRIVABLE, read_picture, vector_map
from drive_wm.datasets.prepare import Request, prepare
from drive_wm.errors import InputError
from drive_wm.log import empty_map
from drive_wm.scene import ELEMENTS, RASTER_LAYERS, SceneConfig
from drive_wm.train import train

FRAMES = range(17)


def test_a_scene_with_ego(pred_folder, pred_rows):
    """The ego at 4 m/s, a car ahead of it at 6 m/s, a target at frames 3 and 4."""
    (log,) = read_logs(pred_folder("train", "scene-0001", pred_rows(FRAMES, targets=(3, 4))), "train")
    assert (log.name, log.source, log.location) == ("scene-0001", "nuscenes_pred", "unknown")
    assert (log.has_ego, log.has_all_traffic) == (True, False)
    assert log.keyframes[:2] == ("scene-0001/0", "scene-0001/1")
    assert (log.agents, log.categories) == (("7",), ("Car",))
    assert log.targets.tolist() == [[0, 3], [0, 4]]
    np.testing.assert_allclose(log.time_s, 0.5 * np.arange(17))
    np.testing.assert_allclose(log.ego_pose, [[380 + 2 * f, 1000, 0] for f in FRAMES])
    np.testing.assert_allclose(log.position_m[0], [[390 + 3 * f, 1000] for f in FRAMES])
    assert log.size_m[0, 0].tolist() == [4.5, 1.9]
    assert (log.ego_centre_m, log.ego_size_m.tolist()) == (pytest.approx(1.443713), [4.084, 1.85])
    assert len(log.map.lanes.geoms) == 0
    assert shapely.box(370, 990, 430, 1010).symmetric_difference(log.map.drivable).area < 1
    assert log.map.road_dividers.hausdorff_distance(shapely.LineString([(370, 1000), (430, 1000)])) < 0.7
    assert log.map.lane_dividers.is_empty


def test_a_scene_without_ego(pred_folder, pred_rows):
    """18 columns; a gap is kept as keyframes at which nobody is there."""
    frames = [*range(14), *range(17, 19)]
    (log,) = read_logs(pred_folder("val", "scene-0002", pred_rows(frames, targets=(1,), ego=False)), "val")
    assert not log.has_ego
    assert (log.ego_pose == 0).all()
    assert len(log.keyframes) == 19
    assert np.flatnonzero(~log.valid[0]).tolist() == [14, 15, 16]
    assert log.targets.tolist() == [[0, 1]]


def test_a_gap_cuts_a_scene_with_ego(pred_folder, pred_rows):
    """Frame 0 alone makes no drive; each of the others is a drive of its own, and keeps its frame numbers and times."""
    frames = [0, *range(4, 20), *range(25, 40)]
    root = pred_folder("train", "scene-0003", pred_rows(frames, targets=(5, 26)))
    first, second = read_logs(root, "train")
    assert drive_count(root, "train") == 2
    assert (first.name, second.name) == ("scene-0003", "scene-0003-b")
    assert (first.keyframes[0], second.keyframes[0]) == ("scene-0003/4", "scene-0003/25")
    assert (first.time_s[0], second.time_s[0]) == (2.0, 12.5)
    assert (first.targets.tolist(), second.targets.tolist()) == ([[0, 1]], [[0, 1]])
    assert first.valid.all()
    assert list(defects(root, "train").values()) == [8, 1, 1, 2, 2]


def test_surroundings_beyond_the_picture_are_counted(pred_folder, pred_rows):
    """The picture ends at x 450, y 1050: a target at 405 would see 70 m ahead."""
    root = pred_folder("train", "scene-0003", pred_rows(range(20), targets=(5,)))
    assert defects(root, "train")["targets whose surroundings reach beyond the map's picture"] == 1


def test_splits_by_name(pred_folder, pred_rows):
    names = [f"scene-{i:04d}" for i in range(17)]
    for name in names:
        root = pred_folder("train", name, pred_rows(range(2)))
    assert scene_names(root, "train") == names
    assert scene_names(root, "ego_val") == ["scene-0007", "scene-0015"]
    assert scene_names(root, "train_fit") == [name for name in names if name not in ("scene-0007", "scene-0015")]
    with pytest.raises(InputError, match=r"'mini'.*ego_val"):
        scene_names(root, "mini")
    with pytest.raises(FileNotFoundError, match=r"label/test.*--root"):
        scene_names(root, "test")


def test_a_cache(pred_folder, pred_rows, tmp_path):
    root = pred_folder("train", "scene-0001", pred_rows(FRAMES, targets=(3, 4)))
    notes = []
    request = Request(root, split="train")
    manifest = prepare("nuscenes_pred", request, tmp_path / "c", SceneConfig(agents=4), lambda *news: notes.append(news))
    assert (manifest.settings.source, manifest.settings.version, manifest.settings.split) == (
        "nuscenes_pred",
        "map_0.1",
        "train",
    )
    assert manifest.defects["keyframes without any row"] == 0
    assert notes == [(1, 1, "scene-0001: 19 scenes")]
    scene, future = open_cache(tmp_path / "c").sample(17)  # the first target, at x 399
    assert scene.has_raster.tolist() == [True]
    assert scene.has_lanes.tolist() == scene.has_all_traffic.tolist() == scene.has_ego.tolist() == [False]
    # It is itself agent 0; the ego, 13 m behind it, is the other.
    assert scene.tracks.valid[0, :, -1].tolist() == [True, True, False, False]
    assert scene.tracks.velocity_mps[0, :2, -1].tolist() == [pytest.approx([6, 0], abs=1e-3), pytest.approx([4, 0], abs=1e-3)]
    assert future.tracks.valid[0, :2].all()
    assert future.ego_pose[0, -1].tolist() == pytest.approx([36, 0, 0], abs=1e-3)
    road = scene.raster[0, RASTER_LAYERS.index("drivable")]
    rear_m = 399 - 4.5 * 1.443713 / 4.084
    assert float(road.sum()) * 0.25 == pytest.approx(20 * (430 - max(370, rear_m - 30)), rel=0.02)
    assert int(scene.elements.kind[0, 0]) == ELEMENTS.index("road_divider")


def test_the_command_line_tells_what_is_lacking(pred_folder, pred_rows, tmp_path):
    root = pred_folder("train", "scene-0003", pred_rows([*range(14), *range(17, 34)], targets=(1, 20)))
    options = ["--data", "nuscenes_pred", "--root", str(root), "--split", "train", "--out", str(tmp_path / "c")]
    for _ in range(2):  # a finished cache tells it again
        result = CliRunner().invoke(app, ["prepare", *options])
        assert result.exit_code == 0, result.output
        said = " ".join(result.output.split())
        assert "2 drives, 33 scenes. 3 keyframes without any row 1 scenes cut there" in said
        assert "2 targets with fewer than 4 rows in the 4 keyframes before them" in said  # at 1, and 3 after the gap


def test_training_on_targets(pred_folder, pred_rows, tmp_path):
    for name in ("scene-0003", "scene-0004", "scene-0005"):
        root = pred_folder("val", name, pred_rows(range(16), targets=(2, 3), ego=False))
    prepare("nuscenes_pred", Request(root, split="val"), tmp_path / "c", TINY.model.scene, lambda *news: None)
    weights = train([tmp_path / "c"], "tiny", tmp_path / "run", ["train.views=targets", "train.epochs=1"])
    origin = load_weights(str(weights))[1]
    assert origin.trained_on == ("nuscenes_pred map_0.1 val (3 logs)",)
    assert origin.licence == "CC BY-NC-SA 4.0"
    with pytest.raises(InputError, match="No scene to train on"):
        train([tmp_path / "c"], "tiny", tmp_path / "other", ["train.views=ego"])


def test_forecasts_of_its_targets(pred_folder, pred_rows, tmp_path):
    """The car keeps its 6 m/s: constant velocity is right, and on the road."""
    root = pred_folder("val", "scene-0003", pred_rows(range(16), targets=(2, 3), ego=False))
    prepare("nuscenes_pred", Request(root, split="val"), tmp_path / "c", TINY.model.scene, lambda *news: None)
    row = run_prediction([tmp_path / "c"], "", baseline="constant_velocity")[0]
    assert (row["targets"], row["split"], row["n"]) == ("challenge", "nuscenes_pred val", 2)
    assert row["min_ade_5"] == pytest.approx(0, abs=1e-6)
    assert row["off_road_rate"] == 1  # the road ends at 430, the car at 432 and 435


def test_no_folder_given(tmp_path):
    with pytest.raises(InputError, match=r"label and map_0\.1"):
        prepare("nuscenes_pred", Request(), tmp_path, SceneConfig(), lambda *news: None)


TOTALS = {"train": (481, 32_186, 17_655), "val": (185, 8_560, 0)}  # drives, targets, keyframes seen from the ego
EMPTY = empty_map()


@pytest.mark.slow
@pytest.mark.parametrize("split", TOTALS)
def test_real_counts(outside_data, monkeypatch, split):
    """Six scenes of train fall in two, and one ego row of its 17,656 stands alone. Maps are not traced here."""
    root = outside_data("data/nuscenes_pred")
    monkeypatch.setattr("drive_wm.datasets.nuscenes_pred.vector_map", lambda picture: EMPTY)
    logs = list(read_logs(root, split))
    keyframes = sum(len(log.keyframes) for log in logs if log.has_ego)
    assert (len(logs), sum(len(log.targets) for log in logs), keyframes) == TOTALS[split]


@pytest.mark.slow
def test_real_defects(outside_data):
    root = outside_data("data/nuscenes_pred")
    assert list(defects(root, "train").values()) == [28, 7, 1, 6845, 493]
    assert list(defects(root, "val").values()) == [2, 0, 0, 1970, 246]
    held_out, rest = scene_names(root, "ego_val"), scene_names(root, "train_fit")
    assert (len(held_out), len(rest), set(held_out) & set(rest)) == (59, 416, set())


@pytest.mark.slow
def test_real_maps_drawn_again(outside_data):
    """Every fortieth picture: what was traced, filled again at 3 pixels per metre, covers what it was traced from."""
    root = outside_data("data/nuscenes_pred")
    for path in sorted((root / "map_0.1").glob("scene-*.png"))[::40]:
        picture = read_picture(root, path.stem)
        # Borders run through the middle of the outermost pixels, and corners were left out by up to half a pixel.
        area = shapely.buffer(vector_map(picture).drivable, 0.5 / 3, join_style="mitre")
        shapely.prepare(area)
        x_m, y_m = (picture.origin_m[i] + np.arange(picture.painted.shape[i]) / 3 for i in (0, 1))
        again = shapely.contains_xy(area, x_m[:, None], y_m[None])
        painted = picture.painted[..., DRIVABLE]
        assert (again & painted).sum() / (again | painted).sum() > 0.99, path.stem
