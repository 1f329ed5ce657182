"""Warp a face onto the 112 x 112 template that face recognizers are trained on."""

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

CROP_PX = 112
# The five landmarks of ArcFace (Deng et al. 2019) in a 112 x 112 crop, in the order of AcquiredFace.landmarks.
ARCFACE_TEMPLATE: NDArray[np.float64] = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
# Below this scale a bilinear warp skips pixels of the photograph and aliases.
_LEAST_WARP_SCALE = 0.5


def similarity_transform(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Return the (2, 3) similarity that maps `source` (n, 2) onto `target` (n, 2) with the least squared error.

    Closed form of Umeyama (1991), without reflection. Raises ValueError when the source points coincide.
    """
    from_points, to_points = np.asarray(source, np.float64), np.asarray(target, np.float64)
    from_centre, to_centre = from_points.mean(axis=0), to_points.mean(axis=0)
    from_offsets, to_offsets = from_points - from_centre, to_points - to_centre
    variance = np.square(from_offsets).sum() / len(from_points)
    if not variance > np.finfo(np.float32).tiny:
        raise ValueError("the landmarks coincide")
    left, singular, right = np.linalg.svd(to_offsets.T @ from_offsets / len(from_points))
    signs = np.array([1.0, math.copysign(1.0, np.linalg.det(left) * np.linalg.det(right))])
    linear = (left * signs) @ right * ((singular * signs).sum() / variance)
    return np.column_stack([linear, to_centre - linear @ from_centre])


def align(image: NDArray[np.uint8], landmarks: ArrayLike) -> NDArray[np.uint8]:
    """Warp the face with these (5, 2) landmarks out of an RGB image: (112, 112, 3) uint8; black beyond the image."""
    transform = similarity_transform(landmarks, ARCFACE_TEMPLATE)
    scale = math.hypot(transform[0, 0], transform[1, 0])
    if scale < _LEAST_WARP_SCALE:
        image, transform = _shrink_around_face(image, transform, scale)
    return np.asarray(cv2.warpAffine(image, transform, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR), np.uint8)


def _shrink_around_face(
    image: NDArray[np.uint8], transform: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Average the region of the crop down to twice the crop's scale, and adapt the transform to it."""
    height, width = image.shape[:2]
    corners = np.array([(0, 0), (CROP_PX, 0), (0, CROP_PX), (CROP_PX, CROP_PX)], np.float64)
    region = (corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T
    x0, y0 = (int(np.clip(v, 0, limit - 1)) for v, limit in zip(region.min(axis=0) - 2, (width, height), strict=True))
    x1, y1 = (int(np.clip(v, 1, limit)) for v, limit in zip(region.max(axis=0) + 3, (width, height), strict=True))
    part = image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    factor = scale / _LEAST_WARP_SCALE
    size = (max(1, round(part.shape[1] * factor)), max(1, round(part.shape[0] * factor)))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    factors = np.array([size[0] / part.shape[1], size[1] / part.shape[0]])
    # A pixel is a square: centre x of the region is centre (x + 0.5) * factor - 0.5 of the small image.
    linear = transform[:, :2] / factors
    offset = transform[:, 2] + transform[:, :2] @ ((x0, y0) + 0.5 / factors - 0.5)
    return small, np.column_stack([linear, offset])
