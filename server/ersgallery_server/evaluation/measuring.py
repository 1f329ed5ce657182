"""What the protocols share: faces of the bench as representations, and rates as figures."""

import numpy as np
from ersgallery_index import Representation
from ersgallery_index.calibration.estimates import Estimate
from ersgallery_index.evaluation.rates import Rate, wilson
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.tables import Figure

Chosen = NDArray[np.bool_] | NDArray[np.intp] | NDArray[np.int64]


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


def number(value: float, digits: int = 4) -> Figure:
    """Return a plain number."""
    return Figure(value, percent=False, digits=digits)


def fewer(before: Figure, after: Figure) -> Figure:
    """Return by what share errors became fewer.

    The interval is that of the two ends that lie furthest apart, for both figures are of the same people. It knows no
    more than they do: where theirs hold tau fixed, it is too narrow at a FAR that few pairs decide.
    """
    supported = before.supported and after.supported
    if not before.value or before.low is None or before.high is None or after.low is None or after.high is None:
        return Figure(0.0, supported=False, digits=1)
    low = 1.0 - after.high / before.low if before.low else None
    return Figure(1.0 - after.value / before.value, low, 1.0 - after.low / before.high, supported, digits=1)
