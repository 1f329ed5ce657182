"""The labelled faces that a calibration works on, in columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.embeddings import normalize
from ersgallery_index.errors import CalibrationFailed, InvalidEmbedding

CLEAN = -1
"""The kind of a face that was left as it is."""

UNKNOWN = -2
"""The kind of a face of which nobody knows whether it is degraded, such as a crop from the wild."""

NOBODY = -1
"""The identity of a face of which nobody knows whom it shows."""

Progress = Callable[[int, int], None]
"""Gets what is done and what there is to do; it may raise, which ends the work."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """n faces of one embedding model.

    rows (n, d) float32: stored unit rows, neither centred nor enhanced. identities (n,) int64: who, NOBODY where
    unknown. kinds (n,) int16: positions in kind_names, CLEAN or UNKNOWN. severities (n,) float64: 0 for clean faces,
    NaN where unknown. Raises CalibrationFailed (LABELS_MISMATCH) for columns that do not fit together.
    """

    rows: NDArray[np.float32]
    identities: NDArray[np.int64]
    kinds: NDArray[np.int16]
    severities: NDArray[np.float64]
    kind_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.rows), len(self.identities), len(self.kinds), len(self.severities)}
        if len(lengths) != 1 or self.rows.ndim != 2:
            raise CalibrationFailed(
                "LABELS_MISMATCH",
                f"{len(self.rows)} embeddings need as many identities ({len(self.identities)}), "
                f"kinds ({len(self.kinds)}) and severities ({len(self.severities)})",
            )
        if len(self.kinds) and not UNKNOWN <= self.kinds.min() <= self.kinds.max() < len(self.kind_names):
            raise CalibrationFailed("LABELS_MISMATCH", "a kind of degradation has no name")

    @classmethod
    def of_raw(
        cls,
        raw: NDArray[np.float32],
        identities: NDArray[np.int64] | None = None,
        kinds: NDArray[np.int16] | None = None,
        severities: NDArray[np.float64] | None = None,
        kind_names: tuple[str, ...] = (),
    ) -> Self:
        """Normalise raw embeddings (n, d) as a model gives them; what is not said of them is unknown.

        Raises CalibrationFailed: NOT_FINITE for NaN or infinity, ZERO_NORM, MIXED_DIMENSIONS, LABELS_MISMATCH.
        """
        if raw.ndim != 2:
            raise CalibrationFailed("MIXED_DIMENSIONS", "the embeddings are no matrix: one row per face is needed")
        if not np.isfinite(raw).all():
            row = int(np.argmin(np.isfinite(raw).all(axis=1)))
            raise CalibrationFailed("NOT_FINITE", f"the embedding in row {row} holds NaN or infinity")
        try:
            rows = normalize(np.asarray(raw, np.float32), raw.shape[1]).vectors
        except InvalidEmbedding as error:
            raise CalibrationFailed("ZERO_NORM", f"an embedding cannot be used: {error}") from error
        count = len(rows)
        return cls(
            rows,
            np.full(count, NOBODY, np.int64) if identities is None else identities,
            np.full(count, UNKNOWN, np.int16) if kinds is None else kinds,
            np.full(count, np.nan) if severities is None else severities,
            kind_names,
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dimension(self) -> int:
        """Numbers per embedding."""
        return int(self.rows.shape[1])

    @property
    def clean(self) -> NDArray[np.bool_]:
        """Return which faces are known to be clean."""
        return np.asarray(self.kinds == CLEAN, np.bool_)

    @property
    def degraded(self) -> NDArray[np.bool_]:
        """Return which faces are known to be degraded."""
        return np.asarray(self.kinds >= 0, np.bool_)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Return the chosen faces."""
        return type(self)(
            self.rows[chosen], self.identities[chosen], self.kinds[chosen], self.severities[chosen], self.kind_names
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the faces of all parts (at least one); raises CalibrationFailed where models or kinds differ."""
        if len({part.dimension for part in parts}) > 1:
            found = ", ".join(str(part.dimension) for part in parts)
            raise CalibrationFailed("MIXED_DIMENSIONS", f"embeddings of several dimensions were given: {found}")
        if len({part.kind_names for part in parts}) > 1:
            raise CalibrationFailed("LABELS_MISMATCH", "the sets name the kinds of degradation differently")
        return cls(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.identities for part in parts]),
            np.concatenate([part.kinds for part in parts]),
            np.concatenate([part.severities for part in parts]),
            parts[0].kind_names,
        )
