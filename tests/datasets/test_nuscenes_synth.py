"""A small synthetic dataroot, opened by nuscenes-devkit; and what a run leaves behind that fails."""

import json
from pathlib import Path

import numpy as np
import pytest
from nuscenes.eval.prediction.splits import get_prediction_challenge_split
from nuscenes.map_expansion.map_api import NuScenesMap
from nuscenes.nuscenes import NuScenes
from nuscenes.prediction import PredictHelper
from nuscenes.prediction.input_representation.agents import AgentBoxesWithFadedHistory
from nuscenes.prediction.input_representation.static_layers import StaticLayerRasterizer

from drive_wm.datasets import nuscenes_synth
from drive_wm.datasets.nuscenes_synth import synthesize
from drive_wm.datasets.nuscenes_write import VERSION
from drive_wm.errors import InputError

pytestmark = pytest.mark.slow
SCENES, SEED = 14, 1


def quiet(done: int, of: int, note: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module", autouse=True)
def _needs_sumo() -> None:
    pytest.importorskip("libsumo", reason="SUMO is not installed: pip install 'drive-wm[sumo]'")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "nuscenes"
    synthesize(folder, SCENES, SEED, quiet)
    return folder


@pytest.fixture(scope="module")
def tables(root: Path) -> NuScenes:
    return NuScenes(VERSION, str(root), verbose=False)


@pytest.fixture(scope="module")
def helper(tables: NuScenes) -> PredictHelper:
    return PredictHelper(tables)


@pytest.fixture(scope="module")
def targets(root: Path) -> list[list[str]]:
    """Instance and sample of every challenge target."""
    found = [get_prediction_challenge_split(split, str(root)) for split in ("train", "train_val", "val")]
    return [target.split("_") for targets in found for target in targets]


@pytest.fixture(scope="module")
def maps(root: Path) -> dict[str, NuScenesMap]:
    places = json.loads((root / VERSION / "log.json").read_text())
    return {name: NuScenesMap(str(root), name) for name in sorted({log["location"] for log in places})}


def test_devkit_opens_the_tables(tables: NuScenes, capsys: pytest.CaptureFixture[str]) -> None:
    assert (len(tables.scene), len(tables.sample)) == (SCENES, 41 * SCENES)
    tables.list_scenes()
    assert capsys.readouterr().out.count("#anns") == SCENES
    for sample in tables.sample[::20]:
        token = sample["data"]["LIDAR_TOP"]
        _, boxes, _ = tables.get_sample_data(token)
        assert len(boxes) == len(sample["anns"]) > 0
        # Seen from the lidar, whose y points ahead: the same boxes as around the ego.
        _, around, _ = tables.get_sample_data(token, use_flat_vehicle_coordinates=True)
        x, y = np.array([box.center[:2] for box in around]).T
        np.testing.assert_allclose([box.center[:2] for box in boxes], np.stack([-y, x - 0.943713], axis=1), atol=1e-4)
    for annotation in tables.sample_annotation[::50]:
        velocity = tables.box_velocity(annotation["token"])
        assert np.isnan(velocity[0]) or np.linalg.norm(velocity) < 30
        assert tables.get("visibility", annotation["visibility_token"])
        assert all(tables.get("attribute", token) for token in annotation["attribute_tokens"])


def test_devkit_finds_roads_under_the_ego(tables: NuScenes) -> None:
    on_road = []
    for scene in tables.scene:
        log = tables.get("log", scene["log_token"])
        mask = tables.get("map", log["map_token"])["mask"]
        sample = tables.get("sample", scene["first_sample_token"])
        pose = tables.get("ego_pose", tables.get("sample_data", sample["data"]["LIDAR_TOP"])["ego_pose_token"])
        on_road.append(mask.is_on_mask(*pose["translation"][:2])[0])
    assert all(on_road)


def test_devkit_helper_follows_targets(helper: PredictHelper, targets: list[list[str]]) -> None:
    assert len(targets) > 20
    for instance, sample in targets[::10]:
        past = helper.get_past_for_agent(instance, sample, seconds=1, in_agent_frame=True)
        future = helper.get_future_for_agent(instance, sample, seconds=6, in_agent_frame=True)
        assert (past.shape, future.shape) == ((2, 2), (12, 2))
        speed = helper.get_velocity_for_agent(instance, sample)
        assert 0 <= speed < 25
        assert speed == pytest.approx(np.linalg.norm(past[0]) / 0.5, rel=0.05, abs=0.05)
        assert abs(helper.get_acceleration_for_agent(instance, sample)) < 10
        assert abs(helper.get_heading_change_rate_for_agent(instance, sample)) < 1.5
        assert len(helper.get_annotations_for_sample(sample)) > 0


def test_devkit_reads_every_layer_of_the_maps(maps: dict[str, NuScenesMap]) -> None:
    counts = {layer: sum(len(getattr(m, layer)) for m in maps.values()) for m in maps.values() for layer in m.layer_names}
    assert [layer for layer, count in counts.items() if not count] == ["carpark_area"]
    for m in maps.values():
        for layer in m.non_geometric_layers:
            for record in getattr(m, layer):
                assert len(m.get_bounds(layer, record["token"])) == 4
        lanes = m.lane + m.lane_connector
        points = m.discretize_lanes([lane["token"] for lane in lanes], 0.5)
        for lane in lanes:
            for after in m.get_outgoing_lane_ids(lane["token"]):
                assert lane["token"] in m.get_incoming_lane_ids(after)
                assert np.linalg.norm(np.subtract(points[lane["token"]][-1], points[after][0])[:2]) < 0.5
                assert m.get_arcline_path(after)


def test_devkit_finds_targets_on_lanes(helper: PredictHelper, maps: dict[str, NuScenesMap], targets: list[list[str]]) -> None:
    turns = []
    for instance, sample in targets[::10]:
        x, y = helper.get_sample_annotation(instance, sample)["translation"][:2]
        m = maps[helper.get_map_name_from_sample_token(sample)]
        layers = m.layers_on_point(x, y)
        assert layers["drivable_area"] == m.record_on_point(x, y, "drivable_area") != ""
        assert m.get_records_in_radius(x, y, 50, ["lane", "road_segment"])["road_segment"]
        lane = m.discretize_lanes([m.get_closest_lane(x, y, radius=5)], 0.5)
        ((_, poses),) = lane.items()
        assert np.linalg.norm(np.array(poses)[:, :2] - (x, y), axis=1).min() < 3.0
        mask = m.get_map_mask((x, y, 60.0, 60.0), 0.0, ["drivable_area", "ped_crossing", "walkway"], (120, 120))
        turns.append(mask[0, 60, 60])
    assert all(turns)


def test_devkit_draws_targets(helper: PredictHelper, targets: list[list[str]]) -> None:
    roads, boxes = StaticLayerRasterizer(helper), AgentBoxesWithFadedHistory(helper)
    for instance, sample in targets[:: len(targets) // 3]:
        image = roads.make_representation(instance, sample)
        assert image.shape == (500, 500, 3)
        assert (image[395:405, 245:255] > 0).any(axis=-1).all()  # where the target is, there is a road
        assert (boxes.make_representation(instance, sample)[398:402, 248:252] > 0).any()


def test_same_seed_same_bytes(root: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / "again", SCENES, SEED, quiet)
    files = [path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file()]
    assert len(files) == 24
    for file in files:
        assert (root / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_second_run_leaves_it_alone_and_another_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nuscenes_synth, "read_drives", lambda seed: pytest.fail("simulated again"))
    assert synthesize(root, SCENES, SEED, quiet).scenes == SCENES
    with pytest.raises(InputError, match=f"seed {SEED}, not {SEED + 1}"):
        synthesize(root, SCENES, SEED + 1, quiet)
    with pytest.raises(InputError, match="not written by `drive-wm synth`"):
        synthesize(root / VERSION, SCENES, SEED, quiet)


def test_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, of: int, note: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "out", 2, SEED, stop)
    assert list(tmp_path.iterdir()) == []


def test_summary_counts_scenes(root: Path) -> None:
    summary = json.loads((root / "synth.json").read_text())
    assert sum(summary["networks"].values()) == SCENES
    described = [scene["description"] for scene in json.loads((root / VERSION / "scene.json").read_text())]
    assert sum(";" in text for text in described) == sum(summary["events"].values())
    assert all(any(kind in text for kind in summary["networks"]) for text in described)
