import numpy as np
import pytest
from ersgallery_client import (
    Decision,
    Disposition,
    Enrollment,
    EnrollmentReason,
    EnrollmentWarning,
    GalleryClient,
    LowErsPolicy,
    SearchPolicy,
    Template,
    TemplateMember,
    UnsureReason,
    Weighting,
    errors,
)

from tests.support.toy_faces import DIMENSION, clear_faces, poor_faces

FACES = clear_faces(5)
POOR = poor_faces(3, seed=1)
NAMES = [f"subject-{i}" for i in range(5)]


@pytest.fixture
def enrolled(client: GalleryClient, gallery: str) -> str:
    """Enrol five clear faces and a poor one of a sixth subject."""
    items = [Enrollment(name, face) for name, face in zip(NAMES, FACES, strict=True)]
    batch = client.enroll(gallery, [*items, Enrollment("poor", POOR[0], metadata={"door": "3"})])
    assert [outcome.disposition for outcome in batch.outcomes] == [Disposition.ACCEPTED] * 5 + [Disposition.LOW_ERS]
    return gallery


def test_a_probe_is_matched_rejected_or_unsure(client: GalleryClient, enrolled: str) -> None:
    match, stranger, unsure = (client.identify(enrolled, face) for face in (FACES[2], clear_faces(1, 9)[0], POOR[0]))
    assert match.match is not None
    assert (match.match.subject_id, round(match.match.similarity, 6)) == ("subject-2", 1.0)
    assert stranger.decision is Decision.NO_MATCH
    assert (unsure.decision, unsure.reasons) == (Decision.UNSURE, (UnsureReason.PROBE_UNRECOGNIZABLE,))
    assert unsure.candidates == ()
    assert (match.applied.profile, match.applied.policy.gamma, match.applied.policy.tau) == ("toy@1", 0.5, 0.5)


def test_with_the_gates_off_a_poor_probe_finds_the_poor_face(client: GalleryClient, enrolled: str) -> None:
    found = client.identify(enrolled, POOR[1], policy=SearchPolicy(gamma=0.0, gamma_gallery=0.0))
    assert found.match is not None
    assert found.match.subject_id == "poor"


def test_filtered_subjects_are_told_apart_on_request(client: GalleryClient, enrolled: str) -> None:
    found = client.identify(enrolled, POOR[1], policy=SearchPolicy(gamma=0.0, include_filtered=True))
    assert found.decision is Decision.NO_MATCH
    assert [candidate.subject_id for candidate in found.filtered] == ["poor"]


def test_matrix_list_stream_and_single_calls_agree(client: GalleryClient, enrolled: str) -> None:
    probes = np.concatenate([FACES, clear_faces(4, 9), POOR])
    singles = [client.identify(enrolled, probe) for probe in probes]
    matrix = client.identify_batch(enrolled, probes)
    listed = client.identify_batch(enrolled, list(probes))
    streamed = list(client.identify_stream(enrolled, [probes[:5], list(probes[5:])]))
    assert [len(batch) for batch in streamed] == [5, 7]
    for answers in (list(matrix), list(listed), [answer for batch in streamed for answer in batch]):
        assert [answer.decision for answer in answers] == [single.decision for single in singles]
        assert [answer.reasons for answer in answers] == [single.reasons for single in singles]
        assert [answer.candidates for answer in answers] == [single.candidates for single in singles]
    np.testing.assert_array_equal(matrix.ers, listed.ers)


def test_a_row_that_is_no_embedding_does_not_harm_the_others(client: GalleryClient, enrolled: str) -> None:
    probes = FACES.copy()
    probes[1, 0] = np.nan
    for batch in (client.identify_batch(enrolled, probes), client.identify_batch(enrolled, list(probes))):
        assert list(batch.errors) == [1]
        assert isinstance(batch.errors[1], errors.InvalidEmbedding)
        assert (batch.decisions == Decision.MATCH).tolist() == [True, False, True, True, True]


def test_a_template_is_one_probe_and_tells_of_its_members(client: GalleryClient, enrolled: str) -> None:
    members = [TemplateMember(FACES[3], "video-1"), POOR[2], np.zeros(DIMENSION)]
    found = client.identify(
        enrolled, Template(members, Weighting.SQUARE, media_pooling=True), policy=SearchPolicy(gamma=0.0)
    )
    assert found.match is not None
    assert found.match.subject_id == "subject-3"
    assert [member.error is None for member in found.members] == [True, True, False]
    assert isinstance(found.members[2].error, errors.InvalidEmbedding)


def test_verify_compares_probes_and_subjects(client: GalleryClient, enrolled: str) -> None:
    same = client.verify(enrolled, FACES[0], FACES[0] * 3)
    other = client.verify(enrolled, FACES[0], FACES[1])
    subject = client.verify(enrolled, FACES[0], subject="subject-0")
    poor = client.verify(enrolled, FACES[0], subject="poor")
    assert [answer.decision for answer in (same, other, subject)] == [
        Decision.MATCH,
        Decision.NO_MATCH,
        Decision.MATCH,
    ]
    assert subject.reference_face_id is not None
    assert (poor.decision, poor.reasons) == (Decision.UNSURE, (UnsureReason.REFERENCE_UNRECOGNIZABLE,))


def test_score_agrees_with_what_enrolment_said(client: GalleryClient, enrolled: str) -> None:
    scores = client.score([FACES[0], POOR[0]], gallery=enrolled, include_embeddings=True)
    assert [face.recognizable for face in scores.faces] == [True, False]
    assert (scores.profile, scores.gamma) == ("toy@1", 0.5)
    embedding = scores.faces[0].embedding
    assert embedding is not None
    np.testing.assert_allclose(embedding, FACES[0] / np.linalg.norm(FACES[0]), atol=1e-6)


def test_subjects_and_faces_can_be_looked_through_and_deleted(client: GalleryClient, enrolled: str) -> None:
    assert [subject.id for subject in client.list_subjects(enrolled, page_size=2)] == sorted([*NAMES, "poor"])
    faces = list(client.list_faces(enrolled, page_size=4))
    assert [face.searchable for face in faces] == [True] * 5 + [False]
    (poor,) = client.list_faces(enrolled, "poor")
    assert poor.metadata == {"door": "3"}
    assert client.get_face(enrolled, "poor", poor.id) == poor
    changed = client.update_face(enrolled, "poor", poor.id, metadata={"door": "4"})
    assert changed.metadata == {"door": "4"}
    client.delete_face(enrolled, "poor", poor.id)
    assert client.delete_subject(enrolled, "subject-2").deleted_faces == 1
    assert client.identify(enrolled, FACES[2]).decision is Decision.NO_MATCH
    with pytest.raises(errors.SubjectNotFound):
        client.get_subject(enrolled, "subject-2")
    with pytest.raises(errors.FaceNotFound):
        client.get_face(enrolled, "poor", poor.id)
    with pytest.raises(errors.ImageNotStored):
        client.get_face_image(enrolled, "subject-1", faces[1].id)


def test_settings_change_and_go_back_to_their_defaults(client: GalleryClient, enrolled: str) -> None:
    changed = client.update_gallery(enrolled, gamma=0.0, gamma_gallery=0.0, display_name="Staff")
    assert (changed.gamma, changed.effective.gamma_gallery, changed.counts.searchable_faces) == (0.0, 0.0, 6)
    back = client.update_gallery(enrolled, gamma=None, gamma_gallery=None, etag=changed.etag)
    assert (back.gamma, back.effective.gamma, back.counts.searchable_faces) == (None, 0.5, 5)
    assert back.display_name == "Staff"
    with pytest.raises(errors.EtagMismatch):
        client.update_gallery(enrolled, tau=0.25, etag=changed.etag)


def test_a_gallery_that_rejects_low_ers_says_so(client: GalleryClient, gallery: str) -> None:
    client.update_gallery(gallery, low_ers=LowErsPolicy.REJECT)
    (outcome,) = client.enroll(gallery, [Enrollment("poor", POOR[0])]).outcomes
    assert outcome.disposition is Disposition.REJECTED
    assert outcome.faces[0].reasons == (EnrollmentReason.LOW_ERS,)
    assert client.get_gallery(gallery).counts.faces == 0


def test_an_enrolment_that_leaves_a_subject_unsearchable_warns(client: GalleryClient, gallery: str) -> None:
    (outcome,) = client.enroll(gallery, [Enrollment("poor", POOR[0])]).outcomes
    assert EnrollmentWarning.SUBJECT_NOT_SEARCHABLE in outcome.warnings


def test_what_the_server_refuses_has_its_own_class(client: GalleryClient, enrolled: str) -> None:
    with pytest.raises(errors.GalleryExists):
        client.create_gallery(enrolled, profile="toy", tau=0.5)
    with pytest.raises(errors.ProfileNotFound):
        client.create_gallery("other", profile="nobody", tau=0.5)
    with pytest.raises(errors.InvalidRequest) as caught:
        client.create_gallery("other", profile="toy", tau=5.0)
    assert [violation.field for violation in caught.value.violations] == ["gallery.tau"]
    with pytest.raises(errors.GalleryNotFound):
        client.identify("nobody", FACES[0])
    with pytest.raises(errors.InvalidEmbedding):
        client.identify(enrolled, [1.0, 2.0])
    with pytest.raises(errors.SubjectExists):
        client.create_subject(enrolled, "poor")
    with pytest.raises(errors.SubjectNotFound):
        client.verify(enrolled, FACES[0], subject="nobody")
    with pytest.raises(errors.InvalidRequest):
        client.enroll(enrolled, [])
    client.enroll(enrolled, [Enrollment("ada", FACES[0])], request_id="twice")
    with pytest.raises(errors.RequestIdReused):
        client.enroll(enrolled, [Enrollment("eve", FACES[0])], request_id="twice")


def test_a_deleted_gallery_is_gone(client: GalleryClient, enrolled: str) -> None:
    assert client.delete_gallery(enrolled).deleted_faces == 6
    with pytest.raises(errors.GalleryNotFound):
        client.get_gallery(enrolled)
    assert enrolled not in [gallery.id for gallery in client.list_galleries(page_size=1)]


def test_profiles_have_versions(client: GalleryClient) -> None:
    centroids = np.eye(2, DIMENSION)[1:]
    first = client.create_profile(
        "versions", model="toy", centroids=centroids, gamma=0.25, mean=np.full(DIMENSION, 0.1)
    )
    again = client.create_profile(
        "versions", model="toy", centroids=centroids, gamma=0.25, mean=np.full(DIMENSION, 0.1)
    )
    second = client.create_profile("versions", model="toy", centroids=centroids, gamma=0.75)
    assert first.reference == again.reference
    assert (second.version, second.mean) == (first.version + 1, None)
    assert client.get_profile("versions").version == second.version
    assert first.mean is not None
    np.testing.assert_allclose(client.get_profile(first.reference).centroids, centroids)
    assert {first.reference, second.reference} <= {profile.reference for profile in client.list_profiles(page_size=1)}
