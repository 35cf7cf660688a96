"""Runtimes behind one interface: named arrays in, named arrays out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from drive_wm.deploy.planner_graph import PlannerGraph, inputs_of
from drive_wm.scene import Scene

Arrays = Mapping[str, NDArray[Any]]


class Runtime(Protocol):
    """Anything that runs the planner's graph on one scene."""

    name: str

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs by name; inputs that the graph does not read are ignored."""
        ...


class TorchRuntime:
    """The module itself, eager: the reference that the others must equal."""

    name = "torch"

    def __init__(self, planner: PlannerGraph, threads: int = 1) -> None:
        self.planner, self.threads = planner.eval(), threads

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        with torch.inference_mode(), _threads(self.threads):
            outputs = self.planner({name: torch.from_numpy(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


class OnnxRuntime:
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"

    def __init__(self, model: bytes, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # it warns of every constant that it could not fold
        # Else its threads wait busily after a tick, and whatever runs then is slower: a torch tick by a quarter.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.outputs = [value.name for value in self.session.get_outputs()]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        found = self.session.run(self.outputs, {name: inputs[name] for name in self.inputs})
        return dict(zip(self.outputs, found, strict=True))


def arrays_of(scene: Scene) -> dict[str, NDArray[Any]]:
    """A Scene (B = 1) as every runtime takes it."""
    return {name: np.ascontiguousarray(value.numpy()) for name, value in inputs_of(scene).items()}


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
