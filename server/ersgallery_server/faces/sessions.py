"""Open ONNX Runtime sessions on the device that was asked for."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from ersgallery_index.backends.workers import worker_count
from ersgallery_index.errors import DeviceUnavailable
from numpy.typing import NDArray

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3


@dataclass(frozen=True, slots=True)
class Inference:
    """Where and with how many threads models run; `device` is `cpu`, `cuda:N` or `auto`.

    0 threads are as many as there are cores that this process may use.
    """

    device: str = "cpu"
    intra_op_threads: int = 1


class Session:
    """One model on one device. `run` may be called from several threads at once."""

    def __init__(self, model: bytes, inference: Inference) -> None:
        """Load a serialised model. Raises DeviceUnavailable, ValueError for an unknown device."""
        providers = _providers(inference.device)
        self._session = onnxruntime.InferenceSession(model, _options(inference), providers=providers)
        self.device = _device_of(self._session.get_providers()[0], inference.device)
        self._input = self._session.get_inputs()[0].name
        self.output_names: tuple[str, ...] = tuple(output.name for output in self._session.get_outputs())

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Run the model on a (n, c, h, w) float32 batch; one array for each of `output_names`."""
        return [np.asarray(output, np.float32) for output in self._session.run(None, {self._input: batch})]


def _options(inference: Inference) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = inference.intra_op_threads or worker_count()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Spinning threads of several sessions would starve the index thread of the same machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Quantised weights are unpacked once at load: the same results, and as fast as the float32 file.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def _providers(device: str) -> list[Any]:
    if device == "cpu":
        return [_CPU]
    match = re.fullmatch(r"cuda:(\d+)", device)
    if match is None and device != "auto":
        raise ValueError(f"device {device!r} is none of cpu, cuda:N, auto")
    if _CUDA not in onnxruntime.get_available_providers():
        if device == "auto":
            return [_CPU]
        raise DeviceUnavailable(
            f"{device} was asked for, but this ONNX Runtime has no CUDA provider; install the extra `gpu`"
        )
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: finds CUDA in NVIDIA's wheels
        onnxruntime.preload_dlls()
    return [(_CUDA, {"device_id": int(match.group(1)) if match else 0}), _CPU]


def _device_of(provider: str, asked: str) -> str:
    if provider == _CUDA:
        return asked if asked.startswith("cuda:") else "cuda:0"
    if asked.startswith("cuda:"):
        # ONNX Runtime itself falls back to the CPU when the provider's libraries or the GPU are missing.
        raise DeviceUnavailable(f"{asked} was asked for, but ONNX Runtime could not start its CUDA provider there")
    return "cpu"
