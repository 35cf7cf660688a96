"""A Ray cluster of two workers, started here: prepare, planning and prediction give what one process gives, bit for bit."""

from dataclasses import replace

import pytest

from drive_wm.benchmarks.planning_run import run_planner
from drive_wm.benchmarks.prediction_run import run_prediction
from drive_wm.datasets.cache import write_cache
from drive_wm.errors import InputError
from drive_wm.scene import SceneConfig


def quiet(*news):
    pass


@pytest.fixture
def prepared(crossroads_log, tmp_path):
    """prepared(engine, workers) -> the folder of a cache of three drives that differ in their keyframes' names."""

    def write(engine="local", workers=1):
        out = tmp_path / f"{engine}-{workers}"
        logs = (
            replace(crossroads_log, name=name, keyframes=tuple(f"{name}-{i}" for i in range(len(crossroads_log.keyframes))))
            for name in ("first", "second", "third")
        )
        write_cache(logs, out, "hand", "1", "all", SceneConfig(), quiet, engine=engine, workers=workers)
        return out

    return write


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with one core each; RAY_ADDRESS names it."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # else workers wait, on a busy machine, until all others have done
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", nodes.address)
        yield nodes
        nodes.shutdown()


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


@pytest.mark.slow
def test_prepare_gives_the_same_bytes(prepared, cluster):
    here = bytes_of(prepared())
    assert len(here) == 6
    assert bytes_of(prepared("ray")) == here
    assert bytes_of(prepared(workers=2)) == here


@pytest.mark.slow
def test_planning_gives_the_same_rows(prepared, cluster):
    cache = prepared()
    here, there = (
        run_planner([cache], "constant_velocity", "synthetic", ("uniad", "strict"), False, quiet, engine=engine).table()
        for engine in ("local", "ray")
    )
    assert here == there
    assert here[0]["n"] > 0


@pytest.mark.slow
def test_prediction_gives_the_same_submission(prepared, cluster, tmp_path):
    cache = prepared()
    files = []
    for engine in ("local", "ray"):
        files.append(tmp_path / f"{engine}.json")
        run_prediction([cache], "synthetic", None, submission=files[-1], progress=quiet, engine=engine)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_size > 1000


def test_an_unknown_engine_is_told(prepared):
    cache = prepared()
    with pytest.raises(InputError, match="No engine 'slurm'; known: local, ray"):
        run_planner([cache], "constant_velocity", "synthetic", ("strict",), False, quiet, engine="slurm")
