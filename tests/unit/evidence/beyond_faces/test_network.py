"""An OCR recognizer without its last layer: on a small graph with the same ends."""

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.evidence.beyond_faces.network import DIMENSION, CharacterNetwork

CLASSES = ("一", "丁", "A")


@pytest.fixture(scope="module")
def model() -> bytes:
    """Return a graph that pools 8-pixel columns, projects them to 120 features, and then to classes."""
    rng = np.random.default_rng(0)
    weights: dict[str, NDArray[Any]] = {
        "project": rng.normal(size=(3, DIMENSION)).astype(np.float32),
        "classify": rng.normal(size=(DIMENSION, 5)).astype(np.float32),
        "rows": np.array([2], np.int64),
    }
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[48, 8], strides=[48, 8]),
        helper.make_node("Squeeze", ["pooled", "rows"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["steps"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["steps", "project"], ["transpose_51.tmp_0"]),
        helper.make_node("MatMul", ["transpose_51.tmp_0", "classify"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 48, "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(whole, {"character": "\n".join(CLASSES)})
    return whole.SerializeToString()


def test_it_names_the_characters_it_was_trained_on(model: bytes) -> None:
    assert CharacterNetwork(model).classes == frozenset(CLASSES)


def test_an_embedding_is_the_mean_feature_of_the_reading_steps(model: bytes) -> None:
    images = np.random.default_rng(1).integers(0, 256, (70, 48, 48)).astype(np.uint8)
    embedded = CharacterNetwork(model).embed(images)
    project = np.random.default_rng(0).normal(size=(3, DIMENSION)).astype(np.float32)
    # The toy projects the mean grey of each column strip, so the mean over strips is that of the whole image.
    grey = images.mean(axis=(1, 2)) / 127.5 - 1.0
    assert embedded.shape == (70, DIMENSION)
    assert embedded == pytest.approx(grey[:, None] * project.sum(axis=0)[None], abs=1e-4)


def test_an_embedding_does_not_depend_on_its_batch(model: bytes) -> None:
    images = np.random.default_rng(2).integers(0, 256, (66, 48, 48)).astype(np.uint8)
    network = CharacterNetwork(model)
    assert network.embed(images)[-1] == pytest.approx(network.embed(images[-1:])[0], abs=1e-5)


def test_progress_ends_at_the_number_of_images(model: bytes) -> None:
    told: list[tuple[int, int]] = []
    CharacterNetwork(model).embed(np.zeros((65, 48, 48), np.uint8), lambda done, total: told.append((done, total)))
    assert told == [(64, 65), (65, 65)]
