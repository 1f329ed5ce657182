"""What `identify`, `verify` and `score` can read: photographs, and embeddings as .npy or .npz."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ersgallery_client.cli.sources import read_embeddings
from ersgallery_client.values.inputs import Embedding, FaceSource

EMBEDDING_SUFFIXES = frozenset((".npy", ".npz"))


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """One face and what people call it."""

    label: str
    source: FaceSource


def read_faces(paths: Sequence[Path], model: str = "") -> list[Named]:
    """Return the faces of files: one per photograph, one per embedding; raises OSError, click.ClickException."""
    return [face for path in paths for face in _faces(path, model)]


def as_matrix(faces: Sequence[Named]) -> Embedding | None:
    """Return the faces as one matrix, the fastest way to search, where all are embeddings of one length."""
    vectors = [np.asarray(face.source.values) for face in faces if isinstance(face.source, Embedding)]
    if len(vectors) < len(faces) or len({vector.shape for vector in vectors}) != 1:
        return None
    models = {face.source.model for face in faces if isinstance(face.source, Embedding)}
    return Embedding(np.stack(vectors), models.pop())


def _faces(path: Path, model: str) -> Iterator[Named]:
    if path.suffix.lower() not in EMBEDDING_SUFFIXES:
        yield Named(str(path), path.read_bytes())
        return
    rows = read_embeddings(path)
    for i, row in enumerate(rows):
        yield Named(f"{path}[{i}]" if len(rows) > 1 else str(path), Embedding(row, model))
