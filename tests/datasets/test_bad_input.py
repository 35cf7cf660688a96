"""Every way in which data can be unusable gives one message: what was found, what is needed, what to type."""

import json

import pytest
from typer.testing import CliRunner

from drive_wm.checkpoint import Origin, save_weights
from drive_wm.cli import app
from drive_wm.config import TINY
from drive_wm.datasets.cache import open_cache, write_cache
from drive_wm.datasets.manifest import CACHE_VERSION
from drive_wm.datasets.nuscenes_map import location_map
from drive_wm.datasets.prepare import Request, prepare
from drive_wm.errors import InputError
from drive_wm.model.world_model import WorldModel
from drive_wm.scene import SceneConfig

TABLES, MAP = "v1.0-mini", "maps/expansion/singapore-onenorth.json"


def delete(*names):
    return lambda root, edit: [(root / name).unlink() for name in names]


def truncate(name):
    return lambda root, edit: (root / name).write_bytes((root / name).read_bytes()[:100])


def change(name, fn):
    return lambda root, edit: edit(root / name, fn)


def only_one_sample(scenes_table):
    scenes_table[0].update(first_sample_token="scene-0061/2")


def nan_size(boxes):
    boxes[0]["size"][0] = float("nan")


BAD = {  # name: (damage, changed request, kind of error, parts of its message)
    "no dataroot given": (None, {"root": None}, InputError, ["--root"]),
    "no such dataroot": (None, {"root": "nowhere"}, FileNotFoundError, ["No nuScenes tables in", "nuscenes.org", "--root"]),
    "no such version": (
        None,
        {"version": "v1.0-test"},
        FileNotFoundError,
        ["v1.0-test", "versions there: v1.0-mini", "--version"],
    ),
    "missing table": (delete(f"{TABLES}/sample.json"), {}, FileNotFoundError, ["sample.json", "Unpack"]),
    "truncated table": (truncate(f"{TABLES}/sample_annotation.json"), {}, InputError, ["sample_annotation.json", "is damaged"]),
    "truncated scenes": (truncate(f"{TABLES}/scene.json"), {}, InputError, ["scene.json", "is damaged"]),
    "unknown split": (None, {"split": "valid"}, InputError, ["'valid'", "mini_train", "train_track", "--split"]),
    "split of another version": (None, {"split": "test"}, InputError, ["None of the 150", "mini_train"]),
    "unknown source": (None, {"data": "kitti"}, InputError, ["'kitti'", "nuscenes, nuscenes_pred, sumo", "--data"]),
    "one keyframe": (
        change(f"{TABLES}/scene.json", only_one_sample),
        {},
        InputError,
        ["scene-0061", "1 keyframe", "at least 2"],
    ),
    "size not a number": (change(f"{TABLES}/sample_annotation.json", nan_size), {}, InputError, ["'scene-0061/car'", "nan"]),
    "size 0": (
        change(f"{TABLES}/sample_annotation.json", lambda rows: rows[0].update(size=[0, 1, 1])),
        {},
        InputError,
        ["'scene-0061/car'", "[0, 1, 1]"],
    ),
    "unknown category": (
        change(f"{TABLES}/category.json", lambda rows: rows[0].update(name="ufo")),
        {},
        InputError,
        ["'ufo'", "vehicle.car"],
    ),
    "row that is not there": (change(f"{TABLES}/ego_pose.json", lambda rows: rows.pop(0)), {}, InputError, ["scene-0061/0"]),
    "tables of two downloads": (
        change(f"{TABLES}/category.json", lambda rows: rows.pop(0)),
        {},
        InputError,
        ["fit together", "c_car"],
    ),
    "a column that is not there": (
        change(f"{TABLES}/sample.json", lambda rows: rows[1].pop("next")),
        {},
        InputError,
        ["sample.json is damaged", "missing required field `next`", "Unpack"],
    ),
    "missing map": (
        lambda root, edit: (root / MAP).rename(root / "maps/expansion/boston-seaport.json"),
        {},
        FileNotFoundError,
        ["singapore-onenorth.json", "nuScenes-map-expansion-v1.3"],
    ),
    "truncated map": (truncate(MAP), {}, InputError, ["singapore-onenorth.json", "is damaged"]),
    "map without a node": (change(MAP, lambda content: content["node"].pop(0)), {}, InputError, ["is damaged", "n0"]),
    "map without a layer": (change(MAP, lambda content: content.pop("lane")), {}, InputError, ["is damaged", "lane"]),
    "old map": (change(MAP, lambda content: content.update(version="1.2")), {}, InputError, ["1.2", "needed: 1.3"]),
    "place without map": (
        change(f"{TABLES}/log.json", lambda rows: rows[0].update(location="zurich")),
        {},
        InputError,
        ["'zurich'", "boston-seaport"],
    ),
}


@pytest.mark.filterwarnings("ignore:6 of 8 scenes")
@pytest.mark.parametrize(("damage", "request_change", "kind", "parts"), BAD.values(), ids=BAD)
def test_bad_source(dataroot, tmp_path, monkeypatch, edit, damage, request_change, kind, parts):
    monkeypatch.chdir(tmp_path)
    if damage:
        damage(dataroot, edit)
    options = {"data": "nuscenes", "root": dataroot, "version": TABLES, "split": "mini_train"} | request_change
    if options["root"] == "nowhere":
        options["root"] = tmp_path / "nowhere"
    data = options.pop("data")
    location_map.cache_clear()
    with pytest.raises(kind) as error:
        prepare(data, Request(**options), tmp_path / "cache", SceneConfig(), lambda *news: None)
    assert type(error.value) is kind
    assert all(part in str(error.value) for part in parts), str(error.value)
    assert not (tmp_path / "cache" / "manifest.json").exists()


def other_version(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["settings"]["cache_version"] = CACHE_VERSION + 1
    (folder / "manifest.json").write_text(json.dumps(manifest))


def flip_last_byte(name):
    def flip(folder):
        content = bytearray((folder / name).read_bytes())
        content[-1] ^= 1
        (folder / name).write_bytes(content)

    return flip


BAD_CACHES = {  # name: (damage, kind of error, parts of its message)
    "nothing there": (lambda folder: [file.unlink() for file in folder.iterdir()], FileNotFoundError, ["nothing", "prepare"]),
    "unfinished": (lambda folder: (folder / "manifest.json").unlink(), FileNotFoundError, ["1 drives", "prepare"]),
    "another version": (other_version, InputError, [f"version {CACHE_VERSION + 1}", "prepare"]),
    "truncated manifest": (
        lambda folder: (folder / "manifest.json").write_text('{"created'),
        InputError,
        ["manifest.json", "--rebuild"],
    ),
    "foreign manifest": (
        lambda folder: (folder / "manifest.json").write_text("[1]"),
        InputError,
        ["manifest.json", "--rebuild"],
    ),
    "missing shard": (lambda folder: (folder / "drive.scenes.safetensors").unlink(), FileNotFoundError, ["drive.scenes"]),
    "truncated shard": (
        lambda folder: (folder / "drive.scenes.safetensors").write_bytes(b"x"),
        InputError,
        ["drive.scenes", "1 bytes", "prepare"],
    ),
    "changed scenes": (flip_last_byte("drive.scenes.safetensors"), InputError, ["drive.scenes", "SHA-256"]),
    "changed log": (flip_last_byte("drive.log.safetensors"), InputError, ["drive.log", "SHA-256"]),
}


@pytest.mark.parametrize(("damage", "kind", "parts"), BAD_CACHES.values(), ids=BAD_CACHES)
def test_bad_cache(tmp_path, make_log, damage, kind, parts):
    write_cache(iter([make_log()]), tmp_path, "hand", "1", "all", SceneConfig(agents=4), lambda *news: None)
    damage(tmp_path)
    with pytest.raises(kind) as error:
        read_everything(tmp_path)
    assert all(part in str(error.value) for part in parts), str(error.value)


def read_everything(folder):
    cache = open_cache(folder)
    return cache.log(0), cache.sample(0)


def test_no_drive_at_all(tmp_path):
    with pytest.raises(InputError, match="gave no drive"):
        write_cache(iter([]), tmp_path, "hand", "1", "all", SceneConfig(), lambda *news: None)


def prepare_command(damage):
    def command(dataroot, edit, tmp_path, make_log):
        damage(dataroot, edit)
        options = ["--root", str(dataroot), "--version", TABLES, "--split", "mini_train"]
        return ["prepare", *options, "--out", str(tmp_path / "out")]

    return command


def unknown_split(dataroot, edit, tmp_path, make_log):
    return ["prepare", "--root", str(dataroot), "--version", TABLES, "--split", "valid", "--out", str(tmp_path / "out")]


def cache_of(tmp_path, make_log):
    write_cache(iter([make_log()]), tmp_path / "cache", "hand", "1", "all", SceneConfig(), lambda *news: None)
    return tmp_path / "cache"


def old_cache(dataroot, edit, tmp_path, make_log):
    cache = cache_of(tmp_path, make_log)
    other_version(cache)
    return ["evaluate", "planning", "--cache", str(cache), "--json", str(tmp_path / "out")]


def other_weights(dataroot, edit, tmp_path, make_log):
    weights = tmp_path / "tiny.safetensors"
    save_weights(WorldModel(TINY.model), Origin((), "", "Apache-2.0"), weights)
    cache = cache_of(tmp_path, make_log)
    return ["train", "--cache", str(cache), "--preset", "base", "--init", str(weights), "--out", str(tmp_path / "out")]


def changed_graph(dataroot, edit, tmp_path, make_log):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name in ("planner.onnx", "contract.json", "golden.npz"):
        (bundle / name).write_bytes(b"changed")
    sha256 = dict.fromkeys(("planner.onnx", "contract.json", "golden.npz"), "0" * 64)
    (bundle / "manifest.json").write_text(json.dumps(sha256))
    return ["bench", "tick", "--bundle", str(bundle), "--json", str(tmp_path / "out")]


AT_THE_COMMAND_LINE = {  # what is wrong: (how to get there, what the message says was found and what to type)
    "missing table": (prepare_command(delete(f"{TABLES}/sample.json")), ["sample.json", "Unpack"]),
    "missing map": (prepare_command(BAD["missing map"][0]), ["singapore-onenorth.json", "nuScenes-map-expansion-v1.3"]),
    "truncated JSON": (prepare_command(truncate(f"{TABLES}/sample_annotation.json")), ["sample_annotation.json", "damaged"]),
    "unknown split": (unknown_split, ["'valid'", "mini_train", "--split"]),
    "one sample": (prepare_command(BAD["one keyframe"][0]), ["scene-0061", "1 keyframe", "at least 2"]),
    "NaN size": (prepare_command(BAD["size not a number"][0]), ["'scene-0061/car'", "nan"]),
    "cache of another version": (old_cache, [f"version {CACHE_VERSION + 1}", "drive-wm prepare"]),
    "weights of another configuration": (other_weights, ["model.bev.width is 8, needed 32", "preset"]),
    "changed graph": (changed_graph, ["planner.onnx", "SHA-256", "drive-wm export"]),
}


@pytest.mark.filterwarnings("ignore:6 of 8 scenes")
@pytest.mark.parametrize(("command", "parts"), AT_THE_COMMAND_LINE.values(), ids=AT_THE_COMMAND_LINE)
def test_the_command_line_gives_one_message_and_writes_nothing(dataroot, edit, tmp_path, make_log, command, parts):
    location_map.cache_clear()
    result = CliRunner().invoke(app, command(dataroot, edit, tmp_path, make_log))
    said = " ".join(result.output.split())
    assert result.exit_code == 1, said
    assert isinstance(result.exception, SystemExit), result.exception
    assert said.count("drive-wm:") == 1
    assert all(part in said for part in parts), said
    assert not (tmp_path / "out").is_file()
    assert not (tmp_path / "out" / "manifest.json").exists()
