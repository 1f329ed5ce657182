"""Embed the views of an evaluation, and measure sharpness and detector score beside it."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ersgallery_server.evaluation.corpus import CLEAN, KINDS, UNKNOWN, Corpus
from ersgallery_server.evaluation.drawing import View
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.faces.degrade import degrade
from ersgallery_server.faces.detection import FaceDetector
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from ersgallery_server.profiling.samples import Embed

Progress = Callable[[int, int], None]

DETECTOR_THRESHOLD = 0.05
"""Faces are scored down to here; a crop without one has a score of 0."""

_BATCH = 64


def embed_views(
    model: str,
    people: tuple[str, ...],
    views: Sequence[View],
    faces: AlignedFaces,
    embed: Embed,
    detector: FaceDetector | None,
    seed: int,
    progress: Progress | None = None,
) -> Corpus:
    """Embed all views; view i is degraded by a generator of (seed, i), so that no view depends on another.

    Raises CalibrationFailed for a crop that is corrupt or of another size.
    """
    return _embed(
        Corpus(
            model=model,
            names=tuple(view.name for view in views),
            people=people,
            identities=np.array([view.identity for view in views], np.int64),
            parts=np.array([list(Part).index(view.part) for view in views], np.int8),
            roles=np.array([list(Role).index(view.role) for view in views], np.int8),
            kinds=np.array([CLEAN if view.kind is None else KINDS.index(view.kind) for view in views], np.int8),
            severities=np.array([view.severity for view in views]),
            raw=np.empty((0, 0), np.float32),
            sharpness=np.empty(0),
            detector_scores=np.empty(0),
        ),
        lambda row: _show(faces.crop(views[row].name), views[row], np.random.default_rng([seed, row])),
        embed,
        detector,
        progress,
    )


def embed_wild(
    model: str, faces: AlignedFaces, embed: Embed, detector: FaceDetector | None, progress: Progress | None = None
) -> Corpus:
    """Embed faces that nobody labelled, as they are."""
    count = len(faces.names)
    return _embed(
        Corpus(
            model=model,
            names=faces.names,
            people=(),
            identities=np.full(count, -1, np.int64),
            parts=np.full(count, list(Part).index(Part.WILD), np.int8),
            roles=np.full(count, list(Role).index(Role.SINGLE), np.int8),
            kinds=np.full(count, UNKNOWN, np.int8),
            severities=np.full(count, np.nan),
            raw=np.empty((0, 0), np.float32),
            sharpness=np.empty(0),
            detector_scores=np.empty(0),
        ),
        lambda row: faces.crop(faces.names[row]),
        embed,
        detector,
        progress,
    )


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian of a crop's grey values (Pech-Pacheco et al. 2000)."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def _embed(
    empty: Corpus,
    crop_of: Callable[[int], NDArray[np.uint8]],
    embed: Embed,
    detector: FaceDetector | None,
    progress: Progress | None,
) -> Corpus:
    raw: list[NDArray[np.float32]] = []
    sharp: list[float] = []
    scores: list[float] = []
    for start in range(0, len(empty), _BATCH):
        crops = [crop_of(row) for row in range(start, min(start + _BATCH, len(empty)))]
        raw.append(embed(np.stack(crops)))
        sharp += [sharpness(crop) for crop in crops]
        scores += [_detector_score(detector, crop) for crop in crops]
        if progress:
            progress(start + len(crops), len(empty))
    return Corpus(
        **{name: getattr(empty, name) for name in ("model", "names", "people", "identities", "parts", "roles")},
        kinds=empty.kinds,
        severities=empty.severities,
        raw=np.concatenate(raw),
        sharpness=np.array(sharp),
        detector_scores=np.array(scores),
    )


def _show(crop: NDArray[np.uint8], view: View, rng: np.random.Generator) -> NDArray[np.uint8]:
    return crop if view.kind is None else degrade(crop, view.kind, view.severity, rng)


def _detector_score(detector: FaceDetector | None, crop: NDArray[np.uint8]) -> float:
    if detector is None:
        return float("nan")
    return max((face.score for face in detector.detect(crop)), default=0.0)
