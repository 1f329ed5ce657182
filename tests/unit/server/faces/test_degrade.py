"""Degradations are graded, seeded, and leave their input alone."""

import numpy as np
import pytest
from ersgallery_server.faces.degrade import Degradation, degrade
from numpy.typing import NDArray

from tests.support.images import gradient

KINDS = list(Degradation)


def photograph() -> NDArray[np.uint8]:
    image = gradient(112, 112)
    image[30:50, 20:90] = (250, 240, 10)
    image[60:100:4, 10:100] = (5, 5, 60)
    return image


@pytest.mark.parametrize("kind", KINDS)
def test_severity_zero_changes_nothing_and_returns_a_copy(kind: Degradation) -> None:
    image = photograph()
    same = degrade(image, kind, 0.0, np.random.default_rng(1))
    assert np.array_equal(same, image)
    assert same is not image


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_one_result_of_the_same_shape_and_the_input_stays(kind: Degradation) -> None:
    image = photograph()
    first, second = (degrade(image, kind, 0.7, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert np.array_equal(image, photograph())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_of_the_image_shrinks_with_the_severity(kind: Degradation) -> None:
    image = photograph().astype(float)

    def likeness(severity: float) -> float:
        spoilt = [degrade(photograph(), kind, severity, np.random.default_rng(seed)) for seed in range(8)]
        return float(np.mean([np.abs(one - image).mean() for one in spoilt]))

    slight, medium, severe = (likeness(severity) for severity in (0.05, 0.4, 1.0))
    assert 0 < slight < medium
    assert medium < severe or kind is Degradation.ROTATION


@pytest.mark.parametrize(
    "kind", [Degradation.MOTION_BLUR, Degradation.AFFINE, Degradation.OCCLUSION, Degradation.NOISE]
)
def test_another_seed_gives_another_result(kind: Degradation) -> None:
    results = {degrade(photograph(), kind, 0.5, np.random.default_rng(seed)).tobytes() for seed in range(6)}
    assert len(results) > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (37, 5)])
def test_odd_sizes_work_at_every_severity(kind: Degradation, shape: tuple[int, int]) -> None:
    image = gradient(*shape)
    for severity in (0.01, 0.5, 1.0):
        assert degrade(image, kind, severity, np.random.default_rng(0)).shape == image.shape


def test_an_occlusion_stays_within_the_face_and_covers_its_share() -> None:
    image = np.full((200, 300, 3), 77, np.uint8)
    for seed in range(10):
        changed = (
            degrade(image, Degradation.OCCLUSION, 0.5, np.random.default_rng(seed), (100, 50, 80, 100)) != 77
        ).any(2)
        rows, columns = np.nonzero(changed)
        assert rows.min() >= 50
        assert rows.max() < 151
        assert columns.min() >= 100
        assert columns.max() < 181
        assert changed.sum() == pytest.approx(0.45 * 80 * 100, rel=0.1)


def test_blur_grows_with_the_size_of_the_face() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[100, 100] = 255
    small = degrade(image, Degradation.GAUSSIAN_BLUR, 0.5, np.random.default_rng(0), (90, 90, 20, 20))
    large = degrade(image, Degradation.GAUSSIAN_BLUR, 0.5, np.random.default_rng(0), (50, 50, 100, 100))
    assert small.max() > large.max()


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan")])
def test_a_severity_out_of_range_is_an_error(severity: float) -> None:
    with pytest.raises(ValueError, match="severity"):
        degrade(photograph(), Degradation.NOISE, severity, np.random.default_rng(0))
