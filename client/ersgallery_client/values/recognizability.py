"""How recognizable a face is, and the profiles that define it."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ersgallery_client.errors import GalleryError


@dataclass(frozen=True, slots=True)
class FaceBox:
    """Where a face stands in its photograph, in pixels from the upper left corner after EXIF orientation.

    detector_score: how surely it is a face, 0..1, not how well it can be recognized.
    face_count: how many faces the photograph has.
    """

    x_px: float
    y_px: float
    width_px: float
    height_px: float
    detector_score: float
    face_count: int


@dataclass(frozen=True, slots=True)
class Recognizability:
    """How recognizable a face or template is.

    ers: embedding recognizability score, 0..1 (eq. 1). raw_ers: before cap and clip, 0..2.
    embedding_norm: length of the embedding before normalisation; 0 for a template. box: for photographs.
    """

    ers: float
    raw_ers: float
    embedding_norm: float
    box: FaceBox | None


@dataclass(frozen=True, slots=True, eq=False)
class FaceScore:
    """The ERS of one face, or the error that says why there is none.

    recognizable: ERS >= gamma. embedding: (d,) float32, where it was asked for: unit length, before centring.
    """

    recognizability: Recognizability | None
    recognizable: bool
    embedding: NDArray[np.float32] | None
    error: GalleryError | None


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The scores of several faces in their order, with the profile and the gamma that were applied."""

    faces: tuple[FaceScore, ...]
    profile: str
    gamma: float


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What recognizability means for one embedding model; versions are never changed.

    id: without version. mean: (d,) float32 or None. centroids: (K, d) float32, unit length.
    sha256: of what decides: model, mean, centroids and gamma.
    """

    id: str
    version: int
    model: str
    dimension: int
    mean: NDArray[np.float32] | None
    centroids: NDArray[np.float32]
    gamma: float
    description: str
    sha256: str
    create_time: datetime

    @property
    def reference(self) -> str:
        """What names this very version, such as `sface@2`."""
        return f"{self.id}@{self.version}"
