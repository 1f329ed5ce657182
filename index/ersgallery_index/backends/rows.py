"""Faces in columns, as an index keeps them, and what makes them fit to be kept."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.embeddings import require_unit_rows
from ersgallery_index.interface import FloatRows, Ids, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Faces in columns: ids (n,), ers (n,), vectors (n, d)."""

    face_ids: Ids
    subject_ids: Ids
    ers: Scores
    vectors: FloatRows

    def __len__(self) -> int:
        return len(self.face_ids)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Self:
        """Return the chosen rows."""
        return type(self)(self.face_ids[rows], self.subject_ids[rows], self.ers[rows], self.vectors[rows])

    @classmethod
    def empty(cls, dimension: int) -> Self:
        """Return no rows."""
        ids = np.zeros(0, dtype=np.int64)
        return cls(ids, ids, np.zeros(0), np.zeros((0, dimension), dtype=np.float32))

    @classmethod
    def concatenate(cls, parts: list[Self], dimension: int) -> Self:
        """Return the rows of all parts."""
        parts = [cls.empty(dimension), *parts]
        return cls(
            np.concatenate([part.face_ids for part in parts]),
            np.concatenate([part.subject_ids for part in parts]),
            np.concatenate([part.ers for part in parts]),
            np.concatenate([part.vectors for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows a search may see: lowest <= ERS < below."""

    lowest: float
    below: float

    def admits(self, ers: Scores) -> NDArray[np.bool_]:
        """Return which ERS lie in the window."""
        return (ers >= self.lowest) & (ers < self.below)


def checked_rows(dimension: int, rows: Rows) -> Rows:
    """Return rows in the types of the columns, or raise as apply does."""
    checked = Rows(
        np.asarray(rows.face_ids, dtype=np.int64),
        np.asarray(rows.subject_ids, dtype=np.int64),
        np.asarray(rows.ers, dtype=np.float64),
        np.asarray(rows.vectors, dtype=np.float32),
    )
    require_unit_rows(checked.vectors, dimension)
    if not len(checked.face_ids) == len(checked.subject_ids) == len(checked.ers) == len(checked.vectors):
        raise ValueError("ids, subject ids, ERS and vectors must be equally many")
    if (np.diff(np.sort(checked.face_ids)) == 0).any():
        raise ValueError("a face id is given twice")
    if not ((checked.ers >= 0.0) & (checked.ers <= 1.0)).all():
        raise ValueError("an ERS lies outside 0..1")
    return checked
