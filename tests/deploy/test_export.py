"""Weights to bundle: the gate between torch and ONNX Runtime, what the contract says, and what is refused."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from drive_wm.deploy import export as exporting
from drive_wm.deploy.bench import bench_tick
from drive_wm.deploy.bundle import open_bundle, self_test
from drive_wm.deploy.export import ExportReport, export
from drive_wm.deploy.onnx_graph import check_graph
from drive_wm.deploy.parity import ParityError
from drive_wm.deploy.runtime import OnnxRuntime
from drive_wm.errors import InputError
from drive_wm.planners.lattice import LatticeConfig
from drive_wm.scene import Scene


def test_the_graph_equals_torch_and_chooses_the_same_plans(report: ExportReport, golden: list[Scene]) -> None:
    largest = {row.name: row.largest for row in report.differences}
    assert largest["candidate"] == 0
    assert max(largest.values()) <= 1e-4
    assert report.golden == len(golden) == 6


def test_a_bundle_opens_and_proves_itself(report: ExportReport) -> None:
    bundle = open_bundle(report.path)
    assert all(row.largest <= row.tolerance for row in self_test(bundle, OnnxRuntime(bundle.graph)))
    assert {path.name for path in report.path.iterdir()} == {"planner.onnx", "contract.json", "golden.npz", "manifest.json"}


def test_the_contract_describes_every_tensor_and_the_origin(report: ExportReport, weights: str) -> None:
    contract = open_bundle(report.path).contract
    graph = onnx.load(report.path / "planner.onnx").graph
    assert [spec.name for spec in contract.inputs] == [value.name for value in graph.input]
    assert [spec.name for spec in contract.outputs] == [value.name for value in graph.output]
    for spec, value in zip((*contract.inputs, *contract.outputs), (*graph.input, *graph.output), strict=True):
        assert spec.shape == tuple(d.dim_value for d in value.type.tensor_type.shape.dim), spec.name
        assert spec.dtype in ("float32", "int32", "bool")
    units = {spec.name: spec.unit for spec in (*contract.inputs, *contract.outputs)}
    assert units["tracks.velocity_mps"] == "m/s"
    assert units["position_m"].startswith("m, of the rear axle")
    masks = {spec.name for spec in contract.inputs if spec.dtype == "bool"}
    assert all(unit for name, unit in units.items() if name not in masks)
    assert contract.weights.sha256 == hashlib.sha256(Path(weights).read_bytes()).hexdigest()


@pytest.fixture
def export_judged_by(
    report: ExportReport, weights: str, golden: list[Scene], lattice: LatticeConfig, monkeypatch: pytest.MonkeyPatch
) -> Callable[[type[OnnxRuntime], Path], ExportReport]:
    """export_judged_by(runtime, out): the good graph again, as another runtime answers it."""
    graph = onnx.load(report.path / "planner.onnx")
    monkeypatch.setattr(exporting, "lower", lambda planner, inputs: graph)

    def again(runtime: type[OnnxRuntime], out: Path) -> ExportReport:
        monkeypatch.setattr(exporting, "OnnxRuntime", runtime)
        return export(weights, out, golden, lattice)

    return again


def test_a_graph_that_differs_is_refused_and_leaves_the_old_bundle(
    report: ExportReport, export_judged_by: Callable[[type[OnnxRuntime], Path], ExportReport], tmp_path: Path
) -> None:
    """A runtime that answers a millimetre off."""

    class Off(OnnxRuntime):
        def run(self, inputs):
            found = super().run(inputs)
            return found | {"position_m": found["position_m"] + np.float32(1e-3)}

    before = {path.name: path.read_bytes() for path in report.path.iterdir()}
    for out in (report.path, tmp_path / "new"):
        with pytest.raises(ParityError, match=r"position_m by 0.00.*allowed 0.0001"):
            export_judged_by(Off, out)
    assert {path.name: path.read_bytes() for path in report.path.iterdir()} == before
    assert not list(tmp_path.iterdir())


def test_another_plan_is_refused_too(
    export_judged_by: Callable[[type[OnnxRuntime], Path], ExportReport], tmp_path: Path
) -> None:
    class Other(OnnxRuntime):
        def run(self, inputs):
            found = super().run(inputs)
            return found | {"candidate": found["candidate"] ^ 1}

    with pytest.raises(ParityError, match="candidate by 1"):
        export_judged_by(Other, tmp_path / "new")


@pytest.mark.parametrize("name", ["planner.onnx", "contract.json", "golden.npz"])
def test_a_changed_file_is_named(report: ExportReport, tmp_path: Path, name: str) -> None:
    for path in report.path.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match=name):
        open_bundle(tmp_path)


def graph_of(op: str, kind: int, shape: list[int | str]) -> onnx.ModelProto:
    tensors = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "g", tensors[:1], tensors[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


BARRED = {  # a graph that TensorRT or the contract cannot take, what the message names
    "operator": (graph_of("Hardmax", TensorProto.FLOAT, [3]), "Hardmax"),
    "int64 at the border": (graph_of("Neg", TensorProto.INT64, [3]), "x, y"),
    "open shape": (graph_of("Neg", TensorProto.FLOAT, ["n"]), "no fixed shape"),
}


@pytest.mark.parametrize(("graph", "named"), BARRED.values(), ids=BARRED)
def test_barred_graphs_are_named(graph: onnx.ModelProto, named: str) -> None:
    with pytest.raises(InputError, match=named):
        check_graph(graph)


def test_a_tick_is_measured_beside_torch(report: ExportReport) -> None:
    rows = bench_tick(report.path, runs=3, threads=1)
    assert [row["runtime"] for row in rows] == ["onnxruntime", "torch"]
    assert "slice" not in rows[0]
    assert rows[0]["n"] == 3
    assert 0 < rows[0]["p50_ms"] <= rows[0]["p99_ms"]
    assert rows[0]["ratio_to_torch"] == pytest.approx(rows[1]["p50_ms"] / rows[0]["p50_ms"])
    json.dumps(rows)
