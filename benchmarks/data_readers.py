"""How fast nuScenes is read by drive_wm, by the devkit and by trajdata; each runs alone in a process and prints its rows.

The same content per sample: 2 s of history and 6 s of future of the ego and the nearest 31 others, and one map raster of
100 m x 100 m in cells of 0.5 m around the ego (the devkit: around its nearest agent, since it draws agents alone; without
the ego, of whom it keeps no tracks). drive_wm also makes lanes, map elements and the distance to the border, and writes all
of it to disk; trajdata writes its own cache first, and in a second row gives the points of the lanes and crosswalks around the
ego too. Reading the tables and the maps of whole locations is timed apart.

trajdata is imported where it is installed: this file runs there as a script, without drive_wm.
"""

import argparse
import importlib
import json
import resource
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

HISTORY_S, FUTURE_S, OTHERS = 2.0, 6.0, 31
CELL_M, AHEAD_M, BEHIND_M, BESIDE_M = 0.5, 70.0, 30.0, 50.0
BATCH = 16  # samples that training reads at once
_MIB = 2**10 if sys.platform == "linux" else 2**20  # ru_maxrss counts KiB, on macOS bytes
TRAJDATA_NAMES = {"v1.0-mini": "nusc_mini", "v1.0-trainval": "nusc_trainval", "v1.0-test": "nusc_test"}


def read_with_drive_wm(root: Path, version: str, split: str, samples: int) -> list[dict[str, Any]]:
    """Prepare whole drives until there are enough samples; then read as many back as training does."""
    from drive_wm.datasets.cache import open_cache, write_cache
    from drive_wm.datasets.nuscenes import read_logs
    from drive_wm.scene import SceneConfig

    def enough() -> Any:
        taken, log = 0, first
        while log is not None and taken < samples:
            taken += len(log.keyframes)
            yield log
            log = next(logs, None)

    began = perf_counter()
    logs = read_logs(root, version, split)
    first: Any = next(logs)
    loaded = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_cache(enough(), Path(folder), "nuscenes", version, split, SceneConfig(), lambda *news: None)
        row = _row("drive_wm", manifest.samples, loaded - began, perf_counter() - loaded)
        return [row, {"reader": "drive_wm's cache", **read_from_cache(open_cache(Path(folder)), samples)}]


def read_from_cache(cache: Any, samples: int) -> dict[str, Any]:
    """Samples per second of processor time in batches of 16 in random order, from files that were opened before."""
    import torch

    from drive_wm.datasets.cache import read_samples

    torch.set_num_threads(1)
    order = torch.randperm(cache.samples, generator=torch.Generator().manual_seed(0))[:samples].tolist()
    batches = [[(cache, j) for j in order[start : start + BATCH]] for start in range(0, len(order), BATCH)]
    for batch in batches:
        read_samples(batch)
    began = process_time()
    for batch in batches:
        read_samples(batch)
    seconds = process_time() - began
    return {"n": len(order), "samples_per_second": len(order) / seconds, "seconds": seconds}


def read_with_devkit(root: Path, version: str, split: str, samples: int) -> list[dict[str, Any]]:
    """PredictHelper and StaticLayerRasterizer over samples spread evenly over the split; global frame, its quickest."""
    import numpy as np
    from nuscenes.nuscenes import NuScenes
    from nuscenes.prediction import PredictHelper
    from nuscenes.prediction.input_representation.static_layers import StaticLayerRasterizer

    from drive_wm.datasets.nuscenes_tables import split_samples

    began = perf_counter()
    helper = PredictHelper(NuScenes(version, str(root), verbose=False))
    raster = StaticLayerRasterizer(
        helper, resolution=CELL_M, meters_ahead=AHEAD_M, meters_behind=BEHIND_M, meters_left=BESIDE_M, meters_right=BESIDE_M
    )
    tokens = [token for tokens in split_samples(root, version, split).values() for token in tokens]
    tokens = [tokens[i] for i in np.linspace(0, len(tokens) - 1, min(samples, len(tokens))).astype(int)]
    loaded, without_raster = perf_counter(), 0
    for token in tokens:
        shot = helper.data.get("sample_data", helper.data.get("sample", token)["data"]["LIDAR_TOP"])
        ego_m = np.array(helper.data.get("ego_pose", shot["ego_pose_token"])["translation"][:2])
        boxes = helper.get_annotations_for_sample(token)
        boxes.sort(key=lambda box: float(np.linalg.norm(np.array(box["translation"][:2]) - ego_m)))
        for box in boxes[:OTHERS]:
            helper.get_past_for_agent(box["instance_token"], token, HISTORY_S, in_agent_frame=False)
            helper.get_future_for_agent(box["instance_token"], token, FUTURE_S, in_agent_frame=False)
        try:
            raster.make_representation(boxes[0]["instance_token"], token)
        except (IndexError, AttributeError, TypeError):  # nobody there, or the devkit's own failures on borders just touched
            without_raster += 1
    row = _row("nuscenes-devkit", len(tokens), loaded - began, perf_counter() - loaded)
    return [row | {"without_raster": without_raster}]


def read_with_trajdata(root: Path, version: str, split: str, samples: int) -> list[dict[str, Any]]:
    """A dataset around the ego of every sample of the split, cached first, then at most so many items of it read: without the
    map's lines, and with them.
    """
    trajdata: Any = importlib.import_module("trajdata")
    raw: Any = importlib.import_module("trajdata.dataset_specific.nusc.nusc_dataset").NuscDataset
    utils: Any = importlib.import_module("trajdata.dataset_specific.nusc.nusc_utils")
    mended = mend_lanes(utils)
    utils.get_ego_pose = ego_pose_at_lidar
    spent_s = {"load_dataset_obj": 0.0, "cache_maps": 0.0}
    for name in spent_s:
        setattr(raw, name, _timed(getattr(raw, name), name, spent_s))
    name = TRAJDATA_NAMES[version]
    width = int((AHEAD_M + BEHIND_M) / CELL_M)

    def dataset(folder: str, **more: Any) -> Any:
        return trajdata.UnifiedDataset(
            desired_data=[f"{name}-{split}"], data_dirs={name: str(root)}, cache_location=folder, num_workers=0,
            centric="agent", ego_only=True, max_neighbor_num=OTHERS,
            history_sec=(0.0, HISTORY_S), future_sec=(0.0, FUTURE_S), incl_raster_map=True,
            raster_map_params={"px_per_m": round(1 / CELL_M), "map_size_px": width, "offset_frac_xy": (-0.4, 0.0)}, **more,
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        began = perf_counter()
        without = dataset(folder)
        load_s = sum(spent_s.values())
        caching_s = perf_counter() - began - load_s
        rows = [_trajdata_row("trajdata", without, samples, load_s, caching_s)]
        began = perf_counter()
        lines = {"incl_road_lanes": True, "incl_ped_crosswalks": True, "incl_road_areas": False, "incl_ped_walkways": False}
        with_lines = dataset(folder, incl_vector_map=True, vector_map_params=lines, extras={"lines": lines_around})
        # The cache is there; what this takes is reading the maps of whole locations.
        load_s += perf_counter() - began
        rows.append(_trajdata_row("trajdata, with lanes", with_lines, samples, load_s, caching_s))
    return [row | {"lanes_mended": len(mended)} for row in rows]


def _trajdata_row(reader: str, dataset: Any, samples: int, load_s: float, caching_s: float) -> dict[str, Any]:
    """Read items spread evenly. The cache was made of the whole split: each item carries its own share of that."""
    items = range(0, len(dataset), max(1, len(dataset) // samples))
    began = perf_counter()
    for item in items:
        dataset[item]
    return _row(reader, len(items), load_s, perf_counter() - began + caching_s * len(items) / len(dataset))


def lines_around(element: Any) -> Any:
    """Points (N, 2), in the ego frame, of the lanes and crosswalks that come within the raster's half diagonal and 10 m of its
    middle: what trajdata's map finds, as it keeps them.
    """
    import numpy as np

    crosswalk = importlib.import_module("trajdata.maps.vec_map_elements").MapElementType.PED_CROSSWALK
    ego_from_world = element.agent_from_world_tf
    middle = np.linalg.inv(ego_from_world) @ [(AHEAD_M - BEHIND_M) / 2, 0.0, 1.0]
    reach_m = 10.0 + float(np.hypot((AHEAD_M + BEHIND_M) / 2, BESIDE_M))
    lanes = element.vec_map.get_lanes_within(np.array([middle[0], middle[1], 0.0]), reach_m)
    zebras = element.vec_map.get_areas_within(middle[:2], crosswalk, reach_m)
    points = [np.zeros((0, 2)), *(lane.center.xy for lane in lanes), *(zebra.polygon.xy for zebra in zebras)]
    return np.concatenate(points) @ ego_from_world[:2, :2].T + ego_from_world[:2, 2]


def ego_pose_at_lidar(tables: Any, frame: Any) -> Any:
    """Where the ego is when LIDAR_TOP is taken; trajdata asks CAM_FRONT, which a dataroot without images lacks."""
    return tables.get("ego_pose", tables.get("sample_data", frame["data"]["LIDAR_TOP"])["ego_pose_token"])


def mend_lanes(maps: Any) -> list[str]:
    """Let trajdata read lanes of which it cannot tell left from right, as strips of 3 m; the tokens of those it meets.

    Without this it reads no map at all where one outline is unusual or two points of a centreline nearly coincide.
    """
    import numpy as np

    extract, mended = maps.extract_lane_and_edges, []

    def forgiving(nusc_map: Any, record: Any) -> Any:
        try:
            return extract(nusc_map, record)
        except ValueError:
            mended.append(record["token"])
            middle = maps.extract_lane_center(nusc_map, record)
            way = np.gradient(middle[:, :2], axis=0)
            aside = 1.5 * np.stack([-way[:, 1], way[:, 0]], axis=1) / np.linalg.norm(way, axis=1, keepdims=True).clip(1e-9)
            return middle, middle[:, :2] + aside, middle[:, :2] - aside

    maps.extract_lane_and_edges = forgiving
    return mended


def _timed(method: Any, name: str, spent_s: dict[str, float]) -> Any:
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = perf_counter()
        result = method(*args, **kwargs)
        spent_s[name] += perf_counter() - began
        return result

    return timed


def _row(reader: str, samples: int, load_s: float, seconds: float) -> dict[str, Any]:
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
    speed = {"samples_per_second": samples / seconds, "seconds": seconds, "load_seconds": load_s}
    return {"reader": reader, "n": samples, **speed, "peak_mib": peak_mib}


READERS = {"drive_wm": read_with_drive_wm, "nuscenes-devkit": read_with_devkit, "trajdata": read_with_trajdata}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Read nuScenes once, and print how fast that was.")
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("root", type=Path)
    parser.add_argument("version")
    parser.add_argument("split")
    parser.add_argument("samples", type=int)
    options = vars(parser.parse_args())
    sys.stdout, shown = sys.stderr, sys.stdout  # what the libraries print are not the rows
    print(json.dumps(READERS[options.pop("reader")](**options)), file=shown)
