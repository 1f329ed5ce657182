"""Spoil photographs on purpose, by kind and graded severity, from a seeded generator."""

import enum
import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Region = tuple[float, float, float, float]


class Degradation(enum.Enum):
    """The ways a face becomes unrecognizable."""

    GAUSSIAN_BLUR = "GAUSSIAN_BLUR"
    MOTION_BLUR = "MOTION_BLUR"
    LOW_RESOLUTION = "LOW_RESOLUTION"
    ROTATION = "ROTATION"
    AFFINE = "AFFINE"
    OCCLUSION = "OCCLUSION"
    LOW_LIGHT = "LOW_LIGHT"
    NOISE = "NOISE"


def degrade(
    image: Image, kind: Degradation, severity: float, rng: np.random.Generator, region: Region | None = None
) -> Image:
    """Return a spoilt copy of a (h, w, 3) uint8 RGB image.

    severity: 0 leaves the image as it is, 1 leaves hardly anything of a face. At 1, by face size s: a Gaussian blur of
    0.14 s, a motion of 0.5 s, a face of 4 px for s = 112, half a turn, a shear of 0.9, 90 % occluded, 1 % of the
    light, noise of 160 grey levels.
    region: x, y, width, height of the face in pixels, which gives s and says where to occlude and turn; by default the
    whole image. Raises ValueError for a severity outside 0..1.
    """
    if not 0.0 <= severity <= 1.0:
        raise ValueError(f"severity must lie in 0..1, got {severity}")
    if severity == 0.0:
        return image.copy()
    face = region or (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
    return _KINDS[kind](image, severity, face, rng)


def _face_px(face: Region) -> float:
    return math.sqrt(face[2] * face[3])


def _gaussian_blur(image: Image, severity: float, face: Region, _rng: np.random.Generator) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.14 * _face_px(face) * severity, 1e-3)), np.uint8)


def _motion_blur(image: Image, severity: float, face: Region, rng: np.random.Generator) -> Image:
    length_px = 0.5 * _face_px(face) * severity
    half = math.ceil(length_px / 2)
    angle = rng.uniform(0.0, math.pi)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for step in np.linspace(-length_px / 2, length_px / 2, 4 * half + 1):
        kernel[round(half + step * math.sin(angle)), round(half + step * math.cos(angle))] += 1.0
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _low_resolution(image: Image, severity: float, _face: Region, _rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    factor = (4.0 / 112.0) ** severity
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _rotation(image: Image, severity: float, face: Region, rng: np.random.Generator) -> Image:
    centre = (face[0] + face[2] / 2, face[1] + face[3] / 2)
    turn = cv2.getRotationMatrix2D(centre, float(180.0 * severity * rng.choice((-1, 1))), 1.0)
    return _warp(image, np.asarray(turn, np.float64))


def _affine(image: Image, severity: float, face: Region, rng: np.random.Generator) -> Image:
    shear = 0.9 * severity * rng.choice((-1, 1))
    stretch = (1.0 + severity) ** rng.choice((-1, 1))
    linear = (
        np.array([[1.0, shear], [0.0, stretch]]) if rng.random() < 0.5 else np.array([[stretch, 0.0], [shear, 1.0]])
    )
    centre = np.array([face[0] + face[2] / 2, face[1] + face[3] / 2])
    shift = rng.uniform(-0.25, 0.25, 2) * severity * _face_px(face)
    return _warp(image, np.column_stack([linear, centre - linear @ centre + shift]))


def _warp(image: Image, transform: NDArray[np.float64]) -> Image:
    return np.asarray(cv2.warpAffine(image, transform, (image.shape[1], image.shape[0])), np.uint8)


def _occlusion(image: Image, severity: float, face: Region, rng: np.random.Generator) -> Image:
    share = 0.9 * severity
    # Between a tall and a wide rectangle of the same area, both inside the face.
    width_share = share ** rng.uniform(0.2, 0.8)
    width, height = face[2] * width_share, face[3] * share / width_share
    x, y = face[0] + rng.uniform(0, face[2] - width), face[1] + rng.uniform(0, face[3] - height)
    spoilt = image.copy()
    spoilt[max(0, round(y)) : max(0, round(y + height)), max(0, round(x)) : max(0, round(x + width))] = rng.integers(
        0, 256, 3, np.uint8
    )
    return spoilt


def _low_light(image: Image, severity: float, _face: Region, rng: np.random.Generator) -> Image:
    # Readout noise stays when the light goes, and eight bits keep few levels of what is left.
    dark = image * 0.01**severity + rng.normal(0.0, 2.0 * severity, image.shape)
    return _to_bytes(dark)


def _noise(image: Image, severity: float, _face: Region, rng: np.random.Generator) -> Image:
    return _to_bytes(image + rng.normal(0.0, 160.0 * severity, image.shape))


def _to_bytes(values: NDArray[np.float64]) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_KINDS: dict[Degradation, Callable[[Image, float, Region, np.random.Generator], Image]] = {
    Degradation.GAUSSIAN_BLUR: _gaussian_blur,
    Degradation.MOTION_BLUR: _motion_blur,
    Degradation.LOW_RESOLUTION: _low_resolution,
    Degradation.ROTATION: _rotation,
    Degradation.AFFINE: _affine,
    Degradation.OCCLUSION: _occlusion,
    Degradation.LOW_LIGHT: _low_light,
    Degradation.NOISE: _noise,
}
