"""Searches through the service against the same searches in one process: `python -m tests.benchmarks.service`.

The service is a process of its own on SQLite, and so are its clients, each caller with a connection of its own; all
of them share the machine. In process, an index of the same faces is searched in batches, derivation and
decisions left out. Empty is a gRPC server that reads the same request and gives an answer of the same size without
searching.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
from ersgallery_index import By, VectorIndex

from tests.benchmarks.callers import BATCH, STREAM, UNARY, Answered, Callers, Load, client_processes
from tests.benchmarks.command import Options, run
from tests.benchmarks.footprint import per_face
from tests.benchmarks.geometry import Crowd, FloatRows, Geometry
from tests.benchmarks.kinds import Kind, fill, index_kinds
from tests.benchmarks.memory import held_bytes
from tests.benchmarks.raw_flat import Batches
from tests.benchmarks.results import Result, left_out, ratio_of
from tests.benchmarks.rounds import median, per_call_s, ratios
from tests.benchmarks.served import PARENT, Served, create, enroll, kind_options, served
from tests.benchmarks.transport import empty_server

BATCH_ROWS = 64
K = 10
CALLERS = (1, 16, 64, 128)


def loads(seconds: float) -> dict[str, Load]:
    """Return every load by the name in its key."""
    found = {f"unary-{callers}": Load(UNARY, callers, 1, seconds) for callers in CALLERS}
    found |= {f"batch-{callers}": Load(BATCH, callers, BATCH_ROWS, seconds) for callers in (1, 4)}
    return found | {
        "stream-1": Load(STREAM, 1, 1, seconds),
        "stream-of-64": Load(STREAM, 1, BATCH_ROWS, seconds),
    }


def measure(options: Options) -> Iterator[Result]:
    """Measure unary calls, batches and streams against searches in process and against an empty server."""
    geometry = Geometry.load()
    for faces in options.faces:
        for kind in index_kinds(faces):
            key, what = f"service/{kind.name}/{faces}", f"service, {kind.label}, {faces:,} faces"
            # An index here and one in the server, whose store has names and an embedding for each face besides.
            if reason := kind.lacking(2 * faces):
                yield left_out(key, what, reason)
                continue
            yield from _served(key, what, kind, Crowd(geometry, faces), options)


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    service: Callers
    empty: Callers
    index: VectorIndex
    probes: FloatRows
    gate: float
    served: Served

    def in_process(self, size: int, seconds: float) -> float:
        """Return the probes a second of batches in this process."""
        batches, gates = Batches(self.probes, size), np.full(size, self.gate)
        return size / per_call_s(lambda: self.index.search(batches.take(), gates, K, By.SUBJECT), seconds)


def _served(key: str, what: str, kind: Kind, crowd: Crowd, options: Options) -> Iterator[Result]:
    probes = crowd.probes(256)
    with ExitStack() as open_things:
        running = open_things.enter_context(served("--unary-threads", "128", *kind_options(kind)))
        create(running.server, crowd, kind.kind)
        before = held_bytes(running.pid)
        enroll(running.server, crowd)
        running.settle()
        grown = (held_bytes(running.pid) - before) / crowd.people
        name = f"server process, {kind.name}, {crowd.people:,} faces enrolled"
        yield per_face(f"memory/server-{kind.name}/{crowd.people}", name, grown, kind)
        sides = _Sides(
            open_things.enter_context(client_processes(running.address, PARENT, probes)),
            open_things.enter_context(_empty_callers(probes)),
            fill(kind, crowd),
            crowd.derivation.derive(probes).vectors,
            crowd.geometry.gamma,
            running,
        )
        for name, load in loads(options.seconds).items():
            yield from _compare(f"{key}/{name}", what, load, sides, options)


@contextmanager
def _empty_callers(probes: FloatRows) -> Iterator[Callers]:
    with empty_server() as address, client_processes(address, PARENT, probes) as callers:
        yield callers


def _compare(key: str, what: str, load: Load, sides: _Sides, options: Options) -> Iterator[Result]:
    # Batches that wait together are one search there, and so they are here; unary calls are held against batches of 64.
    size = max(BATCH_ROWS, load.callers * load.rows if load.call == BATCH else 0)
    answered: list[Answered] = []
    service, alone, empty, processor = [], [], [], []
    sides.service.measure(Load(load.call, load.callers, load.rows, 0.2))
    for _ in range(options.rounds):
        used = sides.served.processor_s()
        answered.append(sides.service.measure(load))
        processor.append((sides.served.processor_s() - used) / (len(answered[-1].latencies_s) * load.rows))
        service.append(answered[-1].probes_per_s)
        alone.append(sides.in_process(size, options.seconds))
        if load.call == UNARY:
            empty.append(sides.empty.measure(load).probes_per_s)
    name = f"{what}, {load.call} of {load.rows}, {load.callers} caller{'s' if load.callers > 1 else ''}"
    figures = {
        "probes_per_s": median(service),
        "p50_ms": median([one.percentile_ms(50) for one in answered]),
        "p99_ms": median([one.percentile_ms(99) for one in answered]),
        "server_cpu_us_per_probe": 1e6 * median(processor),
    }
    yield ratio_of(
        f"{key}/in-process",
        name,
        f"in process, batches of {size}",
        ratios(service, alone),
        **figures,
        in_process_per_s=median(alone),
    )
    if empty:
        yield ratio_of(
            f"{key}/empty", name, "an empty gRPC server", ratios(service, empty), **figures, empty_per_s=median(empty)
        )


if __name__ == "__main__":
    run(measure, faces=(10_000, 100_000), rounds=3, seconds=2.0)
