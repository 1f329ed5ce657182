"""Shares of errors with their uncertainty."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.sums import Float64

FEWEST_ERRORS = 10
"""With fewer expected errors a figure says little."""

_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % interval. supported: at least 10 of what is counted were expected."""

    value: float
    low: float
    high: float
    supported: bool = True


def wilson(count: int, trials: int) -> Rate:
    """Return count / trials with Wilson's interval, for independent trials; raises ValueError without a trial."""
    if trials <= 0:
        raise ValueError("a share needs a trial")
    share = count / trials
    scale = 1.0 + _Z * _Z / trials
    centre = (share + _Z * _Z / (2 * trials)) / scale
    half = _Z * math.sqrt(share * (1.0 - share) / trials + _Z * _Z / (4 * trials * trials)) / scale
    low, high = max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
    return Rate(share, low, high, supported=count >= FEWEST_ERRORS)


def draw_people(people: NDArray[np.int64], resamples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return how often each of n trials counts in each resample (r, n): people are drawn with all their trials."""
    names, which = np.unique(people, return_inverse=True)
    times = rng.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=resamples)
    return np.asarray(times[:, which.reshape(-1)], np.int64)


def by_people(errors: NDArray[np.bool_], people: NDArray[np.int64], resamples: int, rng: np.random.Generator) -> Rate:
    """Return the share of (n,) trials that are errors, with an interval by bootstrap over the people (n,) they show.

    Where all trials or none are errors no resample differs, and the interval is Wilson's of as many trials as people.
    """
    count = int(errors.sum())
    if count in {0, len(errors)}:
        shown = len(np.unique(people))
        apart = wilson(shown if count else 0, shown)
        return Rate(apart.value, apart.low, apart.high, supported=count >= FEWEST_ERRORS)
    drawn = draw_people(people, resamples, rng)
    shares = (drawn @ errors.astype(np.float64)) / np.maximum(drawn.sum(axis=1), 1)
    return rate_of(float(errors.mean()), shares, supported=count >= FEWEST_ERRORS)


def share_fewer(before: Rate, drawn_before: Float64, after: Rate, drawn_after: Float64) -> Rate | None:
    """Return by what share errors became fewer, with the interval of paired resamples (r,).

    None where there was no error before; resamples without one say nothing and are left out.
    """
    if before.value <= 0.0:
        return None
    some = drawn_before > 0.0
    if not some.any():
        return None
    drawn = 1.0 - drawn_after[some] / drawn_before[some]
    return rate_of(1.0 - after.value / before.value, drawn, supported=before.supported and after.supported)


def rate_of(value: float, drawn: Float64, *, supported: bool = True) -> Rate:
    """Return a figure with the interval that its resamples span."""
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Rate(value, float(low), float(high), supported)
