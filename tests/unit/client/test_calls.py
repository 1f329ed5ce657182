"""Every call: what it sends, and how its answer reads."""

from datetime import UTC, datetime
from typing import Any

import grpc
import numpy as np
import pytest
from ersgallery.v1 import (
    enrollment_service_pb2 as enrollment,
)
from ersgallery.v1 import (
    face_input_pb2 as face_input,
)
from ersgallery.v1 import (
    gallery_pb2,
)
from ersgallery.v1 import (
    gallery_service_pb2 as gallery,
)
from ersgallery.v1 import (
    identification_service_pb2 as identification,
)
from ersgallery.v1 import (
    recognizability_service_pb2 as recognizability,
)
from ersgallery_client import (
    Decision,
    Disposition,
    Enrollment,
    EnrollmentReason,
    EnrollmentWarning,
    ErasedDatabase,
    Erasure,
    GalleryClient,
    LowErsPolicy,
    SearchPolicy,
    SeveralFacesPolicy,
    UnsureReason,
    errors,
)
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.wire_server import WireServer, status

TIME = Timestamp(seconds=1_700_000_000)
VECTOR = np.array([3.0, 4.0], np.float32)
PACKED = face_input.Embedding(packed=VECTOR.astype("<f4").tobytes())
PROBE = face_input.Probe(embedding=PACKED)
GALLERY = gallery_pb2.Gallery(
    name="galleries/g",
    display_name="Staff",
    profile="profiles/sface@2",
    model="sface",
    dimension=2,
    gamma=0.0,
    tau=0.5,
    several_faces=face_input.SEVERAL_FACES_POLICY_REJECT,
    low_ers=gallery_pb2.LOW_ERS_POLICY_STORE,
    effective=gallery_pb2.EffectivePolicy(gamma=0.0, gamma_gallery=0.25, tau=0.5, margin=0.0),
    counts=gallery_pb2.GalleryCounts(subjects=1, faces=2, searchable_faces=1),
    revision=9,
    index=gallery_pb2.IndexDescription(kind="exact", device="cpu", precision="exact-float64"),
    etag="e1",
    create_time=TIME,
    update_time=TIME,
)
SUBJECT = gallery_pb2.Subject(
    name="galleries/g/subjects/ada", display_name="Ada", metadata={"door": "3"}, face_count=2, searchable_face_count=1
)
ERS = face_input.Recognizability(ers=0.75, raw_ers=0.75, embedding_norm=12.5)
FACE = gallery_pb2.Face(
    name="galleries/g/subjects/ada/faces/17", recognizability=ERS, searchable=True, media_id="m", create_time=TIME
)
PROFILE = recognizability.Profile(
    name="profiles/sface@2",
    model="sface",
    dimension=2,
    mean=PACKED,
    centroids=face_input.EmbeddingMatrix(packed=PACKED.packed, rows=1, dimension=2),
    gamma=0.625,
    sha256="ab",
)


def sent(wire: WireServer) -> Message:
    return wire.received[-1]


KEPT_UNTIL = datetime(2026, 11, 24, 12, tzinfo=UTC)
RECEIPT = gallery_pb2.Erasure(
    deleted_subjects=1,
    deleted_faces=2,
    deleted_images=3,
    recomputed_templates=4,
    database=gallery_pb2.Erasure.DATABASE_PENDING,
    names_kept_until_time=Timestamp(seconds=int(KEPT_UNTIL.timestamp())),
)


def test_create_gallery_sends_the_given_settings_and_only_those(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("CreateGallery", gallery.CreateGalleryResponse(gallery=GALLERY))
    made = client.create_gallery("g", profile="sface", tau=0.5, gamma=0.0, low_ers=LowErsPolicy.REJECT)
    assert sent(wire) == gallery.CreateGalleryRequest(
        gallery_id="g",
        gallery=gallery_pb2.Gallery(
            profile="profiles/sface", tau=0.5, gamma=0.0, low_ers=gallery_pb2.LOW_ERS_POLICY_REJECT
        ),
    )
    assert (made.id, made.profile, made.model, made.dimension, made.etag) == ("g", "sface@2", "sface", 2, "e1")
    assert (made.gamma, made.gamma_gallery, made.margin, made.tau) == (0.0, None, None, 0.5)
    assert (made.effective.gamma_gallery, made.effective.margin) == (0.25, 0.0)
    assert (made.several_faces, made.low_ers) == (SeveralFacesPolicy.REJECT, LowErsPolicy.STORE)
    assert (made.counts.subjects, made.counts.faces, made.counts.searchable_faces, made.revision) == (1, 2, 1, 9)
    assert made.create_time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_get_gallery_names_it(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("GetGallery", gallery.GetGalleryResponse(gallery=GALLERY))
    assert client.get_gallery("g").display_name == "Staff"
    assert sent(wire) == gallery.GetGalleryRequest(name="galleries/g")


def test_update_gallery_masks_what_is_given_and_none_is_a_default(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("UpdateGallery", gallery.UpdateGalleryResponse(gallery=GALLERY))
    client.update_gallery(
        "g", tau=0.25, gamma=None, enhance_features=False, several_faces=SeveralFacesPolicy.LARGEST, etag="e1"
    )
    request = sent(wire)
    assert isinstance(request, gallery.UpdateGalleryRequest)
    assert list(request.update_mask.paths) == ["enhance_features", "gamma", "several_faces", "tau"]
    assert request.gallery == gallery_pb2.Gallery(
        name="galleries/g", tau=0.25, several_faces=face_input.SEVERAL_FACES_POLICY_LARGEST, etag="e1"
    )


def test_an_update_without_fields_is_refused(client: GalleryClient) -> None:
    with pytest.raises(ValueError, match="at least one"):
        client.update_gallery("g")
    with pytest.raises(ValueError, match="at least one"):
        client.update_subject("g", "ada")


def test_delete_gallery_gives_a_receipt(client: GalleryClient, wire: WireServer) -> None:
    wire.answer(
        "DeleteGallery",
        gallery.DeleteGalleryResponse(
            deleted_faces=5, erasure=gallery_pb2.Erasure(deleted_subjects=2, deleted_faces=5)
        ),
    )
    assert client.delete_gallery("g", etag="e1") == Erasure(0, 2, 5, 0, 0, ErasedDatabase.UNSPECIFIED, None)
    assert sent(wire) == gallery.DeleteGalleryRequest(name="galleries/g", etag="e1")


def test_a_list_fetches_a_page_when_it_is_reached(client: GalleryClient, wire: WireServer) -> None:
    wire.answer(
        "ListSubjects",
        gallery.ListSubjectsResponse(subjects=[SUBJECT, SUBJECT], next_page_token="t1"),
        gallery.ListSubjectsResponse(next_page_token="t2"),
        gallery.ListSubjectsResponse(subjects=[SUBJECT]),
    )
    subjects = client.list_subjects("g", page_size=2)
    assert next(subjects).id == "ada"
    assert len(wire.received) == 1
    assert len(list(subjects)) == 2
    assert wire.received == [
        gallery.ListSubjectsRequest(parent="galleries/g", page_size=2, page_token=token) for token in ("", "t1", "t2")
    ]


def test_list_galleries_and_profiles_and_faces_ask_for_their_own(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("ListGalleries", gallery.ListGalleriesResponse(galleries=[GALLERY]))
    wire.answer("ListProfiles", recognizability.ListProfilesResponse(profiles=[PROFILE]))
    wire.answer("ListFaces", gallery.ListFacesResponse(faces=[FACE]))
    assert [g.id for g in client.list_galleries()] == ["g"]
    assert [p.reference for p in client.list_profiles()] == ["sface@2"]
    assert [f.id for f in client.list_faces("g")] == [17]
    assert [f.id for f in client.list_faces("g", "ada")] == [17]
    parents = [request.parent for request in wire.received if isinstance(request, gallery.ListFacesRequest)]
    assert parents == ["galleries/g/subjects/-", "galleries/g/subjects/ada"]


def test_subjects_are_made_read_changed_and_deleted(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("CreateSubject", gallery.CreateSubjectResponse(subject=SUBJECT))
    wire.answer("GetSubject", gallery.GetSubjectResponse(subject=SUBJECT))
    wire.answer("UpdateSubject", gallery.UpdateSubjectResponse(subject=SUBJECT))
    wire.answer("DeleteSubject", gallery.DeleteSubjectResponse(revision=9, erasure=RECEIPT))
    client.create_subject("g", "ada", display_name="Ada", metadata={"door": "3"})
    found = client.get_subject("g", "ada")
    client.update_subject("g", "ada", metadata={}, etag="e")
    assert client.delete_subject("g", "ada") == Erasure(9, 1, 2, 3, 4, ErasedDatabase.PENDING, KEPT_UNTIL)
    assert (found.gallery_id, found.id, found.metadata) == ("g", "ada", {"door": "3"})
    assert (found.face_count, found.searchable_face_count) == (2, 1)
    created, _, updated, deleted = wire.received
    assert created == gallery.CreateSubjectRequest(
        parent="galleries/g",
        subject_id="ada",
        subject=gallery_pb2.Subject(display_name="Ada", metadata={"door": "3"}),
    )
    assert isinstance(updated, gallery.UpdateSubjectRequest)
    assert list(updated.update_mask.paths) == ["metadata"]
    assert updated.subject == gallery_pb2.Subject(name="galleries/g/subjects/ada", etag="e")
    assert deleted == gallery.DeleteSubjectRequest(name="galleries/g/subjects/ada")


def test_faces_are_read_changed_and_deleted(client: GalleryClient, wire: WireServer) -> None:
    name = "galleries/g/subjects/ada/faces/17"
    wire.answer("GetFace", gallery.GetFaceResponse(face=FACE))
    wire.answer("GetFaceImage", gallery.GetFaceImageResponse(content=b"jpeg"))
    wire.answer("UpdateFace", gallery.UpdateFaceResponse(face=FACE))
    wire.answer("DeleteFace", gallery.DeleteFaceResponse(revision=10))
    found = client.get_face("g", "ada", 17)
    assert (found.gallery_id, found.subject_id, found.id, found.media_id) == ("g", "ada", 17, "m")
    assert (found.recognizability.ers, found.recognizability.box, found.searchable) == (0.75, None, True)
    assert client.get_face_image("g", "ada", 17) == b"jpeg"
    client.update_face("g", "ada", 17, metadata={"a": "b"})
    assert client.delete_face("g", "ada", 17).revision == 10
    asked, image, updated, deleted = wire.received
    assert asked == gallery.GetFaceRequest(name=name)
    assert image == gallery.GetFaceImageRequest(name=name)
    assert isinstance(updated, gallery.UpdateFaceRequest)
    assert (list(updated.update_mask.paths), dict(updated.face.metadata)) == (["metadata"], {"a": "b"})
    assert deleted == gallery.DeleteFaceRequest(name=name)


@pytest.mark.parametrize("identifier", ["", "ada/faces/17"])
def test_an_id_that_would_name_something_else_is_refused(client: GalleryClient, identifier: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        client.delete_subject("g", identifier)
    assert [violation.field for violation in caught.value.violations] == ["subject"]


def test_a_profile_travels_with_its_vectors(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("CreateProfile", recognizability.CreateProfileResponse(profile=PROFILE))
    wire.answer("GetProfile", recognizability.GetProfileResponse(profile=PROFILE))
    made = client.create_profile("sface", model="sface", centroids=VECTOR[None], gamma=0.625, mean=VECTOR)
    assert (made.id, made.version, made.reference, made.gamma, made.sha256) == ("sface", 2, "sface@2", 0.625, "ab")
    assert made.mean is not None
    assert (made.mean.tolist(), made.centroids.tolist()) == ([3.0, 4.0], [[3.0, 4.0]])
    request = sent(wire)
    assert isinstance(request, recognizability.CreateProfileRequest)
    assert (request.profile.mean, request.profile.dimension) == (PACKED, 2)
    client.get_profile("sface@2")
    assert sent(wire) == recognizability.GetProfileRequest(name="profiles/sface@2")


def test_a_profile_without_mean_sends_and_reads_none(client: GalleryClient, wire: WireServer) -> None:
    plain = recognizability.Profile()
    plain.CopyFrom(PROFILE)
    plain.ClearField("mean")
    wire.answer("CreateProfile", recognizability.CreateProfileResponse(profile=plain))
    assert client.create_profile("sface", model="sface", centroids=VECTOR[None], gamma=0.625).mean is None
    request = sent(wire)
    assert isinstance(request, recognizability.CreateProfileRequest)
    assert not request.profile.HasField("mean")


def test_score_gives_a_score_or_an_error_for_each_face(client: GalleryClient, wire: WireServer) -> None:
    def answer(request: recognizability.ScoreRequest, _: Any) -> recognizability.ScoreResponse:
        good = recognizability.ScoreOutcome(
            score=recognizability.FaceScore(recognizability=ERS, recognizable=True, embedding=PACKED)
        )
        bad = recognizability.ScoreOutcome(error=status(grpc.StatusCode.INVALID_ARGUMENT, "NO_FACE"))
        outcomes = [bad if member.HasField("image") else good for member in request.faces]
        return recognizability.ScoreResponse(outcomes=outcomes, profile="profiles/sface@2", gamma=0.625)

    wire.on("Score", answer)
    scores = client.score([VECTOR, b"jpeg"] * 200, gallery="g", include_embeddings=True)
    assert (scores.profile, scores.gamma, len(scores.faces), len(wire.received)) == ("sface@2", 0.625, 400, 2)
    good, bad = scores.faces[-2:]
    assert good.embedding is not None
    assert (good.recognizable, good.embedding.tolist(), good.error) == (True, [3.0, 4.0], None)
    assert isinstance(bad.error, errors.NoFace)
    assert (bad.recognizability, bad.recognizable) == (None, False)
    request = sent(wire)
    assert isinstance(request, recognizability.ScoreRequest)
    assert (request.gallery, request.include_embeddings) == ("galleries/g", True)


def test_enroll_reads_every_kind_of_outcome(client: GalleryClient, wire: WireServer) -> None:
    low = enrollment.FaceOutcome(
        disposition=enrollment.DISPOSITION_LOW_ERS,
        reasons=[enrollment.ENROLLMENT_REASON_LOW_ERS],
        face="galleries/g/subjects/ada/faces/17",
        recognizability=ERS,
    )
    rejected = enrollment.FaceOutcome(
        disposition=enrollment.DISPOSITION_REJECTED, reasons=[enrollment.ENROLLMENT_REASON_NO_FACE], detail="none"
    )
    result = enrollment.EnrollmentResult(
        disposition=enrollment.DISPOSITION_LOW_ERS,
        subject="galleries/g/subjects/ada",
        faces=[low, rejected],
        warnings=[enrollment.ENROLLMENT_WARNING_SUBJECT_NOT_SEARCHABLE],
    )
    wire.answer(
        "EnrollFaces",
        enrollment.EnrollFacesResponse(
            outcomes=[
                enrollment.EnrollmentOutcome(result=result),
                enrollment.EnrollmentOutcome(error=status(grpc.StatusCode.INVALID_ARGUMENT, "MODEL_MISMATCH")),
            ],
            revision=4,
        ),
    )
    batch = client.enroll("g", [Enrollment("ada", VECTOR), Enrollment("bob", b"jpeg")], request_id="r1")
    first, second = batch.outcomes
    assert (batch.revision, first.disposition, first.subject_id, first.error) == (4, Disposition.LOW_ERS, "ada", None)
    assert first.warnings == (EnrollmentWarning.SUBJECT_NOT_SEARCHABLE,)
    assert [face.face_id for face in first.faces] == [17, None]
    assert first.faces[1].reasons == (EnrollmentReason.NO_FACE,)
    assert (first.faces[1].detail, first.faces[1].recognizability) == ("none", None)
    assert second.disposition is Disposition.REJECTED
    assert isinstance(second.error, errors.ModelMismatch)
    assert sent(wire) == enrollment.EnrollFacesRequest(
        parent="galleries/g",
        request_id="r1",
        enrollments=[
            enrollment.Enrollment(subject_id="ada", embedding=PACKED),
            enrollment.Enrollment(subject_id="bob", image=face_input.Image(content=b"jpeg")),
        ],
    )


def test_identify_sends_the_policy_and_reads_the_answer(client: GalleryClient, wire: WireServer) -> None:
    wire.answer(
        "Identify",
        identification.IdentifyResponse(
            identification=identification.Identification(
                decision=identification.DECISION_UNSURE,
                reasons=[identification.UNSURE_REASON_AMBIGUOUS],
                filtered=[
                    identification.Candidate(
                        subject="galleries/g/subjects/ada", face="galleries/g/subjects/ada/faces/17", similarity=0.5
                    )
                ],
                probe=ERS,
                members=[
                    identification.MemberOutcome(recognizability=ERS),
                    identification.MemberOutcome(error=status(grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_CORRUPT")),
                ],
            ),
            applied=identification.Applied(revision=9, profile="profiles/sface@2"),
        ),
    )
    answer = client.identify("g", VECTOR, policy=SearchPolicy(gamma=0.0, max_candidates=3, include_filtered=True))
    assert (answer.decision, answer.reasons) == (Decision.UNSURE, (UnsureReason.AMBIGUOUS,))
    assert [(c.subject_id, c.face_id) for c in answer.filtered] == [("ada", 17)]
    assert answer.members[0].error is None
    assert isinstance(answer.members[1].error, errors.ImageCorrupt)
    assert sent(wire) == identification.IdentifyRequest(
        gallery="galleries/g",
        probe=PROBE,
        policy=identification.SearchPolicy(gamma=0.0, max_candidates=3, include_filtered=True),
    )


def test_identify_without_a_policy_sends_none(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("Identify", identification.IdentifyResponse())
    client.identify("g", VECTOR)
    request = sent(wire)
    assert isinstance(request, identification.IdentifyRequest)
    assert not request.HasField("policy")


def test_verify_compares_with_a_probe_or_with_a_subject(client: GalleryClient, wire: WireServer) -> None:
    wire.answer(
        "Verify",
        identification.VerifyResponse(
            decision=identification.DECISION_MATCH,
            similarity=0.875,
            probe=ERS,
            reference=ERS,
            reference_face="galleries/g/subjects/ada/faces/17",
        ),
        identification.VerifyResponse(decision=identification.DECISION_UNSURE),
    )
    by_subject = client.verify("g", VECTOR, subject="ada")
    by_probe = client.verify("g", VECTOR, b"jpeg")
    assert (by_subject.decision, by_subject.similarity, by_subject.reference_face_id) == (Decision.MATCH, 0.875, 17)
    assert (by_probe.similarity, by_probe.probe, by_probe.reference_face_id) == (None, None, None)
    first, second = wire.received
    assert first == identification.VerifyRequest(gallery="galleries/g", probe=PROBE, subject="galleries/g/subjects/ada")
    assert isinstance(second, identification.VerifyRequest)
    assert second.reference_probe == face_input.Probe(image=face_input.Image(content=b"jpeg"))


def test_calls_that_need_one_of_two_refuse_none_and_both(client: GalleryClient) -> None:
    for reference, subject in ((None, None), (VECTOR, "ada")):
        with pytest.raises(ValueError, match="either"):
            client.verify("g", VECTOR, reference, subject=subject)
    for profile, in_gallery in ((None, None), ("p", "g")):
        with pytest.raises(ValueError, match="either"):
            client.score([VECTOR], profile=profile, gallery=in_gallery)
