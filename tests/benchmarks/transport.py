"""Measure the sync server against grpc.aio with the same message shapes and no search behind them.

    python -m tests.benchmarks.transport            ratios for 1, 16 and 64 clients

The request is a probe of 512 numbers, the answer has 10 candidates. Server and clients are separate processes and share
the machine; the clients are Python too and often the limit of the rate, so the server's processor time per call is
measured beside it. What counts are the ratios: machines differ and are busy with other things.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import grpc
import numpy as np
from ersgallery.v1 import face_input_pb2, identification_service_pb2, identification_service_pb2_grpc
from google.protobuf.message import Message

CLIENTS = (1, 16, 64)


def answer() -> identification_service_pb2.IdentifyResponse:
    """Return an answer as a search would give it."""
    candidates = [
        identification_service_pb2.Candidate(
            subject=f"galleries/people/subjects/person-{i}",
            face=f"galleries/people/subjects/person-{i}/faces/{1000 + i}",
            similarity=0.5 - 0.01 * i,
            ers=0.9,
        )
        for i in range(10)
    ]
    found = identification_service_pb2.Identification(
        decision=identification_service_pb2.DECISION_MATCH, candidates=candidates
    )
    return identification_service_pb2.IdentifyResponse(identification=found)


def look_at(request: identification_service_pb2.IdentifyRequest) -> identification_service_pb2.IdentifyResponse:
    """Do what every handler does at least: read the probe, build the answer."""
    np.frombuffer(request.probe.embedding.packed, "<f4").sum()
    return answer()


def generic_handler(behavior: Callable[..., Any]) -> grpc.GenericRpcHandler:
    """Return a service whose one method is Identify."""
    method = grpc.unary_unary_rpc_method_handler(
        behavior,
        request_deserializer=identification_service_pb2.IdentifyRequest.FromString,
        response_serializer=identification_service_pb2.IdentifyResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler("ersgallery.v1.IdentificationService", {"Identify": method})


def tell_cpu_time(pipe: Connection) -> None:
    """Answer every word on the pipe with the processor time this process has used."""

    def tell() -> None:
        while pipe.recv():
            pipe.send(time.process_time())

    threading.Thread(target=tell, daemon=True).start()


def serve_sync(pipe: Connection, threads: int = 64) -> None:
    """Serve on a pool of threads."""
    server = grpc.server(ThreadPoolExecutor(threads))
    server.add_generic_rpc_handlers((generic_handler(lambda request, _context: look_at(request)),))
    pipe.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    tell_cpu_time(pipe)
    server.wait_for_termination()


def serve_aio(pipe: Connection) -> None:
    """Serve on an event loop."""

    async def identify(request: identification_service_pb2.IdentifyRequest, _context: object) -> Message:
        return look_at(request)

    async def serve() -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((generic_handler(identify),))
        pipe.send(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        tell_cpu_time(pipe)
        await server.wait_for_termination()

    asyncio.run(serve())


@contextmanager
def empty_server() -> Iterator[str]:
    """Serve Identify without searching, in a process of its own, and give the address."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=serve_sync, args=(far, 128), daemon=True)
    process.start()
    try:
        yield f"127.0.0.1:{near.recv()}"
    finally:
        process.kill()
        process.join()


@dataclass(frozen=True, slots=True)
class Measured:
    """Calls per second, and the server's processor time per call in microseconds."""

    rate: float
    cpu_us: float


def measure(port: int, pipe: Connection, clients: int, duration_s: float) -> Measured:
    """Load a server with this many threads on one channel."""
    embedding = face_input_pb2.Embedding(packed=np.ones(512, "<f4").tobytes())
    request = identification_service_pb2.IdentifyRequest(
        gallery="galleries/people", probe=face_input_pb2.Probe(embedding=embedding)
    )
    counts = [0] * clients
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = identification_service_pb2_grpc.IdentificationServiceStub(channel)
        stub.Identify(request, wait_for_ready=True, timeout=10)
        stop = time.monotonic() + duration_s

        def work(number: int) -> None:
            while time.monotonic() < stop:
                stub.Identify(request)
                counts[number] += 1

        before = cpu_time(pipe)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used_s = cpu_time(pipe) - before
    return Measured(sum(counts) / duration_s, 1e6 * used_s / sum(counts))


def cpu_time(pipe: Connection) -> float:
    """Return the processor time in seconds that the server at the other end has used."""
    pipe.send(True)
    used: float = pipe.recv()
    return used


def main() -> None:
    """Measure both servers in turn, several times, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each server, in turn (default 3)")
    parser.add_argument("--one-core", action="store_true", help="keep each server on one core, where it has the GIL")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ports, pipes, servers = {}, {}, []
    for name, serve in (("sync", serve_sync), ("aio", serve_aio)):
        pipes[name], far = context.Pipe()
        server = context.Process(target=serve, args=(far,), daemon=True)
        server.start()
        if options.one_core and server.pid is not None:
            os.sched_setaffinity(server.pid, {0})
        servers.append(server)
        ports[name] = pipes[name].recv()
    print(
        f"{'clients':>8} {'sync /s':>9} {'aio /s':>9} {'rate ratio':>11} {'sync us':>9} {'aio us':>9} {'cpu ratio':>10}"
    )
    for clients in CLIENTS:
        runs: dict[str, list[Measured]] = {name: [] for name in ports}
        for _ in range(options.rounds):
            for name, port in ports.items():
                runs[name].append(measure(port, pipes[name], clients, options.seconds))
        sync, aio = (statistics.median(run.rate for run in runs[name]) for name in ("sync", "aio"))
        sync_us, aio_us = (statistics.median(run.cpu_us for run in runs[name]) for name in ("sync", "aio"))
        figures = (
            f"{sync:>9.0f} {aio:>9.0f} {sync / aio:>11.2f} {sync_us:>9.0f} {aio_us:>9.0f} {aio_us / sync_us:>10.2f}"
        )
        print(f"{clients:>8} {figures}")
    for server in servers:
        server.kill()


if __name__ == "__main__":
    main()
