"""The whole image path of the default model on real photographs: decode, detect, align, embed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from ersgallery_index.recognizability import Derivation
from ersgallery_server.faces import AcquiredFace, AcquisitionFailure, FacePipeline, FailureReason, SeveralFaces
from ersgallery_server.faces.degrade import Degradation, degrade
from ersgallery_server.models.catalogue import default_model
from ersgallery_server.models.profile_file import catalogued_profile
from numpy.typing import NDArray
from PIL import Image

from tests.support.images import encode, gradient
from tests.support.models import lfw_dir

pytestmark = pytest.mark.real_faces


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def acquired(outcome: AcquiredFace | AcquisitionFailure) -> AcquiredFace:
    assert isinstance(outcome, AcquiredFace), outcome
    return outcome


def pixels(photographs: Any, row: int) -> NDArray[np.uint8]:
    with Image.open(photographs.paths[row]) as image:
        return np.array(image.convert("RGB"))


def resized(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    method = cv2.INTER_AREA if side < len(image) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (side, side), interpolation=method), np.uint8)


def test_same_and_different_people_are_told_apart(photographs: Any) -> None:
    similarity = photographs.unit @ photographs.unit.T
    pair = np.triu_indices(len(similarity), 1)
    same = (photographs.identities[:, None] == photographs.identities[None])[pair]
    genuine, impostor = similarity[pair][same], similarity[pair][~same]
    assert len(genuine) == 180
    # One threshold for all 44,670 impostor pairs: the share of genuine pairs above it, at a FAR of 0.1 %.
    assert (genuine > np.quantile(impostor, 0.999)).mean() >= 0.99


def test_the_embeddings_agree_with_those_made_elsewhere_from_the_same_photographs(photographs: Any) -> None:
    reference = np.load(lfw_dir() / "embeddings_sface.npz")["embedding"][photographs.rows].astype(np.float32)
    agreement = [cosine(face.embedding, row) for face, row in zip(photographs.faces, reference, strict=True)]
    assert min(agreement) > 0.9999


def test_the_aligned_crops_agree_with_those_made_elsewhere(photographs: Any, pipeline: FacePipeline) -> None:
    crops = np.stack([face.aligned for face in photographs.faces[:40]])
    again = pipeline.embed_aligned(crops)
    assert all(cosine(row, face.embedding) > 0.999999 for row, face in zip(again, photographs.faces[:40], strict=True))


@pytest.mark.parametrize("size", [1, 2, 7])
def test_embeddings_do_not_depend_on_the_batch(photographs: Any, pipeline: FacePipeline, size: int) -> None:
    crops = np.stack([face.aligned for face in photographs.faces[:14]])
    parts = [pipeline.embed_aligned(crops[start : start + size]) for start in range(0, 14, size)]
    whole = np.stack([face.embedding for face in photographs.faces[:14]])
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-4 * np.abs(whole).max()


def test_boxes_and_landmarks_lie_on_the_photograph(photographs: Any) -> None:
    for face in photographs.faces:
        x, y, width, height = face.box_px
        assert -60 < x < 250 > y > -60
        assert 20 < width < 250
        assert 20 < height < 300
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        assert left_eye[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] + 25 < left_mouth[1] + 50
        assert 0.7 <= face.detector_score <= 1.0
        assert face.aligned.shape == (112, 112, 3)


def test_several_faces_give_the_largest_or_an_error_that_counts_them(photographs: Any, pipeline: FacePipeline) -> None:
    big = pixels(photographs, 0)
    small = resized(pixels(photographs, 150), 120)
    scene = np.full((250, 400, 3), 90, np.uint8)
    scene[:, :250] = big
    scene[60:180, 270:390] = small
    alone = acquired(pipeline.acquire([encode(big, "PNG")])[0])
    largest = acquired(pipeline.acquire([encode(scene, "PNG")], SeveralFaces.LARGEST)[0])
    assert largest.face_count >= 2
    assert cosine(largest.embedding, alone.embedding) > 0.95
    rejected = pipeline.acquire([encode(scene, "PNG")], SeveralFaces.REJECT)[0]
    assert isinstance(rejected, AcquisitionFailure)
    assert rejected.reason is FailureReason.SEVERAL_FACES
    assert rejected.face_count == largest.face_count
    assert str(largest.face_count) in rejected.detail


def test_every_image_has_its_own_outcome_in_its_own_place(photographs: Any, pipeline: FacePipeline) -> None:
    good = [photographs.paths[i].read_bytes() for i in (0, 9)]
    images = [b"GIF89a", good[0], good[0][:2000], encode(gradient(300, 300), "PNG"), good[1]]
    reasons = [None if isinstance(outcome, AcquiredFace) else outcome.reason for outcome in pipeline.acquire(images)]
    assert reasons == [
        FailureReason.IMAGE_FORMAT_UNSUPPORTED,
        None,
        FailureReason.IMAGE_CORRUPT,
        FailureReason.NO_FACE,
        None,
    ]
    outcomes = pipeline.acquire(images)
    for place, row in ((1, 0), (4, 9)):
        assert cosine(acquired(outcomes[place]).embedding, photographs.faces[row].embedding) > 0.9999


def test_no_images_give_no_outcomes(pipeline: FacePipeline) -> None:
    assert pipeline.acquire([]) == []
    assert pipeline.embed_aligned(np.empty((0, 112, 112, 3), np.uint8)).shape == (0, 128)


def test_crops_of_another_shape_are_an_error(pipeline: FacePipeline) -> None:
    with pytest.raises(ValueError, match="112"):
        pipeline.embed_aligned(np.zeros((1, 160, 160, 3), np.uint8))


@pytest.mark.parametrize("side", [112, 160])
def test_tight_aligned_crops_are_detected_and_embedded_alike(
    photographs: Any, pipeline: FacePipeline, side: int
) -> None:
    faces = photographs.faces[::10]
    crops = [encode(resized(face.aligned, side), "PNG") for face in faces]
    outcomes = [acquired(outcome) for outcome in pipeline.acquire(crops)]
    alike = [cosine(outcome.embedding, face.embedding) for outcome, face in zip(outcomes, faces, strict=True)]
    assert np.median(alike) > 0.9


@pytest.mark.parametrize("side", [1000, 3000])
def test_large_photographs_are_embedded_like_small_ones(photographs: Any, pipeline: FacePipeline, side: int) -> None:
    rows = range(0, 300, 60)
    large = [resized(pixels(photographs, row), side) for row in rows]
    faces = [acquired(outcome) for outcome in pipeline.acquire([encode(image, "JPEG") for image in large])]
    small = [photographs.faces[row] for row in rows]
    alike = [cosine(face.embedding, one.embedding) for face, one in zip(faces, small, strict=True)]
    assert min(alike) > 0.85
    assert np.median(alike) > 0.95
    for face, one in zip(faces, small, strict=True):
        assert face.box_px[2] == pytest.approx(one.box_px[2] * side / 250, rel=0.15)


def test_thumbnails_of_40_pixels_still_show_most_faces(photographs: Any, pipeline: FacePipeline) -> None:
    thumbnails = [resized(pixels(photographs, row), 40) for row in range(0, 300, 15)]
    outcomes = pipeline.acquire([encode(image, "PNG") for image in thumbnails])
    assert sum(isinstance(outcome, AcquiredFace) for outcome in outcomes) >= 16


def test_a_face_that_fills_a_large_frame_is_found_at_the_second_look(photographs: Any, pipeline: FacePipeline) -> None:
    crops = [resized(face.aligned, 1400) for face in photographs.faces[::20]]
    outcomes = pipeline.acquire([encode(crop, "JPEG") for crop in crops])
    assert all(isinstance(outcome, AcquiredFace) for outcome in outcomes)


def test_a_photograph_lying_on_its_side_is_turned_by_its_exif(photographs: Any, pipeline: FacePipeline) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = np.ascontiguousarray(np.rot90(pixels(photographs, 0)))
    face = acquired(pipeline.acquire([encode(lying, "JPEG", exif=exif, quality=95)])[0])
    assert cosine(face.embedding, photographs.faces[0].embedding) > 0.98
    assert face.box_px == pytest.approx(photographs.faces[0].box_px, abs=4)


def test_threads_share_one_pipeline(photographs: Any, pipeline: FacePipeline) -> None:
    images = [path.read_bytes() for path in photographs.paths[:12]]
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda start: pipeline.acquire(images[start : start + 3]), (0, 3, 6, 9) * 2))
    for start, outcomes in zip((0, 3, 6, 9) * 2, results, strict=True):
        for offset, outcome in enumerate(outcomes):
            assert cosine(acquired(outcome).embedding, photographs.faces[start + offset].embedding) > 0.99999


def test_the_catalogued_profile_passes_clear_photographs_and_stops_spoilt_ones(
    photographs: Any, pipeline: FacePipeline
) -> None:
    profile = catalogued_profile(default_model()).profile()
    derivation = Derivation(profile)
    rng = np.random.default_rng(0)
    clear = derivation.derive(photographs.unit).ers
    assert (clear < profile.gamma).mean() <= 0.02
    for kind in (Degradation.GAUSSIAN_BLUR, Degradation.LOW_RESOLUTION, Degradation.LOW_LIGHT, Degradation.NOISE):
        spoilt = np.stack([degrade(face.aligned, kind, 1.0, rng) for face in photographs.faces[::10]])
        embedded = pipeline.embed_aligned(spoilt)
        unit = (embedded / np.linalg.norm(embedded, axis=1, keepdims=True)).astype(np.float32)
        assert (derivation.derive(unit).ers < profile.gamma).mean() >= 0.8, kind
