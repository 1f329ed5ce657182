"""A server in a process of its own with a generated gallery, and what its process uses."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery_index import IndexKind

from tests.benchmarks.geometry import Block, Crowd
from tests.benchmarks.kinds import Kind
from tests.support.requests import embedding, matrix
from tests.support.server import RemoteServer
from tests.support.server_process import free_port, kill, serve

CHUNK_FACES = 1000
TAU = 0.3
GALLERY_ID = "people"
_LONGEST_SETTLING_S = 600
PARENT = f"galleries/{GALLERY_ID}"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs: how to ask it, its process, and the folder of its data."""

    server: RemoteServer
    pid: int
    folder: Path

    @property
    def address(self) -> str:
        """Host and port."""
        return self.server.address

    def settle(self) -> None:
        """Wait until the server does nothing more, such as making codes: less than a twentieth of a core."""
        for _ in range(_LONGEST_SETTLING_S):
            used = self.processor_s()
            time.sleep(1.0)
            if self.processor_s() - used < 0.05:
                return
        raise TimeoutError(f"the server is still busy after {_LONGEST_SETTLING_S} s without a request")

    def processor_s(self) -> float:
        """Return the processor time that the server has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(*options: str) -> Iterator[Served]:
    """Start an empty server on SQLite in a temporary folder, and kill it in the end."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        process = serve(Path(folder), port, "--log-level", "error", *options)
        server = RemoteServer(f"127.0.0.1:{port}")
        try:
            yield Served(server, process.pid, Path(folder))
        finally:
            server.channel.close()
            kill(process)


def create(server: RemoteServer, crowd: Crowd, kind: IndexKind = IndexKind.AUTO) -> None:
    """Make the gallery of a crowd, empty, with an index of a kind."""
    profile = crowd.profile
    made = recognizability.Profile(model=profile.model, centroids=matrix(profile.centroids), gamma=profile.gamma)
    name = server.recognizability.CreateProfile(
        recognizability.CreateProfileRequest(profile_id="generated", profile=made)
    ).profile.name
    wanted = gallery_pb2.Gallery(profile=name, tau=TAU, gamma_gallery=profile.gamma)
    # Every probe is searched: a benchmark that turned half of them away would flatter the server.
    wanted.gamma = 0.0
    wanted.index_kind = gallery_pb2.IndexKind.Value(f"INDEX_KIND_{kind.value}")
    server.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id=GALLERY_ID, gallery=wanted))


def kind_options(kind: Kind) -> tuple[str, ...]:
    """Return the options of a server whose indexes are of a kind."""
    return ("--rows-on-disk",) if kind.rows_on_disk else ()


def enroll(server: RemoteServer, crowd: Crowd) -> None:
    """Enrol everybody. Raises RuntimeError when a batch is refused."""
    for answer in server.enrollment.StreamEnrollFaces(requests(crowd.blocks())):
        if answer.WhichOneof("outcome") != "response":
            raise RuntimeError(f"enrolment failed: {answer.error.message}")


def requests(blocks: Iterator[Block], prefix: str = "s") -> Iterator[enrollment.StreamEnrollFacesRequest]:
    """Yield the enrolment of blocks in messages of a thousand faces."""
    for block in blocks:
        for start in range(0, len(block.rows), CHUNK_FACES):
            chosen = slice(start, start + CHUNK_FACES)
            items = [
                enrollment.Enrollment(subject_id=f"{prefix}{subject}", embedding=embedding(row))
                for subject, row in zip(block.subject_ids[chosen].tolist(), block.rows[chosen], strict=True)
            ]
            yield enrollment.StreamEnrollFacesRequest(
                batch=enrollment.EnrollFacesRequest(parent=PARENT, enrollments=items)
            )
