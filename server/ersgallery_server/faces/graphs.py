"""Edit model graphs in memory so that ONNX Runtime runs them in batches; the files on disk stay as they are.

Published models fix their batch to 1, list weights among their inputs and carry attributes ONNX Runtime refuses. Each
edit leaves the arithmetic as it was.
"""

from collections.abc import Iterable

import onnx
from onnx import numpy_helper

_TENSOR_INPUT = 0
_SHAPE_INPUT = 1
_SCALE_INPUT = 1


def open_batch(model: bytes, *, dynamic_size: bool = False) -> bytes:
    """Return the serialised model with a free first dimension; `dynamic_size` frees height and width too.

    Weights and dangling names leave the graph's inputs, a reshape of data to a batch of 1 keeps the batch it got, and
    a block size on a per-tensor scale (which ONNX Runtime refuses) is dropped.
    """
    proto = onnx.load_model_from_string(model)
    graph = proto.graph
    weights = {weight.name: weight for weight in graph.initializer}
    _keep_data_inputs(graph, weights)
    _keep_batch_in_reshapes(graph, weights)
    _drop_needless_block_sizes(graph, weights)
    for value in graph.input:
        _free(value, (0, 2, 3) if dynamic_size else (0,))
    for value in graph.output:
        _free(value, (0, 1) if dynamic_size else (0,))
    del graph.value_info[:]
    return proto.SerializeToString()


def _keep_data_inputs(graph: onnx.GraphProto, weights: dict[str, onnx.TensorProto]) -> None:
    used = {name for node in graph.node for name in node.input}
    for value in list(graph.input):
        if value.name in weights or value.name not in used:
            graph.input.remove(value)


def _keep_batch_in_reshapes(graph: onnx.GraphProto, weights: dict[str, onnx.TensorProto]) -> None:
    shapes = dict(weights)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            shapes[node.output[0]] = node.attribute[0].t
    for node in _nodes_on_data(graph):
        if node.op_type != "Reshape" or node.input[_SHAPE_INPUT] not in shapes:
            continue
        shape = shapes[node.input[_SHAPE_INPUT]]
        wanted = numpy_helper.to_array(shape).copy()
        if wanted.size and wanted[0] == 1:
            wanted[0] = 0
            shape.CopyFrom(numpy_helper.from_array(wanted, shape.name))


def _nodes_on_data(graph: onnx.GraphProto) -> Iterable[onnx.NodeProto]:
    on_data = {value.name for value in graph.input}
    for node in graph.node:
        if on_data.intersection(node.input):
            on_data.update(node.output)
            # A reshape whose first input is a weight only prepares that weight: its 1 is no batch.
            if node.input[_TENSOR_INPUT] in on_data:
                yield node


def _drop_needless_block_sizes(graph: onnx.GraphProto, weights: dict[str, onnx.TensorProto]) -> None:
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or node.input[_SCALE_INPUT] not in weights:
            continue
        if list(weights[node.input[_SCALE_INPUT]].dims) in ([], [1]):
            for attribute in [found for found in node.attribute if found.name == "block_size"]:
                node.attribute.remove(attribute)


def _free(value: onnx.ValueInfoProto, axes: Iterable[int]) -> None:
    dimensions = value.type.tensor_type.shape.dim
    for axis in axes:
        if axis < len(dimensions):
            dimensions[axis].dim_param = "batch" if axis == 0 else f"{value.name}_{axis}"
