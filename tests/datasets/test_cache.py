"""A cache gives back what was written, takes over what an interrupted run left, and refuses what it cannot vouch for."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from drive_wm.datasets import shards
from drive_wm.datasets.cache import open_cache, open_caches, write_cache
from drive_wm.errors import InputError
from drive_wm.scene import SceneConfig
from drive_wm.scene_at import SceneBuilder, scenes_of
from drive_wm.structs import cat, tensors
from drive_wm.viewpoint import target_view, views_of

CONFIG = SceneConfig(agents=4, lanes=8, elements=8)


@pytest.fixture
def write(tmp_path):
    """write(logs, ...) -> (manifest, messages); the folder is tmp_path / "cache"."""

    def run(logs, split="all", config=CONFIG, files=None, engine="local", folder="cache", workers=1):
        notes = []
        out, progress = tmp_path / folder, lambda *news: notes.append(news)
        manifest = write_cache(iter(logs), out, "hand", "1", split, config, progress, files, engine=engine, workers=workers)
        return manifest, notes

    return run


@pytest.fixture
def logs(make_log):
    return [make_log("a", 4), make_log("b", 3)]


def test_it_gives_back_what_was_written(write, logs, tmp_path):
    write(logs)
    cache = open_cache(tmp_path / "cache")
    assert (len(cache), cache.samples, cache.manifest.config) == (2, 7, CONFIG)
    assert cache.log(1).keyframes == logs[1].keyframes
    for found, wanted in zip(cache.scenes(1), scenes_of(logs[1], CONFIG), strict=True):
        found, wanted = tensors(found), tensors(wanted)
        for name, x in wanted.items():
            atol = {"raster": 0.5 / 127 + 1e-6, "edge_m": 5 / 127 + 1e-6}.get(name, 0)
            torch.testing.assert_close(found[name], x, atol=atol, rtol=0, msg=name)


@pytest.fixture
def targeted(make_log):
    """A drive of 5 keyframes whose car is a target at two of them."""
    return replace(make_log("t", 5), targets=np.array([[0, 1], [0, 3]]))


def test_targets_follow_the_egos_keyframes(write, targeted, logs, tmp_path):
    write([targeted, logs[1]])
    cache = open_cache(tmp_path / "cache")
    shard = cache.manifest.shards[0]
    assert (shard.ego_views, shard.target_views, cache.samples) == (5, 2, 10)
    assert [cache.place(j) for j in (4, 5, 6, 7)] == [(0, 4), (0, 5), (0, 6), (1, 0)]
    assert torch.equal(cache.scenes(0, "ego")[0].has_ego, torch.ones(5, dtype=torch.bool))
    scene, future = cache.scenes(0, "targets")
    builder = SceneBuilder(targeted, CONFIG)
    wanted, wanted_future, _ = zip(*(target_view(builder, 0, step) for step in (1, 3)), strict=True)
    assert torch.equal(scene.tracks.position_m, cat(wanted).tracks.position_m)
    assert torch.equal(future.ego_pose, cat(wanted_future).ego_pose)
    assert future.ego_valid[:, :4].tolist() == [[True, True, True, False], [True, False, False, False]]
    assert not scene.has_ego.any()
    assert torch.equal(cache.sample(6)[0].raster, scene.raster[1:])


def test_a_drive_without_ego_has_targets_alone(write, targeted, tmp_path):
    write([replace(targeted, has_ego=False, ego_pose=np.zeros((5, 3)))])
    cache = open_cache(tmp_path / "cache")
    assert (cache.manifest.shards[0].ego_views, cache.samples) == (0, 2)
    assert cache.scenes(0, "ego")[0].has_ego.shape == (0,)
    scene, _ = cache.sample(0)
    assert scene.tracks.valid[0, :, -1].tolist() == [True, False, False, False]  # nobody but the target was recorded


def test_what_never_changes_is_stored_once(write, logs, tmp_path):
    """The street has no walkway, and nobody changes size; positions do change."""
    write(logs)
    with safe_open(tmp_path / "cache" / "a.scenes.safetensors", "pt") as file:
        rows = {key: file.get_slice(key).get_shape()[0] for key in file.keys()}  # noqa: SIM118
    assert {key: rows[key] for key in ("scene.raster.walkway", "scene.tracks.size_m", "scene.raster.drivable")} == {
        "scene.raster.walkway": 1, "scene.tracks.size_m": 1, "scene.raster.drivable": 4,
    }  # fmt: skip


def test_samples_count_through_all_drives(write, logs, tmp_path):
    write(logs)
    cache = open_cache(tmp_path / "cache")
    assert [cache.place(j) for j in range(7)] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2)]
    one, whole = cache.sample(5), cache.scenes(1)
    for part, all_steps in zip(one, whole, strict=True):
        all_steps = tensors(all_steps)
        for name, x in tensors(part).items():
            assert torch.equal(x, all_steps[name][1:2]), name
    with pytest.raises(IndexError):
        cache.sample(7)


def test_drives_can_be_left_out(write, logs, tmp_path):
    write(logs)
    (rest,) = open_caches([tmp_path / "cache"], leave_out=["a"])
    assert (len(rest), rest.samples, rest.log(0).name) == (1, 3, "b")
    assert rest.sample(2)[1].ego_valid.tolist() == [[False] * CONFIG.future]
    (alone,) = open_caches([tmp_path / "cache"], only=["a"])
    assert alone.log(0).name == "a"
    with pytest.raises(InputError, match="no drive c; they hold a, b"):
        open_caches([tmp_path / "cache"], only=["a", "c"])
    with pytest.raises(InputError, match="is left"):
        open_caches([tmp_path / "cache"], leave_out=["a", "b"])


def test_a_second_run_does_nothing(write, logs, tmp_path):
    first, _ = write(logs)
    again, notes = write(None or [])
    assert again == first
    assert notes == [(2, 2, f"{tmp_path / 'cache'} already holds this: 2 drives, 7 scenes")]


def test_an_interrupted_run_goes_on(write, logs, tmp_path, monkeypatch):
    def until_ctrl_c():
        yield logs[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(until_ctrl_c())
    with pytest.raises(FileNotFoundError, match="1 drives of an unfinished one are there"):
        open_cache(tmp_path / "cache")
    built = []
    monkeypatch.setattr(shards, "views_of", lambda log, config: built.append(log.name) or views_of(log, config))
    _, notes = write(logs)
    assert built == ["b"]
    assert notes == [(1, 0, "a: 4 scenes, already there"), (2, 0, "b: 3 scenes")]


def test_a_drive_that_changed_is_written_again(write, logs, tmp_path):
    write(logs)
    (tmp_path / "cache" / "manifest.json").unlink()
    _, notes = write([replace(logs[0], keyframes=tuple("wxyz")), logs[1]])
    assert notes == [(1, 0, "a: 4 scenes"), (2, 0, "b: 3 scenes, already there")]
    assert open_cache(tmp_path / "cache").log(0).keyframes == tuple("wxyz")


OTHERS = {  # name: (changed argument, what the message names)
    "split": ({"split": "val"}, "split is 'all', not 'val'"),
    "sizes": ({"config": SceneConfig(agents=5, lanes=8, elements=8)}, "scene is"),
    "source files": ({"files": {"map.json": 1}}, r"source_files is {}, not {'map.json': 1}"),
}


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "interrupted"])
@pytest.mark.parametrize(("change", "message"), OTHERS.values(), ids=OTHERS)
def test_other_data_needs_another_folder(write, logs, tmp_path, change, message, finished):
    write(logs)
    if not finished:
        (tmp_path / "cache" / "manifest.json").unlink()
    with pytest.raises(InputError, match=message) as error:
        write(logs, **change)
    assert "Pass an empty folder with --out" in str(error.value)


def test_names_must_differ(write, logs):
    with pytest.raises(InputError, match="'a'"):
        write([logs[0], logs[0]])


def test_it_needs_no_nuscenes():
    code = "import sys; sys.modules['nuscenes'] = None; import drive_wm.datasets.cache, drive_wm.datasets.prepare"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_ray_writes_the_same(write, logs):
    pytest.importorskip("ray")
    here, _ = write(logs)
    spread, notes = write(logs, engine="ray", folder="ray")
    assert [shard.scenes_sha256 for shard in spread.shards] == [shard.scenes_sha256 for shard in here.shards]
    assert notes == [(1, 0, "a: 4 scenes"), (2, 0, "b: 3 scenes")]


@pytest.mark.slow
def test_processes_write_the_same(write, logs, targeted, tmp_path):
    """Byte for byte, the manifest's time aside; a drive that cannot be written is the user's error, and no manifest stays."""
    here, _ = write([*logs, targeted])
    shared, notes = write([*logs, targeted], folder="shared", workers=2)
    assert shared.shards == here.shards
    assert [name for _, _, name in notes] == ["a: 4 scenes", "b: 3 scenes", "t: 7 scenes"]
    for path in (tmp_path / "shared").glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "cache" / path.name).read_bytes()
    with pytest.raises(InputError, match="'t' has neither an ego nor targets"):
        write([logs[0], replace(logs[1], name="t", has_ego=False)], folder="bad", workers=2)
    assert not (tmp_path / "bad" / "manifest.json").exists()


def test_a_drive_without_any_view_is_named(write, logs):
    with pytest.raises(InputError, match="'a' has neither an ego nor targets"):
        write([replace(logs[0], has_ego=False)])


def test_engines_are_named(write, logs):
    with pytest.raises(InputError, match="local, ray"):
        write(logs, engine="slurm")
