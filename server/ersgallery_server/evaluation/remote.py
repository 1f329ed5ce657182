"""The harm and the remedy through a running service over gRPC, compared with the same in this process."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import grpc
import numpy as np
from ersgallery.v1 import (
    enrollment_service_pb2,
    enrollment_service_pb2_grpc,
    face_input_pb2,
    gallery_pb2,
    gallery_service_pb2,
    gallery_service_pb2_grpc,
    identification_service_pb2,
    identification_service_pb2_grpc,
    recognizability_service_pb2,
    recognizability_service_pb2_grpc,
)
from ersgallery_index import DECISIONS, Decision, Derivation, Identifications, Policy, Profile, identify
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.failures import ServerUnusable
from ersgallery_server.evaluation.measuring import faces_of
from ersgallery_server.evaluation.protocols.harm import (
    PEOPLE_DRAWN,
    Outcome,
    chosen_tau,
    draw_scene,
    enrolled_index,
    shares_of,
)
from ersgallery_server.evaluation.remote_server import RemoteServer
from ersgallery_server.evaluation.tables import Entry, Table

_BATCH = 500
_DEADLINE_S = 300.0
_DECISIONS = {
    identification_service_pb2.DECISION_MATCH: Decision.MATCH,
    identification_service_pb2.DECISION_NO_MATCH: Decision.NO_MATCH,
    identification_service_pb2.DECISION_UNSURE: Decision.UNSURE,
}


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Decisions on q probes: codes as in DECISIONS (q,), and the person matched (q,), -1 for nobody."""

    decisions: NDArray[np.uint8]
    named: NDArray[np.int64]

    def differences(self, other: "Answers") -> int:
        """Return how many probes were answered differently."""
        return int(((self.decisions != other.decisions) | (self.named != other.named)).sum())

    def outcome(self, people: NDArray[np.int64]) -> Outcome:
        """Compare with whom the probes show (q,)."""
        matched = self.decisions == DECISIONS.index(Decision.MATCH)
        return Outcome(
            right=matched & (self.named == people),
            wrong=matched & (self.named != people),
            unsure=np.asarray(self.decisions == DECISIONS.index(Decision.UNSURE), np.bool_),
        )


@dataclass(frozen=True, slots=True, eq=False)
class RemoteGallery:
    """A gallery on a server that is there for one evaluation."""

    name: str
    channel: grpc.Channel = field(repr=False)

    def enroll(self, raw: NDArray[np.float32], people: NDArray[np.int64]) -> None:
        """Enrol a raw embedding (n, d) of each person (n,). Raises ServerUnusable where a face is not stored."""
        stub = enrollment_service_pb2_grpc.EnrollmentServiceStub(self.channel)
        for start in range(0, len(raw), _BATCH):
            rows = range(start, min(start + _BATCH, len(raw)))
            request = enrollment_service_pb2.EnrollFacesRequest(
                parent=self.name,
                request_id=f"evaluate-{start}",
                enrollments=[
                    enrollment_service_pb2.Enrollment(
                        subject_id=f"p{people[row]}", embedding=face_input_pb2.Embedding(packed=_packed(raw[row]))
                    )
                    for row in rows
                ],
            )
            for row, outcome in zip(rows, stub.EnrollFaces(request, timeout=_DEADLINE_S).outcomes, strict=True):
                rejected = outcome.result.disposition == enrollment_service_pb2.DISPOSITION_REJECTED
                if outcome.HasField("error") or rejected:
                    raise ServerUnusable(f"the server did not enrol face {row}: {outcome.error.message or 'rejected'}")

    def identify(self, raw: NDArray[np.float32], policy: Policy) -> Answers:
        """Identify raw embeddings (q, d) in batches."""
        stub = identification_service_pb2_grpc.IdentificationServiceStub(self.channel)
        parts = [Answers(np.empty(0, np.uint8), np.empty(0, np.int64))]
        for start in range(0, len(raw), _BATCH):
            block = raw[start : start + _BATCH]
            request = identification_service_pb2.BatchIdentifyRequest(
                gallery=self.name,
                matrix=face_input_pb2.EmbeddingMatrix(packed=_packed(block), rows=len(block), dimension=block.shape[1]),
                policy=identification_service_pb2.SearchPolicy(
                    gamma=policy.gamma, gamma_gallery=policy.gamma_gallery, tau=policy.tau, max_candidates=1
                ),
            )
            parts.append(_answers(stub.BatchIdentify(request, timeout=_DEADLINE_S).columns))
        return Answers(
            np.concatenate([part.decisions for part in parts]), np.concatenate([part.named for part in parts])
        )


def serve_harm(bench: Bench, server: RemoteServer) -> list[Table]:
    """Measure the harm and the remedy through a server; its temporary gallery is deleted, its profile stays.

    Raises ServerUnusable where the server cannot be reached or refuses something.
    """
    single = _as_sent(bench)
    scene, tau, gamma = draw_scene(single), chosen_tau(single), single.profile.gamma
    index = enrolled_index(single, scene.enrolled)
    arms = {
        "off": Policy(0.0, 0.0, tau, max_candidates=1),
        "probe gate": Policy(gamma, 0.0, tau, max_candidates=1),
        "gallery gate": Policy(0.0, gamma, tau, max_candidates=1),
        "both": Policy(gamma, gamma, tau, max_candidates=1),
    }
    rows: list[tuple[Entry, ...]] = []
    with _unusable(server.address), temporary_gallery(server, single.profile, tau) as gallery:
        gallery.enroll(single.corpus.raw[scene.enrolled], single.corpus.identities[scene.enrolled])
        for group, probes in scene.probes.items():
            for arm, policy in arms.items():
                found = gallery.identify(single.corpus.raw[probes], policy)
                here = _of(identify(index, faces_of(single, probes), policy))
                what = found.outcome(single.corpus.identities[probes])
                rows.append((group, arm, *shares_of(single, what, probes), found.differences(here)))
    differences = sum(int(row[-1]) for row in rows if isinstance(row[-1], int))
    asked = len(arms) * sum(map(len, scene.probes.values()))
    return [
        Table(
            key="service",
            title="The harm and the remedy through a running service",
            columns=("probe", "gates", "MATCH right", "MATCH wrong", "NO_MATCH", "UNSURE", "other than in process"),
            rows=tuple(rows),
            source="section 2.2.2",
            notes=(
                f"{differences} of {asked} answers over gRPC differ from those of the library in this process.",
                f"tau {tau:.4f} is chosen as in the table harm, on people who are not in the test.",
                PEOPLE_DRAWN,
            ),
        )
    ]


@contextlib.contextmanager
def temporary_gallery(server: RemoteServer, profile: Profile, tau: float) -> Iterator[RemoteGallery]:
    """Make a gallery under a profile (made where the server has none alike), and delete it in the end."""
    with server.channel() as channel:
        name = _ensure_profile(channel, profile)
        stub = gallery_service_pb2_grpc.GalleryServiceStub(channel)
        made = stub.CreateGallery(
            gallery_service_pb2.CreateGalleryRequest(
                gallery=gallery_pb2.Gallery(
                    profile=name, tau=tau, low_ers=gallery_pb2.LOW_ERS_POLICY_STORE, display_name="evaluation"
                ),
                gallery_id=f"evaluation-{np.random.default_rng().integers(1 << 40):010x}",
            ),
            timeout=_DEADLINE_S,
        ).gallery
        try:
            yield RemoteGallery(made.name, channel)
        finally:
            stub.DeleteGallery(gallery_service_pb2.DeleteGalleryRequest(name=made.name), timeout=_DEADLINE_S)


def _as_sent(bench: Bench) -> Bench:
    """Return the bench under the profile as float32 carries it, so that both sides compute with the same."""
    mean = bench.profile.mean
    profile = Profile(
        bench.profile.model,
        bench.profile.centroids.astype(np.float32).astype(np.float64),
        bench.profile.gamma,
        None if mean is None else mean.astype(np.float32).astype(np.float64),
    )
    built = replace(bench.built, profile=profile)
    return replace(bench, built=built, derived=Derivation(profile).derive(bench.corpus.rows))


def _ensure_profile(channel: grpc.Channel, profile: Profile) -> str:
    stub = recognizability_service_pb2_grpc.RecognizabilityServiceStub(channel)
    content = _packed(profile.centroids) + (b"" if profile.mean is None else _packed(profile.mean))
    digest = hashlib.sha256(content + repr((profile.model, profile.gamma)).encode()).hexdigest()[:16]
    message = recognizability_service_pb2.Profile(
        model=profile.model,
        dimension=profile.dimension,
        centroids=face_input_pb2.EmbeddingMatrix(
            packed=_packed(profile.centroids), rows=len(profile.centroids), dimension=profile.dimension
        ),
        mean=None if profile.mean is None else face_input_pb2.Embedding(packed=_packed(profile.mean)),
        gamma=profile.gamma,
        description="Made by an evaluation.",
    )
    request = recognizability_service_pb2.CreateProfileRequest(profile_id=f"evaluation-{digest}", profile=message)
    return str(stub.CreateProfile(request, timeout=_DEADLINE_S).profile.name)


def _answers(columns: identification_service_pb2.IdentificationColumns) -> Answers:
    if columns.errors:
        raise ServerUnusable(f"the server refused a probe: {next(iter(columns.errors.values())).message}")
    codes = np.array([DECISIONS.index(_DECISIONS[decision]) for decision in columns.decisions], np.uint8)
    found = columns.candidates
    firsts = np.cumsum([0, *found.counts])[:-1]
    named = np.full(len(codes), -1, np.int64)
    for probe in np.flatnonzero(codes == DECISIONS.index(Decision.MATCH)).tolist():
        subject = found.subjects[found.subject_index[firsts[probe]]]
        named[probe] = int(subject.rpartition("/")[2].removeprefix("p"))
    return Answers(codes, named)


def _of(answers: Identifications) -> Answers:
    matched = answers.decisions == DECISIONS.index(Decision.MATCH)
    named = np.full(len(answers), -1, np.int64)
    named[matched] = answers.hits.subject_ids[answers.hits.offsets[:-1][matched]]
    return Answers(answers.decisions, named)


def _packed(values: NDArray[np.float32] | NDArray[np.float64]) -> bytes:
    return values.astype("<f4").tobytes()


@contextlib.contextmanager
def _unusable(address: str) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        # Every failed call can tell its details, which the stubs do not say.
        detail = getattr(error, "details", error.__str__)()
        raise ServerUnusable(f"the server at {address} failed: {detail}") from error
