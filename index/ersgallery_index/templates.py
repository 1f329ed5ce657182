"""Several embeddings of one person made into one (eq. 5)."""

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.embeddings import WRONG_DIMENSION
from ersgallery_index.errors import InvalidEmbedding
from ersgallery_index.recognizability import Directions, normalize_residuals
from ersgallery_index.sums import Float64, order_free_sum


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
    part = members.usable
    weights = weigh(members.ers[part], template.weighting)
    media = _media_numbers(template.media)[part]
    if not template.media_pooling:
        media = np.zeros_like(media)
    pooled = [_weighted_mean(members.vectors[part][media == one], weights[media == one]) for one in np.unique(media)]
    vector, usable = normalize_residuals(_mean(pooled, members.vectors.shape[1])[None, :])
    return Directions(
        vectors=vector,
        ers=_mean_score(members.ers),
        raw_ers=_mean_score(members.raw_ers),
        usable=usable,
    )


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


def _weighted_mean(vectors: Float64, weights: Float64) -> Float64:
    total = order_free_sum(weights)
    if total <= 0.0:
        # 0/0: a media whose members all weigh nothing says nothing.
        return np.zeros(vectors.shape[1])
    return order_free_sum(vectors * weights[:, None], axis=0) / total


def _mean(vectors: list[Float64], dimension: int) -> Float64:
    if not vectors:
        return np.zeros(dimension)
    return order_free_sum(np.array(vectors), axis=0) / len(vectors)


def _mean_score(scores: Float64) -> Float64:
    return np.array([order_free_sum(scores) / len(scores)])


def _media_numbers(media: tuple[str, ...]) -> NDArray[np.int64]:
    """Give each media a number, and each member without a media id one of its own."""
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(name or position, len(numbers)) for position, name in enumerate(media)])
