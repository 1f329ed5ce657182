"""Turns what callers give, embeddings and photographs, into unit embeddings of one model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ersgallery_index import Derivation, InvalidEmbedding, Recognizability, normalize
from ersgallery_index.embeddings import UnitRows
from numpy.typing import NDArray

from ersgallery_server.call import Call
from ersgallery_server.errors import ModelMismatch, NotAcquired
from ersgallery_server.faces import AcquiredFace
from ersgallery_server.gallery.inference import Acquisition
from ersgallery_server.gallery.inputs import AcquiredEmbedding, EmbeddingInput, ImageInput
from ersgallery_server.gallery.models import Models
from ersgallery_server.values import AcquisitionCounts, FaceBox, SeveralFaces

Acquired = AcquiredEmbedding | InvalidEmbedding | ModelMismatch | NotAcquired
"""What became of one face: usable, or the error that says why not."""


@dataclass(frozen=True, slots=True, eq=False)
class AcquiredFaces:
    """What became of n faces, in columns.

    usable (m,): the places of those that are usable, in rising order. units (m, d) float32 and norms (m,): their unit
    embeddings and the norms these had. others: what became of the rest, by place. boxes, images: of photographs, by
    place.
    """

    count: int
    usable: NDArray[np.intp]
    units: NDArray[np.float32]
    norms: NDArray[np.float64]
    others: Mapping[int, InvalidEmbedding | ModelMismatch | NotAcquired] = field(default_factory=dict)
    boxes: Mapping[int, FaceBox] = field(default_factory=dict)
    images: Mapping[int, bytes] = field(default_factory=dict)


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

    def acquire_columns(
        self, sources: Sequence[EmbeddingInput | ImageInput], several: SeveralFaces, call: Call
    ) -> AcquiredFaces:
        """Return what acquire returns, in columns; raises as it does."""
        if (plain := self._plain(sources)) is not None:
            return AcquiredFaces(len(sources), np.arange(len(sources)), plain.vectors, plain.norms)
        outcomes = self.acquire(sources, several, call)
        usable = [(i, outcome) for i, outcome in enumerate(outcomes) if isinstance(outcome, AcquiredEmbedding)]
        units = [outcome.unit for _, outcome in usable]
        return AcquiredFaces(
            count=len(sources),
            usable=np.array([i for i, _ in usable], np.intp),
            units=np.stack(units) if units else np.empty((0, self._dimension), np.float32),
            norms=np.array([outcome.norm for _, outcome in usable], np.float64),
            others={i: outcome for i, outcome in enumerate(outcomes) if not isinstance(outcome, AcquiredEmbedding)},
            boxes={i: outcome.box for i, outcome in usable if outcome.box is not None},
            images={i: outcome.image for i, outcome in usable if outcome.image is not None},
        )

    def _plain(self, sources: Sequence[EmbeddingInput | ImageInput]) -> UnitRows | None:
        """Return proper embeddings normalised together; None where one needs a word of its own."""
        vectors = []
        for source in sources:
            if not isinstance(source, EmbeddingInput) or source.model not in {"", self._model}:
                return None
            vectors.append(source.vector)
        if not vectors or any(len(vector) != self._dimension for vector in vectors):
            return None
        try:
            return normalize(np.concatenate(vectors).reshape(-1, self._dimension), self._dimension)
        except InvalidEmbedding:
            return None

    def _embed(self, images: tuple[bytes, ...], several: SeveralFaces, call: Call) -> list[Acquisition]:
        if not images:
            return []
        return call.wait(self._models.worker(self._model).acquire(images, several, call.trace, call.deadline_s))

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


def count_acquisitions(sources: Sequence[EmbeddingInput | ImageInput], outcomes: Iterable[object]) -> AcquisitionCounts:
    """Count the photographs among the sources, and the outcomes that tell of one without a usable face."""
    photographs = sum(isinstance(source, ImageInput) for source in sources)
    failures = sum(isinstance(outcome, NotAcquired) for outcome in outcomes)
    return AcquisitionCounts(acquisition_attempts=photographs, failures_to_acquire=failures)


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
