"""Probes and references in columns: what one row each of a batch comes to, ready to be searched or compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.recognizability import Derivation
from ersgallery_index.results import Recognizability
from ersgallery_index.sums import Float64
from ersgallery_index.templates import Template, aggregate


@dataclass(frozen=True, slots=True, eq=False)
class Representation:
    """A batch of q embeddings or templates under one derivation.

    vectors (q, d) float32 unit rows, zero where not usable; ers and raw_ers (q,) float64; usable (q,) bool.
    """

    vectors: NDArray[np.float32]
    ers: Float64
    raw_ers: Float64
    usable: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ers)

    def recognizability(self, row: int) -> Recognizability:
        """Return how recognizable one of the batch is."""
        return Recognizability(ers=float(self.ers[row]), raw_ers=float(self.raw_ers[row]))

    def passes(self, gamma: Float64 | float) -> NDArray[np.bool_]:
        """Return which of the batch may be compared at all: usable, and ERS >= gamma (eq. 4)."""
        return self.usable & (self.ers >= gamma)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return one batch of several (at least one), in their order."""
        return cls(
            vectors=np.concatenate([part.vectors for part in parts]),
            ers=np.concatenate([part.ers for part in parts]),
            raw_ers=np.concatenate([part.raw_ers for part in parts]),
            usable=np.concatenate([part.usable for part in parts]),
        )


def represent(derivation: Derivation, rows: NDArray[np.float32]) -> Representation:
    """Represent single embeddings: stored unit rows (q, d) float32.

    Raises InvalidEmbedding for another dimension, NaN or infinity.
    """
    derived = derivation.derive(rows)
    return Representation(derived.vectors, derived.ers, derived.raw_ers, derived.usable)


def represent_templates(derivation: Derivation, templates: Sequence[Template]) -> Representation:
    """Represent templates, one row each (eq. 5); enhancement comes before aggregation.

    Raises InvalidEmbedding for another dimension, NaN or infinity; its row counts within the template.
    """
    dimension = derivation.profile.dimension
    result = Representation(
        vectors=np.zeros((len(templates), dimension), dtype=np.float32),
        ers=np.zeros(len(templates)),
        raw_ers=np.zeros(len(templates)),
        usable=np.zeros(len(templates), dtype=np.bool_),
    )
    for row, template in enumerate(templates):
        whole = aggregate(template, derivation.directions(template.vectors))
        result.vectors[row] = whole.vectors[0]
        result.ers[row] = whole.ers[0]
        result.raw_ers[row] = whole.raw_ers[0]
        result.usable[row] = whole.usable[0]
    return result
