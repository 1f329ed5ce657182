"""Turns what callers give, embeddings and photographs, into unit embeddings of one model."""

from collections.abc import Sequence

import numpy as np
from ersgallery_index import Derivation, InvalidEmbedding, Recognizability, normalize

from ersgallery_server.call import Call
from ersgallery_server.errors import ModelMismatch, NotAcquired
from ersgallery_server.faces import AcquiredFace
from ersgallery_server.gallery.inference import Acquisition
from ersgallery_server.gallery.inputs import AcquiredEmbedding, EmbeddingInput, ImageInput
from ersgallery_server.gallery.models import Models
from ersgallery_server.values import AcquisitionCounts, FaceBox, SeveralFaces

Acquired = AcquiredEmbedding | InvalidEmbedding | ModelMismatch | NotAcquired
"""What became of one face: usable, or the error that says why not."""


class Acquirer:
    """Gets embeddings for one model and dimension."""

    def __init__(self, model: str, dimension: int, models: Models) -> None:
        self._model = model
        self._dimension = dimension
        self._models = models

    def acquire(
        self, sources: Sequence[EmbeddingInput | ImageInput], several: SeveralFaces, call: Call
    ) -> list[Acquired]:
        """Return one outcome per source, in order; photographs may raise ModelNotInstalled or Overloaded."""
        images = tuple(source.content for source in sources if isinstance(source, ImageInput))
        found = iter(self._embed(images, several, call))
        return [
            self._from_image(source, next(found)) if isinstance(source, ImageInput) else self._from_embedding(source)
            for source in sources
        ]

    def _embed(self, images: tuple[bytes, ...], several: SeveralFaces, call: Call) -> list[Acquisition]:
        if not images:
            return []
        return call.wait(self._models.worker(self._model).acquire(images, several))

    def _from_embedding(self, source: EmbeddingInput) -> Acquired:
        if source.model and source.model != self._model:
            return ModelMismatch(source.model, self._model)
        try:
            rows = normalize(source.vector[np.newaxis], self._dimension)
        except InvalidEmbedding as error:
            return error
        return AcquiredEmbedding(rows.vectors[0], float(rows.norms[0]))

    def _from_image(self, source: ImageInput, found: Acquisition) -> Acquired:
        if not isinstance(found, AcquiredFace):
            return NotAcquired(found.reason.value, found.detail)
        try:
            rows = normalize(found.embedding[np.newaxis], self._dimension)
        except InvalidEmbedding as error:
            return error
        return AcquiredEmbedding(rows.vectors[0], float(rows.norms[0]), _box(found), source.content)


def count_acquisitions(
    sources: Sequence[EmbeddingInput | ImageInput], outcomes: Sequence[Acquired]
) -> AcquisitionCounts:
    """Count the photographs among the sources, and those without a usable face."""
    photographs = [outcome for source, outcome in zip(sources, outcomes, strict=True) if isinstance(source, ImageInput)]
    failures = sum(isinstance(outcome, NotAcquired) for outcome in photographs)
    return AcquisitionCounts(acquisition_attempts=len(photographs), failures_to_acquire=failures)


def score_each(derivation: Derivation, faces: Sequence[AcquiredEmbedding | Exception]) -> list[Recognizability | None]:
    """Score all usable faces at once, in their places; None stands for the others."""
    usable = [face.unit for face in faces if isinstance(face, AcquiredEmbedding)]
    if not usable:
        return [None] * len(faces)
    derived = derivation.derive(np.stack(usable))
    scores = (Recognizability(float(e), float(r)) for e, r in zip(derived.ers, derived.raw_ers, strict=True))
    return [next(scores) if isinstance(face, AcquiredEmbedding) else None for face in faces]


def _box(face: AcquiredFace) -> FaceBox:
    x, y, width, height = (float(value) for value in face.box_px)
    return FaceBox(x, y, width, height, face.detector_score, face.face_count)
