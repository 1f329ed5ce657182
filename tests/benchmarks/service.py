"""Compare searches through the service with the same searches in one process.

python -m tests.benchmarks.service [--faces N ...] [--clients C ...] [--dimension D] [--seconds S] [--rounds R]

The service is a process of its own on SQLite; its callers are threads of this one. In process the same index answers
batches of as many probes as there are callers, which is the best that dynamic batching could do. Rounds of both
alternate, so that other load on the machine falls on both; the median of the rounds counts.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery_index import Derivation, IndexRows, Policy, Profile, VectorIndex, identify, open_index, represent
from numpy.typing import NDArray

from tests.support.requests import embedding, matrix, probe
from tests.support.server import RemoteServer
from tests.support.server_process import free_port, kill, serve

FloatRows = NDArray[np.float32]
CHUNK_FACES = 1000
BATCH_ROWS = 64
PARENT = "galleries/people"
POLICY = Policy(gamma=0.5, gamma_gallery=0.5, tau=0.3)


def main() -> None:
    """Print a table of probes per second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, nargs="+", default=[10_000, 100_000], help="default: %(default)s")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64], help="default: %(default)s")
    parser.add_argument("--dimension", type=int, default=512, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    options = parser.parse_args()
    print(f"{'faces':>8} {'call':>20} {'service /s':>11} {'in process /s':>14} {'ratio':>6}")
    for faces in options.faces:
        rows = unit_rows(np.random.default_rng(0), faces, options.dimension)
        profile = Profile("random", unit_rows(np.random.default_rng(1), 1, options.dimension).astype(np.float64), 0.5)
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            process = serve(Path(folder), port)
            try:
                server = RemoteServer(f"127.0.0.1:{port}")
                fill(server, rows, profile)
                compare(server, InProcess(rows, profile), faces, options)
            finally:
                kill(process)


def unit_rows(random: np.random.Generator, count: int, dimension: int) -> FloatRows:
    """Return random embeddings."""
    rows = random.standard_normal((count, dimension), dtype=np.float32)
    norms: FloatRows = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / norms


def fill(server: RemoteServer, rows: FloatRows, profile: Profile) -> None:
    """Make a gallery and enrol a subject for every row."""
    made = recognizability.Profile(model=profile.model, centroids=matrix(profile.centroids), gamma=profile.gamma)
    name = server.recognizability.CreateProfile(
        recognizability.CreateProfileRequest(profile_id="random", profile=made)
    ).profile.name
    wanted = gallery_pb2.Gallery(profile=name, tau=POLICY.tau, gamma=POLICY.gamma, gamma_gallery=POLICY.gamma_gallery)
    server.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id="people", gallery=wanted))

    def batches() -> Iterator[enrollment.StreamEnrollFacesRequest]:
        for start in range(0, len(rows), CHUNK_FACES):
            items = [
                enrollment.Enrollment(subject_id=f"s{start + number}", embedding=embedding(row))
                for number, row in enumerate(rows[start : start + CHUNK_FACES])
            ]
            yield enrollment.StreamEnrollFacesRequest(
                batch=enrollment.EnrollFacesRequest(parent=PARENT, enrollments=items)
            )

    begun = time.monotonic()
    for answer in server.enrollment.StreamEnrollFaces(batches()):
        assert answer.WhichOneof("outcome") == "response", answer.error
    print(f"{len(rows):>8} {'enrolled':>20} {len(rows) / (time.monotonic() - begun):>11.0f}")


class InProcess:
    """The index of the same faces, searched as the service searches it."""

    def __init__(self, rows: FloatRows, profile: Profile) -> None:
        self._derivation = Derivation(profile)
        self._index: VectorIndex = open_index(rows.shape[1], device="cpu")
        self._index.set_gate(POLICY.gamma_gallery)
        derived = self._derivation.derive(rows)
        ids = np.arange(1, len(rows) + 1, dtype=np.int64)
        self._index.restore(1, [IndexRows(ids, ids, derived.ers, derived.vectors)])

    def search(self, probes: FloatRows) -> None:
        """Decide for each probe."""
        identify(self._index, represent(self._derivation, probes), POLICY)


def compare(server: RemoteServer, alone: InProcess, faces: int, options: argparse.Namespace) -> None:
    """Measure every kind of call against its like in process."""
    probes = unit_rows(np.random.default_rng(2), 256, options.dimension)
    singles = [pb.IdentifyRequest(gallery=PARENT, probe=probe(row)) for row in probes]
    rows = probes[:BATCH_ROWS]
    whole = pb.BatchIdentifyRequest(gallery=PARENT, matrix=matrix(rows))
    cases: list[tuple[str, Callable[[], float], int]] = [
        (f"Identify, {n} callers", _unary(server, singles, n, options.seconds), n) for n in options.clients
    ]
    cases.append((f"BatchIdentify of {BATCH_ROWS}", _batched(server, whole, options.seconds), BATCH_ROWS))
    for name, through_service, size in cases:
        in_process = partial(rate, partial(alone.search, probes[:size]), options.seconds)
        measured = [(through_service(), size * in_process()) for _ in range(options.rounds)]
        service, direct = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{faces:>8} {name:>20} {service:>11.0f} {direct:>14.0f} {service / direct:>6.2f}", flush=True)


def _unary(
    server: RemoteServer, requests: list[pb.IdentifyRequest], callers: int, seconds: float
) -> Callable[[], float]:
    def measure() -> float:
        counts = [0] * callers
        stop = time.monotonic() + seconds

        def work(number: int) -> None:
            while time.monotonic() < stop:
                server.identification.Identify(requests[(number + counts[number]) % len(requests)])
                counts[number] += 1

        threads = [threading.Thread(target=work, args=(number,)) for number in range(callers)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.monotonic() - begun)

    return measure


def _batched(server: RemoteServer, request: pb.BatchIdentifyRequest, seconds: float) -> Callable[[], float]:
    return lambda: request.matrix.rows * rate(lambda: server.identification.BatchIdentify(request), seconds)


def rate(work: Callable[[], object], seconds: float) -> float:
    """Return how often a second something can be done, after once to warm up."""
    work()
    begun, count = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        work()
        count += 1
    return count / (time.monotonic() - begun)


if __name__ == "__main__":
    main()
