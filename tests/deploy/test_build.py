"""Bundle to engine, without a GPU; skipped where TensorRT for RTX does not load."""

import hashlib
import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from drive_wm.deploy import build as building
from drive_wm.deploy.build import build
from drive_wm.deploy.bundle import open_bundle
from drive_wm.deploy.export import ExportReport
from drive_wm.errors import InputError

rtx = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed", exc_type=(ImportError, OSError))


def graph_of(op: str) -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy")
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "g", [x], [y])
    return onnx.ModelProto.SerializeToString(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))


def opened(graph: bytes):
    """Stands for open_bundle: a bundle of which only the graph is read."""
    return lambda path: type("Opened", (), {"graph": graph})


def test_an_engine_and_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "open_bundle", opened(graph_of("Tanh")))
    report = build(tmp_path, tmp_path / "planner.engine", ["SM89", "SM120"])
    key = json.loads((tmp_path / "planner.engine.json").read_text())
    assert key["engine_sha256"] == hashlib.sha256(report.path.read_bytes()).hexdigest()
    assert key["graph_sha256"] == hashlib.sha256(graph_of("Tanh")).hexdigest()
    assert key["capabilities"] == ["SM89", "SM120"]
    assert key["tf32"] is False
    assert report.layers >= 1


REFUSED = {"unknown capability": ("Tanh", ["SM13"], "SM13; known: .*SM89"), "no operator": ("NoSuch", ["SM89"], "cannot read")}


@pytest.mark.parametrize(("op", "capabilities", "message"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_says_why_and_writes_nothing(
    op: str, capabilities: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "open_bundle", opened(graph_of(op)))
    with pytest.raises(InputError, match=message):
        build(tmp_path, tmp_path / "planner.engine", capabilities)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_whole_planner_compiles(report: ExportReport, tmp_path: Path) -> None:
    built = build(report.path, tmp_path / "planner.engine")
    assert built.layers > 1000
    assert built.key.graph_sha256 == hashlib.sha256(open_bundle(report.path).graph).hexdigest()
