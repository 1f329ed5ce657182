"""Several embeddings of one person made into one (eq. 5)."""

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.embeddings import WRONG_DIMENSION
from ersgallery_index.errors import InvalidEmbedding
from ersgallery_index.recognizability import Directions
from ersgallery_index.sums import Float64
from ersgallery_index.template_sums import TemplateSums


class Weighting(enum.Enum):
    """The weight w of a member by its ERS e (table 5 of the paper).

    UNIFORM: 1. IDENTITY: e. SQUARE: e * e. SOFTMAX: exp(e) over the sum of the set's. TOP_1: e for the best member.
    TOP_10_PERCENT: e for the best ceil(n / 10) members. Of equal ERS, the earlier member is better.
    """

    UNIFORM = "UNIFORM"
    IDENTITY = "IDENTITY"
    SQUARE = "SQUARE"
    SOFTMAX = "SOFTMAX"
    TOP_1 = "TOP_1"
    TOP_10_PERCENT = "TOP_10_PERCENT"

    @property
    def is_additive(self) -> bool:
        """Tell whether a member's weight depends on its own ERS alone, up to a factor common to all."""
        return self not in {Weighting.TOP_1, Weighting.TOP_10_PERCENT}


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """Stored unit rows (n, d) float32 of one person, n >= 1.

    media: the photograph or video each member is from; "" means a media of its own. With media_pooling the members of
    one media are averaged first, so that a long video counts once.
    Raises InvalidEmbedding when there is no member, ValueError when media and members differ in number.
    """

    vectors: NDArray[np.float32]
    media: tuple[str, ...]
    weighting: Weighting = Weighting.SQUARE
    media_pooling: bool = True

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2:
            raise InvalidEmbedding(WRONG_DIMENSION)
        if len(self.vectors) == 0:
            raise InvalidEmbedding("is missing: a template needs a member")
        if len(self.media) != len(self.vectors):
            raise ValueError(f"{len(self.vectors)} members need as many media ids, not {len(self.media)}")

    def __len__(self) -> int:
        return len(self.vectors)


def aggregate(template: Template, members: Directions) -> Directions:
    """Pool a template's derived members into one direction (1 row).

    Weights come from the members' ERS, which no enhancement changes. Members without a direction take no part in the
    sum, but their ERS counts: the template's ERS is the mean over all members. A sum without a direction (weights all
    zero, or opposite members) is not usable.
    """
    return sum_members(template, members).direction()


def sum_members(template: Template, members: Directions, before: TemplateSums | None = None) -> TemplateSums:
    """Return the sums of a template, or of a template with those of earlier members: the same whatever is added when.

    members: the template's, derived. Raises ValueError for earlier members where a weight depends on the others.
    """
    if before is not None and not template.weighting.is_additive:
        raise ValueError(f"weights of {template.weighting.value} depend on all members")
    part = members.usable
    weights = np.zeros_like(members.ers)
    weights[part] = weigh(members.ers[part], template.weighting)
    sums = before or TemplateSums.empty(members.vectors.shape[1])
    return sums.add(members, weights, template.media if template.media_pooling else None)


def weigh(ers: Float64, weighting: Weighting) -> Float64:
    """Return the weight of each member (n,) by its ERS (n,), up to a common factor."""
    match weighting:
        case Weighting.UNIFORM:
            return np.ones_like(ers)
        case Weighting.IDENTITY:
            return ers.copy()
        case Weighting.SQUARE:
            return ers * ers
        case Weighting.SOFTMAX:
            return np.exp(ers)
        case Weighting.TOP_1:
            return _best(ers, 1)
        case Weighting.TOP_10_PERCENT:
            return _best(ers, math.ceil(len(ers) / 10))


def _best(ers: Float64, count: int) -> Float64:
    chosen = np.argsort(-ers, kind="stable")[:count]
    weights = np.zeros_like(ers)
    weights[chosen] = ers[chosen]
    return weights
