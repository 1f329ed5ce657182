"""A device that was asked for and is not there is an error, never a silent fallback."""

import numpy as np
import onnxruntime
import pytest
from ersgallery_index.errors import DeviceUnavailable
from ersgallery_server.faces.sessions import Inference, Session
from onnx import TensorProto, helper


def doubling() -> bytes:
    value = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([helper.make_node("Add", ["data", "data"], ["out"])], "g", [value], [out])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def has_cuda() -> bool:
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def test_the_cpu_runs_and_says_so() -> None:
    session = Session(doubling(), Inference("cpu", intra_op_threads=2))
    assert session.device == "cpu"
    assert session.run(np.array([1, 2], np.float32))[0].tolist() == [2.0, 4.0]


@pytest.mark.skipif(has_cuda(), reason="this ONNX Runtime has a CUDA provider")
def test_asking_for_cuda_without_its_provider_is_an_error() -> None:
    with pytest.raises(DeviceUnavailable, match="cuda:0"):
        Session(doubling(), Inference("cuda:0"))


@pytest.mark.skipif(has_cuda(), reason="this ONNX Runtime has a CUDA provider")
def test_auto_without_cuda_is_the_cpu_and_says_so() -> None:
    assert Session(doubling(), Inference("auto")).device == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not has_cuda(), reason="this ONNX Runtime has no CUDA provider")
def test_cuda_runs_and_says_so() -> None:
    session = Session(doubling(), Inference("cuda:0"))
    assert session.device == "cuda:0"
    assert session.run(np.array([1, 2], np.float32))[0].tolist() == [2.0, 4.0]


@pytest.mark.parametrize("device", ["gpu", "cuda", "cuda:", "cuda:x", "cuda:-1", "", "CPU"])
def test_a_device_that_does_not_exist_is_an_error(device: str) -> None:
    with pytest.raises(ValueError, match="cpu, cuda:N, auto"):
        Session(doubling(), Inference(device))
