"""A gallery that nobody attacks: it must answer as it did at the start, which is as the oracle does."""

import grpc
import numpy as np
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_index import Policy, Profile, normalize
from numpy.typing import NDArray

from tests.fuzz.case import Finding
from tests.support import oracle
from tests.support.requests import DIMENSION, GAMMA, MODEL, axis, create_gallery, enroll, identify, item
from tests.support.server import RemoteServer

GALLERY = "canary"
FACES = 24
TAU = 0.8


class Canary:
    """The gallery and what it must answer."""

    def __init__(self, server: RemoteServer) -> None:
        """Make it; raises Finding where its first answers are not the oracle's."""
        self._server = server
        rng = np.random.default_rng(7)
        raw = rng.standard_normal((FACES, DIMENSION)).astype(np.float32)
        raw[::5, 0] += 6.0  # some are unrecognizable: the UI centroid is axis 0
        create_gallery(server, GALLERY, tau=TAU)
        enroll(server, GALLERY, *(item(f"person {row}", vector) for row, vector in enumerate(raw)))
        probes = [*raw[:8], raw[0] + raw[1], raw[3] - 0.2 * raw[4], raw[5]]
        self._probes = [np.asarray(probe, np.float32) for probe in probes]
        self._answers = [self._ask(probe) for probe in self._probes]
        for probe, answer in zip(self._probes, self._answers, strict=True):
            _compare(raw, probe, answer)

    def check(self) -> None:
        """Raise Finding where an answer is another than at the start."""
        for probe, answer in zip(self._probes, self._answers, strict=True):
            if self._ask(probe) != answer:
                raise Finding(f"a gallery that was not touched answers otherwise: {self._ask(probe)} and not {answer}")

    def _ask(self, probe: NDArray[np.float32]) -> pb.Identification:
        try:
            return identify(self._server, GALLERY, probe, max_candidates=FACES).identification
        except grpc.RpcError as error:
            raise Finding(f"a gallery that was not touched does not answer: {error}") from error


def _compare(raw: NDArray[np.float32], probe: NDArray[np.float32], answer: pb.Identification) -> None:
    profile = Profile(MODEL, np.array([axis(0)], np.float64), GAMMA)
    stored = normalize(raw, DIMENSION).vectors
    faces = [oracle.Face(row, row, oracle.derive(profile, False, vector)) for row, vector in enumerate(stored)]
    asked = oracle.derive(profile, False, normalize(probe[None], DIMENSION).vectors[0])
    wanted = oracle.identify(faces, asked, Policy(GAMMA, GAMMA, TAU, max_candidates=FACES))
    found = [(hit.subject.rpartition("/")[2], hit.similarity) for hit in answer.candidates]
    expected = [(f"person {hit.subject_id}", hit.score) for hit in wanted.candidates]
    same = len(found) == len(expected) and all(
        one[0] == other[0] and abs(one[1] - other[1]) < 1e-12 for one, other in zip(found, expected, strict=True)
    )
    decision = pb.Decision.Name(answer.decision).removeprefix("DECISION_")
    if not same or decision != wanted.decision.name:
        raise Finding(f"the first answer is not the oracle's: {decision} {found} and not {wanted}")
