"""prepare: from a dataroot to scenes a model can be trained on."""

import pytest
import shapely

from drive_wm.datasets.cache import open_cache
from drive_wm.datasets.nuscenes_map import has_expansion
from drive_wm.datasets.prepare import Request, prepare
from drive_wm.errors import InputError
from drive_wm.log import VEHICLE
from drive_wm.scene import RASTER_LAYERS, SceneConfig

CONFIG = SceneConfig(agents=4)
pytestmark = pytest.mark.filterwarnings("ignore:6 of 8 scenes")


@pytest.fixture
def prepared(tmp_path):
    """prepared(root) -> the cache of its mini_train."""

    def run(root):
        out = tmp_path / "cache"
        prepare("nuscenes", Request(root, "v1.0-mini", "mini_train"), out, CONFIG, lambda *news: None)
        return open_cache(out)

    return run


def test_a_street_by_hand(dataroot, prepared):
    cache = prepared(dataroot)
    assert [shard.ego_views for shard in cache.manifest.shards] == [3, 4]
    scene, future = cache.sample(4)  # the second keyframe of the second drive
    scene.check()
    assert scene.tracks.kind[0, 1] == VEHICLE
    # The car is 20 m ahead and moves as the ego does; the walker is not seen in this keyframe.
    assert scene.tracks.position_m[0, 1, -1].tolist() == pytest.approx([20, 0], abs=1e-5)
    assert scene.tracks.velocity_mps[0, :2, -1].tolist() == [pytest.approx([4, 0], abs=1e-4)] * 2
    assert scene.tracks.valid[0, :, -1].tolist() == [True, True, False, False]
    assert future.ego_pose[0, :2].tolist() == [pytest.approx([2, 0, 0], abs=1e-5), pytest.approx([4, 0, 0], abs=1e-5)]
    assert future.ego_valid[0].tolist() == [True, True] + [False] * 10
    drivable = scene.raster[0, RASTER_LAYERS.index("drivable")]
    assert float(drivable.sum()) * 0.25 == pytest.approx(72 * 12, rel=0.01)  # from 2 m behind to 70 m ahead
    assert bool(scene.has_lanes)
    assert not bool(scene.has_route)


def test_without_maps_the_scenes_say_so(dataroot, prepared):
    for path in (dataroot / "maps" / "expansion").iterdir():
        path.unlink()
    has_expansion.cache_clear()
    with pytest.warns(UserWarning, match="No map expansion"):
        scene, _ = prepared(dataroot).sample(0)
    assert not bool(scene.has_lanes)
    assert not bool(scene.has_raster)


def test_maps_that_came_later_are_noticed(dataroot, prepared):
    prepared(dataroot)
    (dataroot / "maps" / "expansion" / "boston-seaport.json").write_text("{}")
    with pytest.raises(InputError, match="source_files"):
        prepared(dataroot)


@pytest.mark.slow
def test_real_scenes(outside_data, prepared):
    cache = prepared(outside_data("data/nuscenes-mini-train"))
    assert (len(cache), cache.samples) == (8, 323)
    for i in range(len(cache)):
        scene, future = cache.scenes(i)
        scene.check()
        log = cache.log(i)
        # A drive of 20 s ends where its scenes say: the last future pose of the first scene that reaches 6 s.
        first_m = shapely.Point(log.ego_pose[0, :2]).distance(shapely.Point(log.ego_pose[12, :2]))
        assert float(future.ego_pose[0, -1, :2].norm()) == pytest.approx(first_m, abs=1e-3)
        assert bool(scene.has_lanes.all())
        assert bool(scene.has_raster.all())
        ego_cell = scene.edge_m[:, 99:101, 59:61].mean(dim=(1, 2))
        assert float(ego_cell.min()) > 0, "the ego drives on the drivable area"
