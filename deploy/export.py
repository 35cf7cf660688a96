"""Export: weights to a bundle, through a gate that holds ONNX Runtime to the torch reference."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from drive_wm.checkpoint import load_weights, weights_path
from drive_wm.deploy.bundle import Golden, write_bundle
from drive_wm.deploy.contract import check_arrays, contract_of
from drive_wm.deploy.golden import golden_scenes
from drive_wm.deploy.onnx_graph import OPSET, check_graph, lower, operators
from drive_wm.deploy.parity import Difference, differences, require_parity, run_all
from drive_wm.deploy.planner_graph import PlannerGraph, inputs_of
from drive_wm.deploy.runtime import OnnxRuntime, TorchRuntime, arrays_of
from drive_wm.errors import InputError
from drive_wm.planners.lattice import LatticeConfig
from drive_wm.planners.score import Weights
from drive_wm.scene import Scene

Report = Callable[[int, int, str], None]  # done, of how many, what comes next
STAGES = ("load weights", "lower to ONNX", "check the graph", "run the golden scenes", "write the bundle")


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how close the graph is to its reference."""

    path: Path
    nodes: int
    operators: dict[str, int]
    golden: int  # scenes
    differences: Sequence[Difference]


def export(
    weights: str,
    out: Path,
    golden: Sequence[Scene] | None = None,
    lattice: LatticeConfig | None = None,
    score_weights: Weights | None = None,
    report: Report = lambda done, of, note: None,
) -> ExportReport:
    """Write the bundle `out`; raises ParityError or InputError, and then leaves everything as it was.

    golden: scenes of B = 1 on which the graph must equal the reference; from the sample logs by default.
    """
    lattice, score_weights = lattice or LatticeConfig(), score_weights or Weights()
    stage = _stages(report)
    stage()
    model, origin = load_weights(weights)
    scenes = list(golden) if golden is not None else golden_scenes(model.config.scene)
    if not scenes:
        raise InputError("No golden scenes; needed: at least one, or None for those of the sample logs.")
    planner = PlannerGraph(model, lattice, score_weights).eval()
    stage()
    graph = lower(planner, inputs_of(scenes[0]))
    stage()
    check_graph(graph)
    stage()
    data = graph.SerializeToString()
    runtime = OnnxRuntime(data)
    inputs = [arrays_of(scene) for scene in scenes]
    expected = run_all(TorchRuntime(planner), inputs)
    sha256 = hashlib.sha256(weights_path(weights).read_bytes()).hexdigest()
    contract = contract_of(
        {name: inputs[0][name] for name in runtime.inputs}, expected[0], weights, sha256, origin, lattice, score_weights, OPSET
    )
    for number, (given, answer) in enumerate(zip(inputs, expected, strict=True)):
        check_arrays(contract.inputs, given, f"Golden scene {number}")
        check_arrays(contract.outputs, answer, f"Golden scene {number}")
    rows = differences(expected, run_all(runtime, inputs), contract.outputs)
    require_parity(rows, "The ONNX graph")
    stage()
    write_bundle(out, data, contract, Golden(inputs, expected))
    return ExportReport(out, len(graph.graph.node), operators(graph), len(scenes), rows)


def _stages(report: Report) -> Callable[[], None]:
    """Each call reports the next of STAGES."""
    numbered = iter(enumerate(STAGES))

    def begin() -> None:
        done, note = next(numbered)
        report(done, len(STAGES), note)

    return begin
