"""The one door to ONNX Runtime's int8 matrix product, which uses VNNI instructions where the processor has them."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int8]
ProbeCodes = NDArray[np.uint8]
FloatRows = NDArray[np.float32]

ZERO = 128
"""The probe code that means 0: products of unsigned probes with signed rows are the fast ones."""

Product = Callable[[ProbeCodes, np.float32, NDArray[np.float32]], FloatRows]
"""(probe codes (q, d), the probes' scale, a bias for each row (n,)) -> scale * row scale * integer product + bias."""

_OPSET = 13
_IR_VERSION = 8


def int8_product(codes: Codes, scales: NDArray[np.float32]) -> Product:
    """Return the product with these rows (n, d) of int8 codes, whose real values are code times the row's scale (n,).

    The rows are copied into the layout that the processor multiplies from; nothing of the arguments is kept. It runs on
    the calling thread, and several threads may call it at once.
    """
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena for each block of rows would hold on to each block's largest batch
    options.log_severity_level = 3
    session = runtime.InferenceSession(_model(codes, scales), options, providers=["CPUExecutionProvider"])
    if hasattr(session, "_model_bytes"):
        session._model_bytes = None  # noqa: SLF001 - it would hold the codes a second time, for building it again

    def product(probes: ProbeCodes, scale: np.float32, bias: NDArray[np.float32]) -> FloatRows:
        (scores,) = session.run(None, {"probes": probes, "scale": np.asarray(scale), "bias": bias})
        result: FloatRows = scores
        return result

    return product


@functools.cache
def int8_works() -> bool:
    """Tell whether products are exact here: older processors add pairs of them in 16 bits, which can overflow."""
    try:
        worst = np.array([[127] * 64, [-127] * 64, [127, -127] * 32], dtype=np.int8)
        probes = np.array([[255] * 64, [1] * 64, [255, 1] * 32], dtype=np.uint8)
        product = int8_product(worst, np.ones(3, np.float32))
        found = product(probes, np.float32(1), np.zeros(3, np.float32))
    except ImportError:
        return False
    wanted = (probes.astype(np.int64) - ZERO) @ worst.T.astype(np.int64)
    return np.array_equal(found, wanted)


def _model(codes: Codes, scales: NDArray[np.float32]) -> bytes:
    """Return the graph of one product; the rows are a constant of it, so that they are laid out once."""
    helper, numbers, types = (
        importlib.import_module(name) for name in ("onnx.helper", "onnx.numpy_helper", "onnx.onnx_pb")
    )
    kinds = types.TensorProto
    rows, dimension = codes.shape

    def tensor(name: str, kind: Any, shape: list[Any]) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    product = helper.make_node(
        "MatMulIntegerToFloat",
        ["probes", "rows", "scale", "scales", "zero", "", "bias"],
        ["scores"],
        domain="com.microsoft",
    )
    graph = helper.make_graph(
        [product],
        "int8 product",
        [
            tensor("probes", kinds.UINT8, ["q", dimension]),
            tensor("scale", kinds.FLOAT, []),
            tensor("bias", kinds.FLOAT, [rows]),
        ],
        [tensor("scores", kinds.FLOAT, ["q", rows])],
        [
            numbers.from_array(np.ascontiguousarray(codes.T), "rows"),
            numbers.from_array(np.asarray(scales, dtype=np.float32), "scales"),
            numbers.from_array(np.array(ZERO, dtype=np.uint8), "zero"),
        ],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString()
    return model
