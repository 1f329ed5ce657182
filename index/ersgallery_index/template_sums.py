"""The sums of a template (eq. 5), to which members are added without meeting the earlier ones again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.recognizability import Directions, normalize_residuals
from ersgallery_index.sums import Float64, sum_of_parts, sum_parts

_ALL = ""
"""The one group of a template whose media are not pooled; a media without a name never has a group."""


@dataclass(frozen=True, slots=True, eq=False)
class TemplateSums:
    """What the members of a template come to; immutable. All sums are in parts (3, ...) of `sums.sum_parts`.

    members: how many there are, those without a direction included. scores (3, 2): sums of their ERS and raw ERS.
    groups: by the name of a media, sums (3, d + 1) of w f and of w, for media that may get more members. means (3, d):
    the sum of the weighted means of all media, of which there are `media`.
    """

    members: int
    scores: Float64
    means: Float64
    media: int
    groups: Mapping[str, Float64]

    @classmethod
    def empty(cls, dimension: int) -> Self:
        """Return the sums of no member."""
        return cls(0, np.zeros((3, 2)), np.zeros((3, dimension)), 0, {})

    @property
    def nbytes(self) -> int:
        """How much memory the sums take."""
        return self.scores.nbytes + self.means.nbytes + sum(group.nbytes for group in self.groups.values())

    def add(self, members: Directions, weights: Float64, media: Sequence[str] | None) -> Self:
        """Return the sums with more members (n rows).

        weights (n,): of each member by its own ERS. media: the name of each member's, "" for one of its own; None:
        media are not pooled. A member without a direction adds its ERS alone.
        """
        part = members.usable
        terms = np.column_stack([members.vectors * weights[:, None], weights])[part]
        rows = _rows_by_media(media, part)
        groups = {name: sum_parts(terms[own], 0) for name, own in rows.items() if name is not None}
        grown = [self.groups[name] for name in groups if name in self.groups]
        groups = {name: self.groups[name] + sums if name in self.groups else sums for name, sums in groups.items()}
        alone = _means(terms[rows.get(None, [])])
        met = _means(np.array([sum_of_parts(sums) for sums in groups.values()]).reshape(-1, terms.shape[1]))
        left = _means(np.array([sum_of_parts(sums) for sums in grown]).reshape(-1, terms.shape[1]))
        return type(self)(
            members=self.members + len(part),
            scores=self.scores + sum_parts(np.column_stack([members.ers, members.raw_ers]), 0),
            means=self.means - sum_parts(left, 0) + sum_parts(np.concatenate([alone, met]), 0),
            media=self.media + len(alone) + len(met) - len(left),
            groups={**self.groups, **groups},
        )

    def direction(self) -> Directions:
        """Return the template (1 row), of at least one member.

        Its ERS is the mean over all members. A sum without a direction is not usable.
        """
        mean = sum_of_parts(self.means) / max(1, self.media)
        vector, usable = normalize_residuals(mean[None, :])
        ers, raw_ers = sum_of_parts(self.scores) / self.members
        return Directions(vector, np.array([ers]), np.array([raw_ers]), usable)


def _rows_by_media(media: Sequence[str] | None, part: NDArray[np.bool_]) -> dict[str | None, list[int]]:
    """Return the rows that take part, by the name of their media; under None those with a media of their own."""
    if media is None:
        return {_ALL: list(range(int(np.count_nonzero(part))))}
    rows: dict[str | None, list[int]] = {}
    for row, name in enumerate(name for name, takes_part in zip(media, part, strict=True) if takes_part):
        rows.setdefault(name or None, []).append(row)
    return rows


def _means(sums: Float64) -> Float64:
    """Divide sums (m, d + 1) of w f by those of w; 0/0 is 0: a media whose members weigh nothing says nothing."""
    total = sums[:, -1:]
    means: Float64 = np.divide(sums[:, :-1], total, out=np.zeros_like(sums[:, :-1]), where=total > 0.0)
    return means
