"""What comes of one photograph: a face with its embedding, or the reason why there is none."""

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.values import SeveralFaces

__all__ = ["AcquiredFace", "AcquisitionFailure", "FailureReason", "SeveralFaces"]


class FailureReason(enum.Enum):
    """Why no face was acquired; the values are stable and go to clients."""

    NO_FACE = "NO_FACE"
    SEVERAL_FACES = "SEVERAL_FACES"
    IMAGE_CORRUPT = "IMAGE_CORRUPT"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    IMAGE_FORMAT_UNSUPPORTED = "IMAGE_FORMAT_UNSUPPORTED"


@dataclass(frozen=True, slots=True, eq=False)
class AcquiredFace:
    """One face of a photograph, embedded.

    embedding: (d,) float32, raw: not normalised, not centred.
    box_px: x, y, width, height in pixels of the photograph after its EXIF orientation.
    landmarks: (5, 2) float32, in the same pixels: the eyes (the one on the image's left first), the nose tip, the
        corners of the mouth (the one on the image's left first).
    detector_score: 0..1.
    face_count: how many faces the photograph shows; this one is the largest.
    aligned: (112, 112, 3) uint8 RGB, what the recognizer saw.
    """

    embedding: NDArray[np.float32] = field(repr=False)
    box_px: tuple[float, float, float, float]
    landmarks: NDArray[np.float32] = field(repr=False)
    detector_score: float
    face_count: int
    aligned: NDArray[np.uint8] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AcquisitionFailure:
    """A photograph that gave no embedding; `detail` is a sentence for people and names the limit that was broken."""

    reason: FailureReason
    detail: str
    face_count: int = 0
