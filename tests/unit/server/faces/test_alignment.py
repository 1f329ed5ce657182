"""Faces are warped onto the template by the least-squares similarity of their landmarks."""

import math

import cv2
import numpy as np
import pytest
from ersgallery_server.faces.alignment import ARCFACE_TEMPLATE, align, similarity_transform
from numpy.typing import NDArray
from scipy.optimize import least_squares


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> NDArray[np.float64]:
    angle = math.radians(degrees)
    linear = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.column_stack([linear, shift])


def apply(transform: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ transform[:, :2].T + transform[:, 2]


@pytest.mark.parametrize(("scale", "degrees"), [(1.0, 0.0), (0.3, 25.0), (4.0, -170.0), (1.7, 90.0), (0.01, 181.0)])
def test_a_known_similarity_is_recovered(scale: float, degrees: float) -> None:
    known = similarity(scale, degrees, (12.5, -31.0))
    found = similarity_transform(ARCFACE_TEMPLATE, apply(known, ARCFACE_TEMPLATE))
    assert np.allclose(found, known, atol=1e-9)


def test_noisy_landmarks_give_the_least_squared_error() -> None:
    rng = np.random.default_rng(3)
    source = ARCFACE_TEMPLATE * 2 + rng.normal(0, 4, (5, 2))

    def residuals(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, x, y = parameters
        return (apply(np.array([[a, -b, x], [b, a, y]]), source) - ARCFACE_TEMPLATE).ravel()

    best = least_squares(residuals, np.array([1.0, 0.0, 0.0, 0.0])).x
    found = similarity_transform(source, ARCFACE_TEMPLATE)
    assert np.allclose(found, [[best[0], -best[1], best[2]], [best[1], best[0], best[3]]], atol=1e-4)


def test_mirrored_landmarks_never_mirror_the_face() -> None:
    found = similarity_transform(ARCFACE_TEMPLATE * (-1, 1), ARCFACE_TEMPLATE)
    assert np.linalg.det(found[:, :2]) > 0


def test_coinciding_landmarks_are_an_error() -> None:
    with pytest.raises(ValueError, match="coincide"):
        similarity_transform(np.full((5, 2), 7.0), ARCFACE_TEMPLATE)


def smooth_face() -> NDArray[np.uint8]:
    noise = np.random.default_rng(9).uniform(0, 255, (112, 112, 3))
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), 5), np.float64)
    return np.asarray(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def test_an_aligned_crop_is_its_own_alignment() -> None:
    face = smooth_face()
    assert np.array_equal(align(face, ARCFACE_TEMPLATE), face)


@pytest.mark.parametrize("factor", [2, 3, 7, 16])
@pytest.mark.parametrize("degrees", [0.0, 33.0])
def test_a_large_turned_face_comes_back_as_the_small_one(factor: int, degrees: float) -> None:
    face = smooth_face()
    # Enlarged by pixel squares, so that centres move by (factor - 1) / 2, and laid into a wider photograph.
    shift = (factor - 1) / 2
    big = cv2.resize(face, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D((56.0 * factor, 56.0 * factor), degrees, 1.0)
    turn[:, 2] += 40 * factor
    photograph = np.asarray(cv2.warpAffine(big, turn, (200 * factor, 200 * factor), flags=cv2.INTER_CUBIC), np.uint8)
    landmarks = apply(np.asarray(turn, np.float64), ARCFACE_TEMPLATE * factor + shift)
    inner = (slice(8, -8), slice(8, -8))
    difference = np.abs(align(photograph, landmarks)[inner].astype(int) - face[inner])
    assert difference.max() <= 6


def test_fine_texture_of_a_large_face_is_averaged_and_not_sampled() -> None:
    checkers = (np.indices((1120, 1120)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    crop = align(checkers, ARCFACE_TEMPLATE * 9.3)
    assert np.abs(crop[4:-4, 4:-4].astype(int) - 127).max() <= 32


def test_a_face_beyond_the_border_is_padded_with_black() -> None:
    crop = align(np.full((60, 60, 3), 200, np.uint8), ARCFACE_TEMPLATE - 56)
    assert (crop[:50, :50] == 0).all()
    assert (crop[60:100, 60:100] == 200).all()


@pytest.mark.parametrize("scale", [0.2, 1.0, 30.0])
def test_a_face_far_outside_the_image_is_black_and_no_error(scale: float) -> None:
    assert not align(np.full((40, 50, 3), 200, np.uint8), ARCFACE_TEMPLATE * scale + 5000).any()
