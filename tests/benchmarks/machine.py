"""The limits of the machine: how fast it streams memory and multiplies matrices. `python -m tests.benchmarks.machine`.

Here each limit is the best of several rounds. Where something is held against a limit, pieces of both take turns, so
that other load on the machine falls on both. Threads are Python's, each with libraries of one thread.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tests.benchmarks.command import Options, run
from tests.benchmarks.results import Result
from tests.benchmarks.rounds import in_turn

_STREAM_BYTES = 256 * 2**20
_SIDE = 2048
_INT8_ROWS, _INT8_DIMENSION = 2048, 512
_READERS: tuple[Callable[[NDArray[np.float32]], object], ...] = (
    lambda array: array @ array,
    lambda array: array.view(np.int64).max(),
    lambda array: array.reshape(-1, 512) @ np.ones(512, np.float32),
)
"""Which of them is fastest depends on the processor."""


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


class Pieces:
    """A piece of reading and one of multiplying for every thread, to be timed in turn with what has these limits.

    To be used in a with statement, within which BLAS has one thread.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads)
        self._limits = threadpool_limits(1, "blas")
        self._streams = [np.ones(_STREAM_BYTES // 4, np.float32) for _ in range(threads)]
        self._products = [_float32_product() for _ in range(threads)]
        self._reader = min(_READERS, key=lambda reader: self._seconds([partial(reader, one) for one in self._streams]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._limits.restore_original_limits()

    def read(self) -> None:
        """Let every thread read its own memory once."""
        self.together([partial(self._reader, one) for one in self._streams])

    def multiply(self) -> None:
        """Let every thread multiply two float32 matrices."""
        self.together(self._products)

    def limits(self, read_s: float, multiply_s: float, int8_ops_per_s: float = 0.0) -> Limits:
        """Return the limits by how long the two pieces took."""
        operations = 2.0 * _SIDE**3 * self.threads
        return Limits(self.threads, _STREAM_BYTES * self.threads / read_s, operations / multiply_s, int8_ops_per_s)

    def together(self, works: Sequence[Callable[[], object]]) -> None:
        """Let every thread do one of some works, and wait for all."""
        for done in [self._pool.submit(work) for work in works]:
            done.result()

    def _seconds(self, works: Sequence[Callable[[], object]]) -> float:
        return min(in_turn({"": lambda: self.together(works)}, rounds=3, seconds=0.0)[""])


def measure_limits(threads: int, rounds: int = 5) -> Limits:
    """Measure all limits with so many threads; the best round counts."""
    with Pieces(threads) as pieces:
        works: dict[str, Callable[[], object]] = {"read": pieces.read, "multiply": pieces.multiply}
        for name, maker in {"numkong": _numkong_product, "onnxruntime": _onnxruntime_product}.items():
            if (product := maker()) is not None:
                works[name] = partial(pieces.together, [product] * threads)
        taken = {name: min(seconds) for name, seconds in in_turn(works, rounds, 0.05).items()}
    operations = 2.0 * _INT8_ROWS * _INT8_ROWS * _INT8_DIMENSION * threads
    int8 = [operations / taken[name] for name in ("numkong", "onnxruntime") if name in taken]
    return pieces.limits(taken["read"], taken["multiply"], max(int8, default=0.0))


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


def _float32_product() -> Callable[[], object]:
    left, right = (np.full((_SIDE, _SIDE), value, np.float32) for value in (0.5, 0.25))
    out = np.empty((_SIDE, _SIDE), np.float32)
    return lambda: np.matmul(left, right, out=out)


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
