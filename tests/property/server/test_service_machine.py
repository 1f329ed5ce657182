"""Any sequence of requests, restarts among them, leaves a service that answers as brute force over what is stored."""

import itertools
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from ersgallery.v1 import face_input_pb2, gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery.v1.enrollment_service_pb2 import EnrollFacesResponse, Enrollment
from ersgallery_index import FloatRows, Policy, Profile, Weighting, normalize
from ersgallery_server.gallery.templates import REMEMBERED_FROM_FACES
from ersgallery_server.service import Service
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support import oracle
from tests.support.requests import enroll, identify, item, matrix, probe
from tests.support.server import RunningServer
from tests.support.server import settings as server_settings
from tests.support.statuses import refused

DIMENSION = 4
POOL = np.random.default_rng(7).normal(size=(24, DIMENSION)).astype(np.float32)
POOL[20:] = POOL[:4]  # exact duplicates: ties go to the lower face id
STORED = normalize(POOL, DIMENSION).vectors
CENTROIDS = normalize(np.random.default_rng(8).normal(size=(3, DIMENSION)).astype(np.float32), DIMENSION).vectors
# A profile travels as float32: the oracle starts from the numbers that were sent.
SENT = ((CENTROIDS[:1], 0.4, None), (CENTROIDS[1:], 0.6, STORED[5] / np.float32(3)))
PROFILES = tuple(
    Profile("pool", centroids.astype(np.float64), gamma, None if mean is None else mean.astype(np.float64))
    for centroids, gamma, mean in SENT
)
PARENT = "galleries/g"


def media_of(vector: int) -> str:
    """Return the media of a vector of the pool: some share one, some have none."""
    return ("", "film", "photo")[vector % 3]


gates = st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0])
vectors = st.integers(0, len(POOL) - 1)
subjects = st.sampled_from(["ann", "bob", "eve", "kim"])


@dataclass
class Model:
    """What a plain program would remember."""

    profile: int = 0
    enhance: bool = False
    gamma: float | None = None
    gamma_gallery: float | None = None
    margin: float | None = None
    by_template: bool = False
    weighting: Weighting = Weighting.SQUARE
    media_pooling: bool = False
    faces: dict[int, tuple[str, int]] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=dict)
    """When each subject was made: of templates that score alike, the older subject's comes first."""

    def policy(self, **wishes: object) -> Policy:
        gamma = PROFILES[self.profile].gamma if self.gamma is None else self.gamma
        gamma_gallery = gamma if self.gamma_gallery is None else self.gamma_gallery
        return Policy(gamma, gamma_gallery, 0.5, self.margin, **wishes)  # type: ignore[arg-type]


class ServiceMachine(RuleBasedStateMachine):
    """Drives a service over gRPC and a Model side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model = Model()
        self.numbers = itertools.count()
        self.answers: list[tuple[list[tuple[str, int]], EnrollFacesResponse]] = []
        self.start()
        self.profile_names = [self.create_profile(*sent) for sent in SENT]
        wanted = gallery_pb2.Gallery(profile=self.profile_names[0], tau=0.5)
        self.server.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id="g", gallery=wanted))

    def start(self) -> None:
        self.service = Service(server_settings(Path(self.folder.name)))
        self.service.__enter__()
        self.server = RunningServer(self.service)

    def stop(self) -> None:
        self.server.channel.close()
        self.service.__exit__(None, None, None)

    def teardown(self) -> None:
        self.stop()
        self.folder.cleanup()

    def create_profile(self, centroids: FloatRows, gamma: float, mean: FloatRows | None) -> str:
        message = recognizability.Profile(model="pool", centroids=matrix(centroids), gamma=gamma)
        if mean is not None:
            message.mean.packed = mean.astype("<f4").tobytes()
        request = recognizability.CreateProfileRequest(profile_id="pool", profile=message)
        return self.server.recognizability.CreateProfile(request).profile.name

    @rule(subject=subjects, vector=vectors)
    def enroll_many_of_one(self, subject: str, vector: int) -> None:
        """So many that their sums are remembered."""
        self.enroll_all([(subject, (vector + i) % len(POOL)) for i in range(REMEMBERED_FROM_FACES)])

    @rule(enrolled=st.lists(st.tuples(subjects, vectors), min_size=1, max_size=6))
    def enroll(self, enrolled: list[tuple[str, int]]) -> None:
        self.enroll_all(enrolled)

    @rule(enrolled=st.lists(st.tuples(subjects, vectors), min_size=1, max_size=3), again=st.integers(0, 1000))
    def enroll_under_a_request_id(self, enrolled: list[tuple[str, int]], again: int) -> None:
        """Enrol, and repeat some enrolment of before, whatever became of its faces since."""
        request_id = f"r{len(self.answers)}"
        self.answers.append((enrolled, self.enroll_all(enrolled, request_id)))
        number = again % len(self.answers)
        first, answer = self.answers[number]
        assert enroll(self.server, "g", *_items(first), request_id=f"r{number}") == answer
        with refused() as refusal:
            enroll(self.server, "g", *_items([("other", 0)]), request_id=f"r{number}")
        assert refusal.reason == "REQUEST_ID_REUSED"

    def enroll_all(self, enrolled: list[tuple[str, int]], request_id: str = "") -> EnrollFacesResponse:
        answer = enroll(self.server, "g", *_items(enrolled), request_id=request_id)
        for outcome, (subject, vector) in zip(answer.outcomes, enrolled, strict=True):
            face_id = int(outcome.result.faces[0].face.rpartition("/")[2])
            assert face_id not in self.model.faces
            self.model.faces[face_id] = (subject, vector)
            self.model.order.setdefault(subject, next(self.numbers))
        return answer

    @rule(pick=st.integers(0, 1000))
    def delete_face(self, pick: int) -> None:
        if self.model.faces:
            face_id = sorted(self.model.faces)[pick % len(self.model.faces)]
            subject, _ = self.model.faces.pop(face_id)
            name = f"{PARENT}/subjects/{subject}/faces/{face_id}"
            self.server.galleries.DeleteFace(galleries.DeleteFaceRequest(name=name))

    @rule(subject=subjects)
    def delete_subject(self, subject: str) -> None:
        gone = [face_id for face_id, (owner, _) in self.model.faces.items() if owner == subject]
        if gone:
            request = galleries.DeleteSubjectRequest(name=f"{PARENT}/subjects/{subject}")
            assert self.server.galleries.DeleteSubject(request).deleted_faces == len(gone)
            for face_id in gone:
                del self.model.faces[face_id]
            del self.model.order[subject]

    @rule(gamma=st.none() | gates, gamma_gallery=st.none() | gates, margin=st.none() | st.sampled_from([0.05, 0.4]))
    def change_policy(self, gamma: float | None, gamma_gallery: float | None, margin: float | None) -> None:
        self.model.gamma, self.model.gamma_gallery, self.model.margin = gamma, gamma_gallery, margin
        wanted = gallery_pb2.Gallery(name=PARENT, gamma=gamma, gamma_gallery=gamma_gallery, margin=margin)
        self.update(wanted, "gamma", "gamma_gallery", "margin")

    @rule(profile=st.integers(0, 1), enhance=st.booleans())
    def change_profile(self, profile: int, enhance: bool) -> None:
        self.model.profile, self.model.enhance = profile, enhance
        wanted = gallery_pb2.Gallery(name=PARENT, profile=self.profile_names[profile], enhance_features=enhance)
        self.update(wanted, "profile", "enhance_features")

    @rule(by_template=st.booleans(), weighting=st.sampled_from(Weighting), media_pooling=st.booleans())
    def change_search(self, by_template: bool, weighting: Weighting, media_pooling: bool) -> None:
        self.model.by_template = by_template
        if not by_template:
            best = gallery_pb2.Gallery(name=PARENT, subject_search=gallery_pb2.SUBJECT_SEARCH_BEST_FACE)
            self.update(best, "subject_search")
            return
        self.model.weighting, self.model.media_pooling = weighting, media_pooling
        wanted = gallery_pb2.Gallery(
            name=PARENT,
            subject_search=gallery_pb2.SUBJECT_SEARCH_TEMPLATE,
            template_weighting=face_input_pb2.Weighting.Value(f"WEIGHTING_{weighting.value}"),
            template_media_pooling=media_pooling,
        )
        self.update(wanted, "subject_search", "template_weighting", "template_media_pooling")

    def update(self, gallery: gallery_pb2.Gallery, *paths: str) -> None:
        request = galleries.UpdateGalleryRequest(gallery=gallery, update_mask=FieldMask(paths=paths))
        self.server.galleries.UpdateGallery(request)

    @rule()
    def restart(self) -> None:
        self.stop()
        self.start()

    @rule(vector=vectors, gamma=gates, gate=gates, k=st.sampled_from([1, 2, 50]), filtered=st.booleans())
    def identify_under_own_gates(self, vector: int, gamma: float, gate: float, k: int, filtered: bool) -> None:
        wishes = {"max_candidates": k, "include_filtered": filtered}
        model = replace(self.model, gamma=gamma, gamma_gallery=gate)
        self.compare(vector, model.policy(**wishes), {"gamma": gamma, "gamma_gallery": gate, **wishes})

    @rule(vector=vectors)
    def identify(self, vector: int) -> None:
        self.compare(vector, self.model.policy(), {})

    def compare(self, vector: int, policy: Policy, wishes: dict[str, object]) -> None:
        answer = identify(self.server, "g", POOL[vector], **wishes).identification
        profile = PROFILES[self.model.profile]
        faces = self.templates(profile) if self.model.by_template else self.faces(profile)
        expected = oracle.identify(faces, oracle.derive(profile, self.model.enhance, STORED[vector]), policy)
        assert pb.Decision.Name(answer.decision) == f"DECISION_{expected.decision.value}"
        assert [pb.UnsureReason.Name(reason) for reason in answer.reasons] == [
            f"UNSURE_REASON_{reason.value}" for reason in expected.reasons
        ]
        for found, wanted in ((answer.candidates, expected.candidates), (answer.filtered, expected.filtered)):
            if self.model.by_template:
                assert all(c.face == "" for c in found)
            else:
                assert [int(c.face.rpartition("/")[2]) for c in found] == [hit.face_id for hit in wanted]
            assert [self.model.order[c.subject.rpartition("/")[2]] for c in found] == [hit.subject_id for hit in wanted]
            assert [c.ers for c in found] == [hit.ers for hit in wanted]
            assert np.allclose([c.similarity for c in found], [hit.score for hit in wanted], rtol=0, atol=1e-12)

    def faces(self, profile: Profile) -> list[oracle.Face]:
        return [
            oracle.Face(face_id, self.model.order[subject], oracle.derive(profile, self.model.enhance, STORED[stored]))
            for face_id, (subject, stored) in self.model.faces.items()
        ]

    def templates(self, profile: Profile) -> list[oracle.Face]:
        members: dict[int, list[tuple[FloatRows, str]]] = {}
        for _, (subject, stored) in sorted(self.model.faces.items()):
            members.setdefault(self.model.order[subject], []).append((STORED[stored], media_of(stored)))
        return oracle.template_subjects(
            profile, self.model.enhance, members, self.model.weighting, self.model.media_pooling
        )

    @rule(subject=subjects, vector=vectors)
    def verify(self, subject: str, vector: int) -> None:
        if not any(owner == subject for owner, _ in self.model.faces.values()):
            return
        request = pb.VerifyRequest(gallery=PARENT, probe=probe(POOL[vector]), subject=f"{PARENT}/subjects/{subject}")
        answer = self.server.identification.Verify(request)
        profile = PROFILES[self.model.profile]
        faces = self.templates(profile) if self.model.by_template else self.faces(profile)
        wanted = oracle.derive(profile, self.model.enhance, STORED[vector])
        expected = oracle.verify_subject(faces, wanted, self.model.order[subject], self.model.policy())
        assert pb.Decision.Name(answer.decision) == f"DECISION_{expected.decision.value}"
        if expected.similarity is not None:
            assert abs(answer.similarity - expected.similarity) <= 1e-12
            assert (answer.reference_face == "") == self.model.by_template

    @invariant()
    def the_counts_are_those_of_the_model(self) -> None:
        counts = self.server.gallery("g").counts
        profile, gate = PROFILES[self.model.profile], self.model.policy().gamma_gallery
        searchable = [oracle.derive(profile, False, STORED[v]).ers >= gate for _, v in self.model.faces.values()]
        assert (counts.faces, counts.searchable_faces) == (len(self.model.faces), sum(searchable))

    @rule(subject=subjects, vector=vectors)
    def a_subject_is_found_up_to_its_own_ers_and_no_further(self, subject: str, vector: int) -> None:
        if not (self.model.by_template and any(owner == subject for owner, _ in self.model.faces.values())):
            return
        name = f"{PARENT}/subjects/{subject}"
        ers = self.server.galleries.GetSubject(galleries.GetSubjectRequest(name=name)).subject.template_ers
        for gate in (ers, float(np.nextafter(ers, 2.0))):
            if gate <= 1.0:
                wishes = {"include_filtered": True, "max_candidates": 50}
                model = replace(self.model, gamma=0.0, gamma_gallery=gate)
                self.compare(vector, model.policy(**wishes), {"gamma": 0.0, "gamma_gallery": gate, **wishes})


def _items(enrolled: list[tuple[str, int]]) -> list[Enrollment]:
    return [item(subject, POOL[vector], media_id=media_of(vector)) for subject, vector in enrolled]


ServiceMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestAnyHistoryOfAServiceIsAnsweredAsByBruteForce = ServiceMachine.TestCase
