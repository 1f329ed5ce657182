"""Clients in processes of their own: so many callers at once, each with a connection of its own."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Semaphore

import grpc
import numpy as np
from ersgallery.v1 import face_input_pb2
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery.v1.identification_service_pb2_grpc import IdentificationServiceStub
from numpy.typing import NDArray

from tests.benchmarks.geometry import FloatRows
from tests.benchmarks.machine import cores

UNARY, BATCH, STREAM = "Identify", "BatchIdentify", "StreamIdentify"
_IN_FLIGHT = 8
"""Messages of a stream that wait for their answers."""


@dataclass(frozen=True, slots=True)
class Load:
    """So many callers that make one kind of call for some seconds; rows: probes in each call or message."""

    call: str
    callers: int
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Probes answered a second by all callers together, and how long each call took."""

    probes_per_s: float
    latencies_s: NDArray[np.float64]

    def percentile_ms(self, percent: float) -> float:
        """Return the latency that this many per cent of the calls did not exceed."""
        return float(1e3 * np.percentile(self.latencies_s, percent))


class Callers:
    """Client processes that stay, so that no measurement waits for them to start."""

    def __init__(self, pipes: "list[Connection]") -> None:
        self._pipes = pipes

    def measure(self, load: Load) -> Answered:
        """Put a load on the server and return what was answered. Raises RuntimeError when a call failed."""
        pipes = self._pipes[: load.callers]
        shares = [len(part) for part in np.array_split(np.arange(load.callers), len(pipes))]
        for pipe, share in zip(pipes, shares, strict=True):
            pipe.send(Load(load.call, share, load.rows, load.seconds))
        answers = [pipe.recv() for pipe in pipes]
        for answer in answers:
            if isinstance(answer, str):
                raise RuntimeError(answer)  # noqa: TRY004  (a client's failure, not a wrong type)
        latencies = np.concatenate([latencies for latencies, _ in answers])
        return Answered(sum(rate for _, rate in answers), latencies)


@contextmanager
def client_processes(address: str, gallery: str, probes: FloatRows, count: int | None = None) -> Iterator[Callers]:
    """Start clients of a server; by default as many processes as cores, two at least."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for _ in range(count or max(2, cores())):
        near, far = context.Pipe()
        process = context.Process(target=_serve_loads, args=(far, address, gallery, probes), daemon=True)
        process.start()
        pipes.append(near)
        processes.append(process)
    try:
        for pipe in pipes:
            pipe.recv()
        yield Callers(pipes)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _serve_loads(pipe: Connection, address: str, gallery: str, probes: FloatRows) -> None:
    pipe.send("ready")
    while True:
        load: Load = pipe.recv()
        try:
            pipe.send(_put(load, address, gallery, probes))
        except Exception as failure:  # noqa: BLE001  (told to the process that waits for it)
            pipe.send(f"{type(failure).__name__}: {failure}")


def _put(load: Load, address: str, gallery: str, probes: FloatRows) -> tuple[NDArray[np.float64], float]:
    caller = {UNARY: _unary, BATCH: _batch, STREAM: _stream}[load.call]
    with ThreadPoolExecutor(load.callers) as pool:
        begun = time.perf_counter()
        stop = begun + load.seconds
        working = [pool.submit(caller, address, gallery, probes, load.rows, stop) for _ in range(load.callers)]
        latencies = np.concatenate([work.result() for work in working])
        passed = time.perf_counter() - begun
    return latencies, load.rows * len(latencies) / passed


def _unary(address: str, gallery: str, probes: FloatRows, _rows: int, stop: float) -> NDArray[np.float64]:
    requests = [
        pb.IdentifyRequest(
            gallery=gallery, probe=face_input_pb2.Probe(embedding=face_input_pb2.Embedding(packed=row.tobytes()))
        )
        for row in probes
    ]
    with _channel(address) as channel:
        return _repeat(IdentificationServiceStub(channel).Identify, requests, stop)


def _batch(address: str, gallery: str, probes: FloatRows, rows: int, stop: float) -> NDArray[np.float64]:
    with _channel(address) as channel:
        return _repeat(IdentificationServiceStub(channel).BatchIdentify, _batches(gallery, probes, rows), stop)


def _stream(address: str, gallery: str, probes: FloatRows, rows: int, stop: float) -> NDArray[np.float64]:
    batches = _batches(gallery, probes, rows)
    sent: list[float] = []
    free = Semaphore(_IN_FLIGHT)

    def messages() -> Iterator[pb.StreamIdentifyRequest]:
        while not sent or time.perf_counter() < stop:
            free.acquire()
            sent.append(time.perf_counter())
            yield pb.StreamIdentifyRequest(sequence=len(sent), batch=batches[len(sent) % len(batches)])

    latencies: list[float] = []
    with _channel(address) as channel:
        for answer in IdentificationServiceStub(channel).StreamIdentify(messages()):
            free.release()
            if answer.WhichOneof("outcome") != "response":
                raise RuntimeError(f"a message of a stream failed: {answer.error.message}")
            latencies.append(time.perf_counter() - sent[answer.sequence - 1])
    return np.array(latencies)


def _batches(gallery: str, probes: FloatRows, rows: int) -> list[pb.BatchIdentifyRequest]:
    return [
        pb.BatchIdentifyRequest(
            gallery=gallery,
            matrix=face_input_pb2.EmbeddingMatrix(
                packed=probes[start : start + rows].tobytes(), rows=rows, dimension=probes.shape[1]
            ),
        )
        for start in range(0, len(probes) - rows + 1, rows)
    ]


def _repeat(call: Callable[..., object], requests: Sequence[object], stop: float) -> NDArray[np.float64]:
    latencies: list[float] = []
    while True:
        begun = time.perf_counter()
        if begun >= stop and latencies:
            return np.array(latencies)
        call(requests[len(latencies) % len(requests)], wait_for_ready=True)
        latencies.append(time.perf_counter() - begun)


def _channel(address: str) -> grpc.Channel:
    # Channels of one process share connections unless told otherwise; clients elsewhere would not.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return grpc.insecure_channel(address, options=options)
