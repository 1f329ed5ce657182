"""Spoil drawings of characters: the ways a photograph is spoilt, and ink that runs."""

import cv2
import numpy as np
from ersgallery_server.faces.degrade import Degradation, degrade
from numpy.typing import NDArray

INK_SPREAD = "INK_SPREAD"
KINDS = (*(kind.value for kind in Degradation), INK_SPREAD)
"""Names of the kinds; a sample's kind is an index into them."""

_TURNING = (Degradation.ROTATION.value, Degradation.AFFINE.value)
_INK_PX_AT_1 = 7


def spoil(image: NDArray[np.uint8], kind: str, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a spoilt copy of a (h, w) grey image, ink dark on white.

    severity: 0 leaves it as it is, 1 leaves hardly anything; INK_SPREAD widens every stroke by 7 px on each side at 1.
    Raises ValueError for another kind or severity.
    """
    if kind == INK_SPREAD:
        return _spread_ink(image, severity)
    colours = np.repeat(image[:, :, None], 3, axis=2)
    if kind in _TURNING:
        # What a turn uncovers is filled with black: of the negative, so that it becomes paper.
        return _grey(255 - degrade(255 - colours, Degradation(kind), severity, rng))
    return _grey(degrade(colours, Degradation(kind), severity, rng))


def _spread_ink(image: NDArray[np.uint8], severity: float) -> NDArray[np.uint8]:
    if not 0.0 <= severity <= 1.0:
        raise ValueError(f"severity must lie in 0..1, got {severity}")
    side_px = 1 + 2 * round(_INK_PX_AT_1 * severity)
    nib = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side_px, side_px))
    return np.asarray(cv2.erode(image, nib), np.uint8)


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(image.mean(axis=2)), np.uint8)
