"""Lower the planner to one static ONNX graph, and check that TensorRT can take it."""

from collections import Counter
from collections.abc import Mapping

import onnx
import onnx_ir
import torch
from onnx import TensorProto
from onnx_ir.passes import common
from onnxscript import optimizer, rewriter
from onnxscript.rewriter.rules import common as rules
from torch import Tensor, nn

from drive_wm.errors import InputError

OPSET = 20  # 23 emits Attention, which TensorRT does not build
FOLD_BYTES = 1 << 20
MAX_BYTES = 2 << 30  # protobuf's own limit; beyond it weights need a second file

# Operators that TensorRT's parser takes with static shapes. NonZero, Loop, If, Scan, Scatter* and Attention stay out.
_ALLOWED = """
    Abs Add And ArgMax ArgMin Atan Cast Ceil Clip Concat Constant ConstantOfShape Conv Cos CumSum Div Einsum Equal Erf Exp
    Expand Flatten Floor Gather GatherElements Gemm Greater GreaterOrEqual GridSample Identity IsInf IsNaN
    LayerNormalization Less LessOrEqual Log MatMul Max Min Mod Mul Neg Not Or Pad Pow Range Reciprocal ReduceMax
    ReduceMean ReduceMin ReduceSum Relu Reshape Round Shape Sigmoid Sign Sin Slice Softmax Softplus Split Sqrt Squeeze
    Sub Sum Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor
"""
ALLOWED = frozenset(_ALLOWED.split())
# Of the rewriter's rules; its default set has one that compares every pair of slices, minutes on a graph of this size.
RULES = (
    rules.add_0_rule,
    rules.cast_cast_rule,
    rules.cast_constant_of_shape_rule,
    rules.collapse_slice_rule,
    rules.collapse_slice2_rule,
    rules.div_by_1_rule,
    *rules.expand_before_binary_op_rules,
    rules.materialize_reshape_shape_rule,
    rules.mul_by_1_rule,
    rules.no_op_cast_rule,
    rules.no_op_expand_rule,
    rules.no_op_transpose_rule,
    rules.reshape_reshape_rule,
    rules.squeeze_reshape_1d_rule,
    rules.sub_0_rule,
    rules.transpose_transpose_rule,
    rules.two_reshapes_matmul_reshape_rule,
    rules.unsqueeze_unsqueeze_rule,
)
IO_TYPES = {TensorProto.FLOAT: "float32", TensorProto.INT32: "int32", TensorProto.BOOL: "bool"}


def lower(planner: nn.Module, inputs: Mapping[str, Tensor]) -> onnx.ModelProto:
    """The module as an ONNX model, folded and without the inputs that it never reads."""
    with torch.no_grad():
        traced = torch.export.export(planner, (dict(inputs),), strict=False)
        names = list(planner(inputs))
    program = torch.onnx.export(traced, (), dynamo=True, opset_version=OPSET, output_names=names, optimize=False, verbose=False)
    assert program is not None
    model = program.model
    for value, name in zip(model.graph.inputs, inputs, strict=True):
        value.name = name
    simplify(model)
    read = [value for value in model.graph.inputs if value.uses() or value.is_graph_output()]
    model.graph.inputs[:] = read
    return onnx_ir.to_proto(model)


def simplify(model: onnx_ir.Model) -> None:
    """Fold constants, apply the rewriter's rules and join equal expressions, in place."""
    common.InlinePass()(model)
    common.ShapeInferencePass(data_prop=False)(model)  # with data_prop onnx takes some lists of numbers for shapes
    for _ in range(2):
        optimizer.fold_constants(model, input_size_limit=FOLD_BYTES, output_size_limit=FOLD_BYTES)
        rewriter.rewrite(model, RULES)
    onnx_ir.passes.Sequential(
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedFunctionsPass(),
        common.RemoveUnusedOpsetsPass(),
        common.NameFixPass(),
        common.ShapeInferencePass(data_prop=False),
        # The exporter notes the source line of every node, with the folders of the machine it ran on.
        common.ClearMetadataAndDocStringPass(),
    )(model)


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
