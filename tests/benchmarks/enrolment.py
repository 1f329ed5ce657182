"""Bulk enrolment over gRPC against bare SQLite inserts of the same rows: `python -m tests.benchmarks.enrolment`.

Both write a thousand faces of new subjects in a transaction, with WAL, synchronous=FULL and the same page size, to
the same file system. Over gRPC the faces are also checked, scored and searchable when the answer comes. The messages
are built before the clock runs.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from ersgallery_server.values import NewFace

from tests.benchmarks.command import Options, run
from tests.benchmarks.enrolling import enroller
from tests.benchmarks.geometry import Crowd, Geometry
from tests.benchmarks.results import Result, ratio_of
from tests.benchmarks.rounds import median, ratios
from tests.benchmarks.served import CHUNK_FACES, create, served
from tests.benchmarks.store import BareTable

STREAMS = (1, 4)
_WARMING = 2


def measure(options: Options) -> Iterator[Result]:
    """Measure streams of enrolments against bare inserts of the same rows with the same durability."""
    geometry = Geometry.load()
    for faces in options.faces:
        found = []
        for streams in STREAMS:
            found.append(_compare(Crowd(geometry, faces), streams, options.rounds))
            yield found[-1]
        best = max(found, key=lambda result: result.ratio or 0.0)
        yield replace(best, key=f"enrolment/{faces}/best", note="the faster one of the above")


def _compare(crowd: Crowd, streams: int, rounds: int) -> Result:
    over_grpc, bare = [], []
    with tempfile.TemporaryDirectory() as folder, served() as running:
        table = _Inserts(BareTable(Path(folder, "bare.db")), crowd)
        create(running.server, crowd)
        with enroller(running.address, crowd, streams) as client:
            messages = max(1, (client.messages - _WARMING) // rounds)
            client.faces_per_s(_WARMING)
            table.faces_per_s(_WARMING)
            for _ in range(rounds):
                over_grpc.append(client.faces_per_s(messages))
                bare.append(table.faces_per_s(messages))
    return ratio_of(
        f"enrolment/{crowd.people}/{streams}",
        f"enrolment over gRPC, {streams} stream{'s' if streams > 1 else ''}, {crowd.people:,} faces",
        "bare SQLite inserts",
        ratios(over_grpc, bare),
        faces_per_s=median(over_grpc),
        bare_per_s=median(bare),
    )


class _Inserts:
    def __init__(self, table: BareTable, crowd: Crowd) -> None:
        self._table = table
        self._chunks = _chunks(crowd)
        self._next_id = 1

    def faces_per_s(self, chunks: int) -> float:
        taken_s = 0.0
        for faces in islice(self._chunks, chunks):
            begun = time.perf_counter()
            self._table.insert(self._next_id, faces)
            taken_s += time.perf_counter() - begun
            self._next_id += len(faces)
        return chunks * CHUNK_FACES / taken_s


def _chunks(crowd: Crowd) -> Iterator[list[NewFace]]:
    for block in crowd.blocks():
        for start in range(0, len(block.rows) - CHUNK_FACES + 1, CHUNK_FACES):
            chosen = slice(start, start + CHUNK_FACES)
            yield [
                NewFace(f"new-{crowd.seed}-{subject}", row, 1.0, 0.9, 0.9)
                for subject, row in zip(block.subject_ids[chosen].tolist(), block.rows[chosen], strict=True)
            ]


if __name__ == "__main__":
    run(measure, faces=(50_000,))
