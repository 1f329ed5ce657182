"""Rows as int8 codes with a bound on what the coding lost, so that a search over codes can still be exact.

A row x is kept as c * s with integers |c| <= 127 and its own scale s; e = |x - c s| is measured. A probe q is coded the
same way, its loss is f. By the Cauchy-Schwarz inequality

    q.x <= (coded q).(coded x) + |q| e + f |coded x|,

so ranking rows by the coded product plus a share of e ranks them by an upper bound of their score.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.int8_library import ZERO, Codes, ProbeCodes, Product, int8_product
from ersgallery_index.interface import FloatRows, Scores

_LARGEST = 127
_LENGTH = 1.001
"""No vector in an index or a search is longer."""

_ROUNDING = 2e-6
"""Covers the float32 roundings of scale, product and bias, for scores up to 2."""


@dataclass(frozen=True, slots=True, eq=False)
class CodedProbes:
    """Probes (q, d) in codes. What a block returns becomes a bound of scores by `as_bounds`.

    A product takes one scale for all probes, so `scale` is that of the middle one; stretches (q,) >= 1 says how many
    times as large a probe's own scale is, and losses (q,) what its coding lost.
    """

    codes: ProbeCodes
    scale: np.float32
    stretches: Scores
    losses: Scores

    @classmethod
    def of(cls, probes: FloatRows) -> "CodedProbes":
        """Code probes of unit length."""
        own = _scales(np.abs(probes).max(axis=1))
        scale = np.float32(np.median(own))
        scales = np.maximum(own, scale)  # a stretch below 1 would shrink the rows' margins
        codes = np.rint(probes / scales[:, None])
        losses = _lengths(probes - codes * scales[:, None])
        # A row's loss is at most half its scale for each number, and no number is larger than 1.
        coded_length = _LENGTH + 0.5 / _LARGEST * np.sqrt(probes.shape[1])
        stretches = scales.astype(np.float64) / scale
        return cls((codes + ZERO).astype(np.uint8), scale, stretches, losses * coded_length + _ROUNDING * stretches)

    def as_bounds(self, values: FloatRows) -> Scores:
        """Return upper bounds of scores (q, n) for what blocks returned; the order of each probe's values is kept."""
        bounds: Scores = values.astype(np.float64) * self.stretches[:, None] + self.losses[:, None]
        return bounds


@dataclass(frozen=True, slots=True, eq=False)
class CodeBlock:
    """Rows start..stop-1 of a segment in codes. margins (n,): |q| e of each row; lowest, highest: of their ERS.

    alive (n,): which of them were when they were coded.
    """

    start: int
    stop: int
    product: Product
    margins: NDArray[np.float32]
    lowest: float
    highest: float
    alive: NDArray[np.bool_]

    @classmethod
    def of(cls, start: int, vectors: FloatRows, ers: Scores, alive: NDArray[np.bool_]) -> "CodeBlock":
        """Code the rows of a segment from `start` on."""
        codes, scales, losses = _coded(vectors)
        margins = (losses * _LENGTH + _ROUNDING).astype(np.float32)
        return cls(
            start=start,
            stop=start + len(vectors),
            product=int8_product(codes, scales),
            margins=np.nextafter(margins, np.float32(np.inf)),
            lowest=float(ers.min()),
            highest=float(ers.max()),
            alive=alive,
        )

    def look(self, probes: CodedProbes, hidden: NDArray[np.bool_] | None) -> FloatRows:
        """Return what `as_bounds` makes upper bounds (q, n) of all scores; minus infinity for hidden rows."""
        bias = self.margins if hidden is None else np.where(hidden, np.float32(-np.inf), self.margins)
        return self.product(probes.codes, probes.scale, bias)


def _coded(vectors: FloatRows) -> tuple[Codes, NDArray[np.float32], Scores]:
    scales = _scales(np.abs(vectors).max(axis=1))
    codes = np.rint(vectors / scales[:, None])
    return codes.astype(np.int8), scales, _lengths(vectors - codes * scales[:, None])


def _scales(largest: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scales that map the largest numbers to the largest codes; any for rows of zeros, as wiped ones are."""
    scales = np.maximum(largest, np.float32(1e-6)) / np.float32(_LARGEST)
    return scales.astype(np.float32)


def _lengths(rests: FloatRows) -> Scores:
    """Return the lengths of coding losses, whose own float32 rounding is far below what is added to them later."""
    lengths: Scores = np.sqrt(np.einsum("nd,nd->n", rests, rests, dtype=np.float64))
    return lengths
