"""Photographs through the whole service, with the real default model: what becomes of each, and what is kept."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from PIL import Image, ImageFilter

from tests.support.models import installed_models_dir, lfw_dir
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import read, refused

pytestmark = pytest.mark.real_faces


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("images")
    with running_server(settings(folder, installed_models_dir())) as running:
        yield running


@pytest.fixture(scope="module")
def people() -> list[list[bytes]]:
    """Return three photographs each of several people."""
    folders = sorted(folder for folder in (lfw_dir() / "lfw_small").iterdir() if len(list(folder.iterdir())) >= 3)
    return [[photo.read_bytes() for photo in sorted(folder.iterdir())[:3]] for folder in folders[:12]]


def as_jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def side_by_side(*photographs: bytes) -> bytes:
    images = [Image.open(io.BytesIO(photograph)).convert("RGB") for photograph in photographs]
    wide = Image.new("RGB", (sum(image.width for image in images), max(image.height for image in images)))
    left = 0
    for image in images:
        wide.paste(image, (left, 0))
        left += image.width
    return as_jpeg(wide)


def without_a_face() -> bytes:
    return as_jpeg(Image.fromarray(np.full((240, 320, 3), 127, np.uint8)))


def blurred(photograph: bytes) -> bytes:
    image = Image.open(io.BytesIO(photograph)).convert("RGB")
    return as_jpeg(image.filter(ImageFilter.GaussianBlur(9)))


def create(server: RunningServer, gallery_id: str, **fields: object) -> str:
    wanted = gallery_pb2.Gallery(profile="profiles/sface", tau=0.4, **fields)  # type: ignore[arg-type]
    server.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id=gallery_id, gallery=wanted))
    return f"galleries/{gallery_id}"


def enroll(server: RunningServer, parent: str, *images: tuple[str, bytes]) -> list[enrollment.EnrollmentOutcome]:
    items = [
        enrollment.Enrollment(subject_id=subject, image=face.Image(content=content)) for subject, content in images
    ]
    return list(server.enrollment.EnrollFaces(enrollment.EnrollFacesRequest(parent=parent, enrollments=items)).outcomes)


def identify(server: RunningServer, gallery: str, content: bytes, **policy: object) -> pb.Identification:
    probe = face.Probe(image=face.Image(content=content))
    wishes = pb.SearchPolicy(**policy)  # type: ignore[arg-type]
    request = pb.IdentifyRequest(gallery=gallery, probe=probe, policy=wishes)
    return server.identification.Identify(request).identification


def test_people_are_found_by_another_photograph_and_strangers_are_not(
    server: RunningServer, people: list[list[bytes]]
) -> None:
    gallery = create(server, "found")
    enrolled, strangers = people[:8], people[8:]
    outcomes = enroll(server, gallery, *((f"p{i}", photos[0]) for i, photos in enumerate(enrolled)))
    assert all(outcome.result.disposition == enrollment.DISPOSITION_ACCEPTED for outcome in outcomes)
    answers = [identify(server, gallery, photos[1]) for photos in enrolled]
    right = [
        answer.decision == pb.DECISION_MATCH and answer.candidates[0].subject == f"{gallery}/subjects/p{i}"
        for i, answer in enumerate(answers)
    ]
    assert sum(right) >= 7
    assert all(identify(server, gallery, photos[0]).decision != pb.DECISION_MATCH for photos in strangers)
    assert answers[0].probe.box.face_count >= 1
    assert answers[0].probe.embedding_norm > 1.0


def test_a_blurred_photograph_is_unsure_and_a_blurred_enrolment_is_low_ers(
    server: RunningServer, people: list[list[bytes]]
) -> None:
    gallery = create(server, "blurred")
    (outcome,) = enroll(server, gallery, ("blurred", blurred(people[0][0])))
    assert outcome.result.disposition == enrollment.DISPOSITION_LOW_ERS
    answer = identify(server, gallery, blurred(people[1][0]))
    assert answer.reasons == [pb.UNSURE_REASON_PROBE_UNRECOGNIZABLE]
    off = identify(server, gallery, blurred(people[1][0]), gamma=0.0, gamma_gallery=0.0)
    assert off.candidates[0].subject == f"{gallery}/subjects/blurred"


def test_what_becomes_of_unusable_photographs_at_enrolment(server: RunningServer, people: list[list[bytes]]) -> None:
    gallery = create(server, "unusable", several_faces=face.SEVERAL_FACES_POLICY_REJECT)
    good = people[0][0]
    outcomes = enroll(
        server,
        gallery,
        ("none", without_a_face()),
        ("two", side_by_side(good, people[1][0])),
        ("cut", good[: len(good) // 2]),
        ("gif", b"GIF89a..............................."),
        ("huge", b"\xff\xd8\xff" + bytes(21 << 20)),
        ("good", good),
    )
    reasons = [list(outcome.result.faces[0].reasons) for outcome in outcomes]
    assert reasons == [
        [enrollment.ENROLLMENT_REASON_NO_FACE],
        [enrollment.ENROLLMENT_REASON_SEVERAL_FACES],
        [enrollment.ENROLLMENT_REASON_IMAGE_CORRUPT],
        [enrollment.ENROLLMENT_REASON_IMAGE_FORMAT_UNSUPPORTED],
        [enrollment.ENROLLMENT_REASON_IMAGE_TOO_LARGE],
        [],
    ]
    assert "2 faces" in outcomes[1].result.faces[0].detail
    assert "20971520" in outcomes[4].result.faces[0].detail
    counts = server.gallery("unusable").counts
    assert (counts.faces, counts.acquisition_attempts, counts.failures_to_acquire) == (1, 6, 5)
    assert (counts.enrollment_attempts, counts.failures_to_enroll) == (6, 5)
    identify(server, gallery, without_a_face())
    assert server.gallery("unusable").counts.failures_to_acquire == 6


def test_what_becomes_of_unusable_photographs_as_probes(server: RunningServer, people: list[list[bytes]]) -> None:
    gallery = create(server, "probes")
    enroll(server, gallery, ("ann", people[0][0]))
    none = identify(server, gallery, without_a_face())
    assert (none.decision, list(none.reasons)) == (pb.DECISION_UNSURE, [pb.UNSURE_REASON_NO_FACE])
    two = side_by_side(people[0][0], people[1][0])
    rejected = identify(server, gallery, two, several_faces=face.SEVERAL_FACES_POLICY_REJECT)
    assert list(rejected.reasons) == [pb.UNSURE_REASON_SEVERAL_FACES]
    assert identify(server, gallery, two).probe.box.face_count == 2
    for content, reason in ((people[0][0][:3000], "IMAGE_CORRUPT"), (b"GIF89a" * 9, "IMAGE_FORMAT_UNSUPPORTED")):
        with refused() as refusal:
            identify(server, gallery, content)
        assert refusal.reason == reason
    images = [people[0][1], people[0][0][:3000], without_a_face()]
    template = face.Template(members=[face.TemplateMember(image=face.Image(content=image)) for image in images])
    batch = pb.ProbeList(
        probes=[
            face.Probe(image=face.Image(content=people[0][0][:3000])),
            face.Probe(template=template),
            face.Probe(image=face.Image(content=people[0][1])),
        ]
    )
    request = pb.BatchIdentifyRequest(gallery=gallery, list=batch)
    outcomes = server.identification.BatchIdentify(request).outcomes.outcomes
    assert read(outcomes[0].error).reason == "IMAGE_CORRUPT"
    members = outcomes[1].identification.members
    assert [read(member.error).reason for member in members[1:]] == ["IMAGE_CORRUPT", "NO_FACE"]
    assert members[0].recognizability.ers > 0.5
    alone, as_template = outcomes[2].identification, outcomes[1].identification
    assert as_template.candidates[0].similarity == pytest.approx(alone.candidates[0].similarity, abs=1e-6)


def test_a_photograph_is_kept_only_where_the_gallery_says_so(
    server: RunningServer, people: list[list[bytes]], tmp_path: Path
) -> None:
    keeping = create(server, "keeping", store_images=True)
    (outcome,) = enroll(server, keeping, ("ann", people[0][0]))
    name = outcome.result.faces[0].face
    image = server.galleries.GetFaceImage(galleries.GetFaceImageRequest(name=name))
    assert image.content == people[0][0]
    plain = create(server, "plain")
    (outcome,) = enroll(server, plain, ("ann", people[0][0]))
    with refused() as refusal:
        server.galleries.GetFaceImage(galleries.GetFaceImageRequest(name=outcome.result.faces[0].face))
    assert refusal.reason == "IMAGE_NOT_STORED"


def test_score_and_verify_take_photographs(server: RunningServer, people: list[list[bytes]]) -> None:
    gallery = create(server, "verified")
    request = recognizability.ScoreRequest(gallery=gallery, include_embeddings=True)
    for content in (people[0][0], blurred(people[0][0]), without_a_face()):
        request.faces.add().image.content = content
    outcomes = server.recognizability.Score(request).outcomes
    assert [outcome.score.recognizable for outcome in outcomes[:2]] == [True, False]
    assert read(outcomes[2].error).reason == "NO_FACE"
    assert len(outcomes[0].score.embedding.packed) == 4 * 128

    def verify(left: bytes, right: bytes) -> pb.VerifyResponse:
        probes = [face.Probe(image=face.Image(content=content)) for content in (left, right)]
        return server.identification.Verify(
            pb.VerifyRequest(gallery=gallery, probe=probes[0], reference_probe=probes[1])
        )

    assert verify(people[0][0], people[0][1]).decision == pb.DECISION_MATCH
    assert verify(people[0][0], people[1][1]).decision == pb.DECISION_NO_MATCH
    assert list(verify(people[0][0], without_a_face()).reasons) == [pb.UNSURE_REASON_NO_FACE]
