"""The limits of the machine: how fast it streams memory and multiplies matrices. `python -m tests.benchmarks.machine`.

Each limit is the best of several rounds, since it is what the machine can do when nobody disturbs it. Threads are
Python's, each with libraries of one thread, as the index works.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tests.benchmarks.command import Options, run
from tests.benchmarks.results import Result

_STREAM_BYTES = 512 * 2**20
_SIDE = 2048
_INT8_ROWS, _INT8_DIMENSION = 2048, 512


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes read a second, and operations of float32 and int8 products a second (two for each multiplication).

    int8_ops_per_s is 0 where no library for it is installed.
    """

    threads: int
    read_bytes_per_s: float
    float32_ops_per_s: float
    int8_ops_per_s: float

    def search_s(self, faces: int, probes: int, dimension: int = 512) -> float:
        """Return the least time of an exact float32 search: that of reading all rows once, or of multiplying them."""
        reading = 4.0 * dimension * faces / self.read_bytes_per_s
        return max(reading, 2.0 * dimension * faces * probes / self.float32_ops_per_s)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def measure_limits(threads: int, rounds: int = 5) -> Limits:
    """Measure all limits with so many threads."""
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        together = _Together(pool, threads, rounds)
        return Limits(
            threads,
            _read_limit(together),
            together.best(2.0 * _SIDE**3, [_float32_product() for _ in range(threads)]),
            _int8_limit(together),
        )


def measure(options: Options) -> Iterator[Result]:
    """Measure how fast this machine streams memory and multiplies matrices."""
    for threads in sorted({1, cores()}):
        limits = measure_limits(threads, options.rounds)
        figures = {
            "read_gb_per_s": round(limits.read_bytes_per_s / 1e9, 2),
            "float32_gflop_per_s": round(limits.float32_ops_per_s / 1e9, 1),
            "int8_gop_per_s": round(limits.int8_ops_per_s / 1e9, 1),
        }
        yield Result(f"machine/{threads}", f"limits with {threads} thread{'s' if threads > 1 else ''}", figures=figures)


@dataclass(frozen=True, slots=True)
class _Together:
    pool: ThreadPoolExecutor
    threads: int
    rounds: int

    def best(self, amount: float, works: list[Callable[[], object]]) -> float:
        """Return the greatest amount a second that all threads reach together, each doing `amount`."""
        rates = []
        for _ in range(self.rounds + 1):
            begun = time.perf_counter()
            for done in [self.pool.submit(work) for work in works]:
                done.result()
            rates.append(amount * self.threads / (time.perf_counter() - begun))
        return max(rates[1:])


def _read_limit(together: _Together) -> float:
    """Return the best of several readers: which one is fastest depends on the processor."""
    numbers = [np.ones(_STREAM_BYTES // 4, np.float32) for _ in range(together.threads)]
    readers: tuple[Callable[[NDArray[np.float32]], object], ...] = (
        lambda array: array @ array,
        lambda array: array.view(np.int64).max(),
        lambda array: array.reshape(-1, 512) @ np.ones(512, np.float32),
    )
    return max(together.best(_STREAM_BYTES, [partial(reader, array) for array in numbers]) for reader in readers)


def _float32_product() -> Callable[[], object]:
    left, right = (np.full((_SIDE, _SIDE), value, np.float32) for value in (0.5, 0.25))
    out = np.empty((_SIDE, _SIDE), np.float32)
    return lambda: np.matmul(left, right, out=out)


def _int8_limit(together: _Together) -> float:
    operations = 2.0 * _INT8_ROWS * _INT8_ROWS * _INT8_DIMENSION
    makers = (_numkong_product, _onnxruntime_product)
    products = [[maker() for _ in range(together.threads)] for maker in makers]
    usable = [[work for work in works if work is not None] for works in products]
    return max((together.best(operations, works) for works in usable if works), default=0.0)


def _int8_rows() -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 127, (_INT8_ROWS, _INT8_DIMENSION))


def _numkong_product() -> Callable[[], object] | None:
    try:
        numkong = import_module("numkong")
    except ImportError:
        return None
    rows = _int8_rows().astype(np.int8)
    packed = numkong.dots_pack(rows, dtype="int8")
    return lambda: numkong.dots_packed(rows, packed)


def _onnxruntime_product() -> Callable[[], object] | None:
    try:
        runtime = import_module("onnxruntime")
        from onnx import TensorProto, helper
    except ImportError:
        return None
    shape = [_INT8_ROWS, _INT8_DIMENSION]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "product",
        [
            helper.make_tensor_value_info("a", TensorProto.UINT8, shape),
            helper.make_tensor_value_info("b", TensorProto.INT8, shape[::-1]),
        ],
        [helper.make_tensor_value_info("c", TensorProto.INT32, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = {"a": _int8_rows().astype(np.uint8), "b": np.ascontiguousarray(_int8_rows().T.astype(np.int8))}
    return lambda: session.run(None, inputs)


if __name__ == "__main__":
    run(measure, faces=())
