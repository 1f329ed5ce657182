"""Published graphs are opened to batches without changing what they compute."""

import numpy as np
import onnx
import pytest
from ersgallery_server.faces.graphs import open_batch
from ersgallery_server.faces.sessions import Inference, Session
from onnx import TensorProto, helper, numpy_helper


def model(nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], shape: list[int], out: list[int]) -> bytes:
    """Build a model as some exporters do: fixed batch, weights and a dangling name among the inputs."""
    inputs = [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in weights]
    inputs.append(helper.make_tensor_value_info("dangling", TensorProto.FLOAT, [3]))
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, out)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=8)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def weight(name: str, values: object, kind: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, kind), name)


def test_a_model_of_batch_one_runs_batches_with_the_same_results() -> None:
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Reshape", ["data", "flat"], ["rows"]),
        helper.make_node("Reshape", ["packed", "square"], ["matrix"]),
        helper.make_node("MatMul", ["rows", "matrix"], ["out"]),
    ]
    weights = [
        weight("flat", [1, -1], np.int64),
        weight("square", [1, 12, 2], np.int64),
        weight("packed", rng.normal(size=24)),
    ]
    # The reshape of the weight keeps its leading 1: it is no batch.
    opened = Session(open_batch(model(nodes, weights, [1, 3, 2, 2], [1, 1, 2])), Inference())
    batch = rng.normal(size=(5, 3, 2, 2)).astype(np.float32)
    whole = opened.run(batch)[0].reshape(5, 2)
    expected = batch.reshape(5, 12) @ numpy_helper.to_array(weights[2]).reshape(12, 2)
    assert np.allclose(whole, expected, atol=1e-5)


def test_a_shape_held_by_a_constant_node_is_opened_too() -> None:
    nodes = [
        helper.make_node("Constant", [], ["flat"], value=weight("flat", [1, -1], np.int64)),
        helper.make_node("Reshape", ["data", "flat"], ["out"]),
    ]
    opened = Session(open_batch(model(nodes, [], [1, 2, 2, 2], [1, 8])), Inference())
    assert opened.run(np.zeros((4, 2, 2, 2), np.float32))[0].shape == (4, 8)


def test_height_and_width_are_freed_when_asked() -> None:
    nodes = [helper.make_node("MaxPool", ["data"], ["out"], kernel_shape=[2, 2], strides=[2, 2])]
    serialised = model(nodes, [], [1, 3, 8, 8], [1, 3, 4, 4])
    opened = Session(open_batch(serialised, dynamic_size=True), Inference())
    assert opened.run(np.zeros((1, 3, 6, 10), np.float32))[0].shape == (1, 3, 3, 5)
    fixed = Session(open_batch(serialised), Inference())
    with pytest.raises(Exception, match="invalid dimensions"):
        fixed.run(np.zeros((1, 3, 6, 10), np.float32))


def test_a_block_size_on_a_scale_of_one_number_is_dropped() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["small", "scale", "zero"], ["bias"], axis=0, block_size=4),
        helper.make_node("Add", ["data", "bias"], ["out"]),
    ]
    weights = [weight("small", [1, 2, 3, 4], np.int8), weight("scale", [0.5]), weight("zero", [0], np.int8)]
    opened = Session(open_batch(model(nodes, weights, [1, 4], [1, 4])), Inference())
    assert opened.run(np.zeros((2, 4), np.float32))[0].tolist() == [[0.5, 1.0, 1.5, 2.0]] * 2
