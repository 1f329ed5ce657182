"""Hygiene on real photographs, with the default model: what was spoilt or enrolled twice is found, and nothing else."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from ersgallery_client import Disposition, DuplicateCheck, Enrollment, EnrollmentWarning, GalleryClient, errors
from ersgallery_client.values.hygiene import DuplicateReport, MagnetAdvice, MagnetReport
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tests.support.models import installed_models_dir, lfw_dir
from tests.support.server import running_server, settings

pytestmark = pytest.mark.real_faces

TAU = 0.45
PEOPLE = 12
SPOILT = 5


@dataclass(frozen=True)
class Photographs:
    """Three photographs each of some people, and blurred ones of others, who are in no other photograph."""

    people: dict[str, list[bytes]]
    spoilt: dict[str, bytes]
    strangers: list[bytes]


@pytest.fixture(scope="module")
def photographs() -> Photographs:
    folders = sorted((lfw_dir() / "lfw_small").iterdir())
    several = [folder for folder in folders if len(list(folder.iterdir())) >= 3][:PEOPLE]
    singles = [folder for folder in folders if len(list(folder.iterdir())) == 1]
    return Photographs(
        {folder.name: [photo.read_bytes() for photo in sorted(folder.iterdir())[:3]] for folder in several},
        {folder.name: blurred(next(folder.iterdir()).read_bytes()) for folder in singles[:SPOILT]},
        [blurred(next(folder.iterdir()).read_bytes()) for folder in singles[SPOILT : 3 * SPOILT]],
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GalleryClient]:
    configured = settings(tmp_path_factory.mktemp("hygiene"), installed_models_dir())
    with running_server(configured) as server, GalleryClient(server.address) as connected:
        yield connected


@pytest.fixture(scope="module")
def gallery(client: GalleryClient, photographs: Photographs) -> str:
    """Enrol everybody without a gallery gate, four of the people under a second id too."""
    client.create_gallery("open", profile="sface", tau=TAU, gamma_gallery=0.0)
    items = [Enrollment(name, photo) for name, photos in photographs.people.items() for photo in photos[:2]]
    items += [Enrollment(f"{name}-again", photos[2]) for name, photos in list(photographs.people.items())[:4]]
    items += [Enrollment(name, photo) for name, photo in photographs.spoilt.items()]
    outcomes = client.enroll("open", items).outcomes
    assert all(outcome.disposition is Disposition.ACCEPTED for outcome in outcomes)
    return "open"


def blurred(photograph: bytes) -> bytes:
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(photograph)).convert("RGB")
    image.filter(ImageFilter.GaussianBlur(9)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def test_spoilt_enrolments_are_the_magnets_where_the_gate_is_off(
    client: GalleryClient, gallery: str, photographs: Photographs
) -> None:
    report = client.wait_operation(client.find_magnets(gallery).id).result
    assert isinstance(report, MagnetReport)
    spoilt = [magnet for magnet in report.magnets if magnet.subject_id in photographs.spoilt]
    assert {magnet.advice for magnet in spoilt} == {MagnetAdvice.RAISE_GAMMA_GALLERY}
    assert report.magnets[0] == spoilt[0]
    assert spoilt[0].subjects >= 2
    assert spoilt[0].low_ers_wins == spoilt[0].wins
    # What clear faces win is of people with two ids, and so of one other subject each.
    clear = [magnet for magnet in report.magnets if magnet.subject_id not in photographs.spoilt]
    assert all(magnet.subjects == 1 and magnet.low_ers_wins == 0 for magnet in clear)
    assert {magnet.advice for magnet in clear} == {MagnetAdvice.REVIEW}


def test_spoilt_strangers_show_the_same_magnets_and_the_gate_hides_them(
    client: GalleryClient, gallery: str, photographs: Photographs
) -> None:
    rows = embedded(client, photographs.strangers)
    assert len(rows) >= SPOILT
    report = client.wait_operation(client.find_magnets(gallery, probes=rows).id).result
    assert isinstance(report, MagnetReport)
    assert report.low_ers_probes == report.probes == len(rows)
    assert {magnet.subject_id for magnet in report.magnets if magnet.wins} <= set(photographs.spoilt)
    assert report.won_probes >= len(rows) // 2
    gamma = client.get_gallery(gallery).effective.gamma
    gated = client.wait_operation(client.find_magnets(gallery, probes=rows, gamma_gallery=gamma).id).result
    assert isinstance(gated, MagnetReport)
    assert gated.won_probes == 0


def test_two_ids_of_one_person_are_found_and_nobody_else(
    client: GalleryClient, gallery: str, photographs: Photographs
) -> None:
    report = client.wait_operation(client.find_duplicate_subjects(gallery).id).result
    assert isinstance(report, DuplicateReport)
    names = list(photographs.people)[:4]
    assert sorted((pair.first, pair.second) for pair in report.pairs) == [(name, f"{name}-again") for name in names]
    assert all(1 <= pair.similar_face_pairs <= pair.face_pairs == 2 for pair in report.pairs)


def test_those_who_cannot_be_found_under_the_gate_are_those_who_were_spoilt(
    client: GalleryClient, gallery: str, photographs: Photographs
) -> None:
    gamma = client.get_gallery(gallery).effective.gamma
    report = client.find_low_ers_subjects(gallery, gamma_gallery=gamma)
    assert sorted(each.id for each in report.subjects if not each.findable) == sorted(photographs.spoilt)
    assert report.unfindable_subjects == SPOILT
    assert report.one_face_subjects == 4


def test_an_enrolment_is_refused_for_a_person_and_never_for_a_blur(
    client: GalleryClient, photographs: Photographs
) -> None:
    client.create_gallery("checked", profile="sface", tau=TAU, gamma_gallery=0.0, duplicate_check=DuplicateCheck.REFUSE)
    people = list(photographs.people.items())[:6]
    first = client.enroll("checked", [Enrollment(name, photos[0]) for name, photos in people])
    second = client.enroll("checked", [Enrollment(f"{name}-again", photos[1]) for name, photos in people])
    assert all(outcome.error is None for outcome in first.outcomes)
    for (name, _), outcome in zip(people, second.outcomes, strict=True):
        assert isinstance(outcome.error, errors.DuplicateSubject)
        assert outcome.error.metadata["subject"].endswith(f"/{name}")
        assert float(outcome.error.metadata["similarity"]) >= TAU
    blurs = [*photographs.spoilt.values(), *photographs.strangers]
    third = client.enroll("checked", [Enrollment(f"blur-{i}", photo) for i, photo in enumerate(blurs)])
    assert all(outcome.error is None for outcome in third.outcomes)
    stored = [outcome for outcome in third.outcomes if outcome.disposition is Disposition.ACCEPTED]
    assert len(stored) >= 2 * SPOILT
    assert not any(EnrollmentWarning.DUPLICATE_SUBJECT in outcome.warnings for outcome in stored)
    client.update_gallery("checked", duplicate_check=DuplicateCheck.WARN)
    fourth = client.enroll("checked", [Enrollment(f"{name}-again", photos[1]) for name, photos in people])
    for (name, _), outcome in zip(people, fourth.outcomes, strict=True):
        assert EnrollmentWarning.DUPLICATE_SUBJECT in outcome.warnings
        assert outcome.duplicate_of is not None
        assert outcome.duplicate_of.subject_id == name


def embedded(client: GalleryClient, photographs: list[bytes]) -> NDArray[np.float32]:
    # In some no face is found.
    faces = client.score(photographs, profile="sface", include_embeddings=True).faces
    return np.stack([face.embedding for face in faces if face.embedding is not None])
