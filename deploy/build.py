"""Compile a bundle's graph ahead of time with TensorRT for RTX; needs no GPU, so it is also the proof that it compiles."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from drive_wm.deploy.bundle import open_bundle
from drive_wm.errors import InputError
from drive_wm.files import write_atomically

CAPABILITIES = ("SM89",)


@dataclass(frozen=True)
class EngineKey:
    """All that an engine depends on; stands beside it as OUT.json, and an engine with another key is not this one."""

    engine_sha256: str
    graph_sha256: str
    tensorrt_rtx: str
    capabilities: tuple[str, ...]
    tf32: bool  # always off: the gate was passed in full FP32


@dataclass(frozen=True)
class BuildReport:
    """What was built."""

    path: Path
    key: EngineKey
    size: int  # bytes
    layers: int
    seconds: float


def build(bundle: Path, out: Path, capabilities: Sequence[str] = CAPABILITIES) -> BuildReport:
    """Write the engine `out` and its key beside it.

    capabilities: compute capabilities of the target GPUs, for example SM86 or SM120. Raises InputError where TensorRT for
    RTX is not installed, does not know a capability or refuses the graph; nothing is written then.
    """
    rtx = _library()
    unknown = sorted(set(capabilities) - set(_capabilities(rtx)))
    if unknown or not capabilities:
        raise InputError(f"Compute capability {', '.join(unknown) or 'none'}; known: {', '.join(_capabilities(rtx))}.")
    graph = open_bundle(bundle).graph
    started = time.perf_counter()
    engine, layers = _compile(rtx, graph, capabilities)
    key = EngineKey(_sha256(engine), _sha256(graph), rtx.__version__, tuple(capabilities), tf32=False)
    write_atomically(out, engine)
    write_atomically(out.with_name(f"{out.name}.json"), json.dumps(asdict(key), indent=1) + "\n")
    return BuildReport(out, key, len(engine), layers, time.perf_counter() - started)


def _compile(rtx: ModuleType, graph: bytes, capabilities: Sequence[str]) -> tuple[bytes, int]:
    """The engine and how many layers the network has."""
    builder = rtx.Builder(rtx.Logger(rtx.Logger.ERROR))
    network = builder.create_network(1 << int(rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = rtx.OnnxParser(network, builder.logger)
    if not parser.parse(graph):
        errors = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise InputError(f"TensorRT for RTX {rtx.__version__} cannot read the graph: {errors}")
    config = builder.create_builder_config()
    config.clear_flag(rtx.BuilderFlag.TF32)
    config.num_compute_capabilities = len(capabilities)
    for number, name in enumerate(capabilities):
        config.set_compute_capability(getattr(rtx.ComputeCapability, name), number)
    layers = network.num_layers
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise InputError(f"TensorRT for RTX {rtx.__version__} cannot build the graph; its own message stands above.")
    return bytes(engine), layers


def _library() -> ModuleType:
    try:
        import tensorrt_rtx
    except (ImportError, OSError) as error:
        raise InputError(f"TensorRT for RTX does not load ({error}). Install it with `pip install 'drive-wm[rtx]'`.") from error
    return tensorrt_rtx


def _capabilities(rtx: Any) -> list[str]:
    """Names of those that can be built for without a GPU."""
    return sorted(name for name in rtx.ComputeCapability.__members__ if name.startswith("SM"))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
