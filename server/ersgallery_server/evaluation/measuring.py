"""What the protocols share: faces of the bench as representations, rates as figures, and what cannot be measured."""

from collections.abc import Sequence

import numpy as np
from ersgallery_index import Representation
from ersgallery_index.calibration.estimates import Estimate
from ersgallery_index.calibration.separation import auc
from ersgallery_index.evaluation.pairs import Verification, fewer, verify_pairs
from ersgallery_index.evaluation.rates import Rate, by_people, wilson
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.tables import Figure, Table

Chosen = NDArray[np.bool_] | NDArray[np.intp] | NDArray[np.int64]

TAU_OF_TEST = (
    "tau of each column is set on these pairs of the test themselves, as in the paper, and anew in every resample of "
    "people."
)
"""The note of a table whose thresholds the test itself gives."""


def faces_of(bench: Bench, chosen: Chosen) -> Representation:
    """Return chosen faces of the corpus as they are compared."""
    derived = bench.derived
    return Representation(derived.vectors[chosen], derived.ers[chosen], derived.raw_ers[chosen], derived.usable[chosen])


def gated_by(faces: Representation, quality: NDArray[np.float64]) -> Representation:
    """Return the same faces with another measure of quality, 0..1, in the place of ERS."""
    return Representation(faces.vectors, quality, quality, faces.usable)


def as_quality(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return any measure that rises with quality as ranks in 0..1; equal values stay equal."""
    ordered = np.sort(values)
    return np.asarray(np.searchsorted(ordered, values, "left") / max(1, len(values)), np.float64)


def figure(rate: Rate | Estimate, *, supported: bool | None = None, digits: int = 2) -> Figure:
    """Return a rate as a figure in per cent."""
    known = rate.supported if isinstance(rate, Rate) else True
    return Figure(rate.value, rate.low, rate.high, known if supported is None else supported, digits=digits)


def share(holds: NDArray[np.bool_]) -> Figure | None:
    """Return how many of independent trials hold, with Wilson's interval; None without a trial."""
    return figure(wilson(int(holds.sum()), len(holds))) if len(holds) else None


def share_of(bench: Bench, holds: NDArray[np.bool_], people: NDArray[np.int64], purpose: str) -> Figure | None:
    """Return how many of n trials hold, with an interval by bootstrap over the people (n,) that they show.

    None without a trial. purpose: of the draws, the same in every run.
    """
    if not len(holds):
        return None
    return figure(by_people(holds, people, bench.plan.resamples, bench.rng(purpose)))


def verify(
    bench: Bench,
    faces: Representation,
    people: NDArray[np.int64],
    gammas: Sequence[float],
    fars: Sequence[float],
) -> tuple[Verification, ...]:
    """Verify all pairs of faces under each gamma, with the resamples and the seed of the plan."""
    plan = bench.plan
    return verify_pairs(faces, people, gammas=gammas, fars=fars, resamples=plan.resamples, seed=plan.seed)


def frr_cells(found: Verification) -> list[Figure]:
    """Return FRR by rising FAR."""
    return [figure(point.frr) for point in found.points]


def reduction(before: Verification, after: Verification) -> list[Figure | None]:
    """Return by what share errors became fewer at each FAR; None where there were none before."""
    found = (fewer(old, new) for old, new in zip(before.points, after.points, strict=True))
    return [None if rate is None else figure(rate, digits=1) for rate in found]


def separation(higher: NDArray[np.float64], lower: NDArray[np.float64]) -> Figure | None:
    """Return the AUC of one group of values against another; None where one has nobody."""
    return number(auc(higher, lower)) if len(higher) and len(lower) else None


def unmeasured(key: str, title: str, reason: str) -> Table:
    """Return a table that says why its figures cannot be had from this data."""
    return Table(key=key, title=title, columns=("not measured",), rows=((reason,),))


def number(value: float, digits: int = 4) -> Figure:
    """Return a plain number."""
    return Figure(value, percent=False, digits=digits)
