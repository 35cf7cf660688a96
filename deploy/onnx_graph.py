"""Lower the planner to one static ONNX graph, and check that TensorRT can take it."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime
import torch
from onnx import TensorProto
from torch import Tensor, nn

from drive_wm.errors import InputError

OPSET = 20  # 23 emits Attention, which TensorRT does not build
MAX_BYTES = 2 << 30  # protobuf's own limit; beyond it weights need a second file

# Operators that TensorRT's parser takes with static shapes. NonZero, Loop, If, Scan, Scatter* and Attention stay out.
_ALLOWED = """
    Abs Add And ArgMax ArgMin Atan Cast Ceil Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos CumSum Div Einsum Equal
    Erf Exp Expand Flatten Floor Gather GatherElements Gemm Greater GreaterOrEqual GridSample Identity IsInf IsNaN
    LayerNormalization Less LessOrEqual Log MatMul Max Min Mod Mul Neg Not Or Pad Pow Range Reciprocal ReduceMax
    ReduceMean ReduceMin ReduceSum Relu Reshape Round Shape Sigmoid Sign Sin Slice Softmax Softplus Split Sqrt Squeeze
    Sub Sum Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor
"""
ALLOWED = frozenset(_ALLOWED.split())
IO_TYPES = {TensorProto.FLOAT: "float32", TensorProto.INT32: "int32", TensorProto.BOOL: "bool"}


def lower(planner: nn.Module, inputs: Mapping[str, Tensor]) -> onnx.ModelProto:
    """The module as an ONNX model, folded and without the inputs that it never reads.

    By tracing: the planner holds no branch on data, and tracing its unrolled steps takes seconds where torch.export and its
    decompositions take a minute. The parity gate judges the result.
    """
    names = tuple(inputs)
    with TemporaryDirectory() as folder, torch.no_grad(), warnings.catch_warnings():
        traced = Path(folder) / "traced.onnx"
        # Sizes become constants, as a static graph needs; and torch would rather export in the slow way.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # ONNX Runtime folds what torch does not
        outputs = list(planner(inputs))
        torch.onnx.export(
            _Positional(planner, names),
            tuple(inputs.values()),
            traced,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(names),
            output_names=outputs,
            do_constant_folding=False,
        )
        return folded(traced)


def folded(traced: Path) -> onnx.ModelProto:
    """A traced graph file with what is constant computed, by ONNX Runtime's rewrites that stay within standard operators."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(traced.with_name("folded.onnx"))
    onnxruntime.InferenceSession(traced, options, providers=["CPUExecutionProvider"])
    model = onnx.load(options.optimized_model_filepath)
    read = {name for node in model.graph.node for name in node.input}
    kept = [value for value in model.graph.input if value.name in read]
    del model.graph.input[:], model.graph.value_info[:]
    model.graph.input.extend(kept)
    standard = [opset for opset in model.opset_import if not opset.domain]
    del model.opset_import[:]
    model.opset_import.extend(standard)
    for node in model.graph.node:
        node.ClearField("doc_string")  # the exporter notes source lines, with the folders of the machine it ran on
    return onnx.shape_inference.infer_shapes(model)


class _Positional(nn.Module):
    """A module of named tensors as one of tensors in order."""

    def __init__(self, planner: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.planner, self.names = planner, names

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.planner(dict(zip(self.names, tensors, strict=True))).values())


def check_graph(model: onnx.ModelProto) -> None:
    """Raise InputError unless the model is whole, one file, static, free of int64 at its border and of barred operators."""
    if model.ByteSize() >= MAX_BYTES:
        raise InputError(f"The graph takes {model.ByteSize()} bytes; needed: less than {MAX_BYTES}. Train a narrower model.")
    onnx.checker.check_model(model, full_check=True)
    barred = sorted({_operator(node) for node in model.graph.node} - ALLOWED)
    if barred:
        raise InputError(
            f"The graph needs operators that TensorRT may not take: {', '.join(barred)}. "
            "Write this part of the planner with gather, where, topk, cumsum or matmul."
        )
    border = [*model.graph.input, *model.graph.output]
    wrong = [v.name for v in border if v.type.tensor_type.elem_type not in IO_TYPES]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: needed {', '.join(IO_TYPES.values())} at the graph's border. Cast inside it.")
    dynamic = [v.name for v in (*border, *model.graph.value_info) if not _is_static(v)]
    if dynamic:
        raise InputError(f"{dynamic[0]} and {len(dynamic) - 1} more have no fixed shape. Index with static sizes only.")


def operators(model: onnx.ModelProto) -> dict[str, int]:
    """How often each operator occurs, the most frequent first."""
    return dict(Counter(_operator(node) for node in model.graph.node).most_common())


def _operator(node: onnx.NodeProto) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def _is_static(value: onnx.ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    return tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)
