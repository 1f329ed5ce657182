"""Identification: the open-set decision for a batch of probes, in columns (eq. 3 and 4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.hits import Found, by_probe, concatenate_hits, from_hits, slice_hits, to_hits
from ersgallery_index.interface import By, Hits, Side, VectorIndex
from ersgallery_index.policy import Policy
from ersgallery_index.representation import Representation
from ersgallery_index.results import Candidate, Decision, Identification, Recognizability, UnsureReason
from ersgallery_index.sums import Float64

DECISIONS = tuple(Decision)
"""A decision's code is its position here."""

REASONS = tuple(UnsureReason)
"""A reason's bit is 1 << its position here."""


def decision_code(decision: Decision) -> int:
    """Return the code of a decision in the column of decisions."""
    return DECISIONS.index(decision)


def reason_bit(reason: UnsureReason) -> int:
    """Return the bit of a reason in the column of reasons."""
    return 1 << REASONS.index(reason)


def reasons_of(bits: int) -> tuple[UnsureReason, ...]:
    """Return the reasons whose bits are set."""
    return tuple(reason for position, reason in enumerate(REASONS) if bits >> position & 1)


@dataclass(frozen=True, slots=True, eq=False)
class Identifications:
    """The answers to q probes.

    decisions (q,) uint8 codes (DECISIONS), reasons (q,) uint8 bits (REASONS), ers and raw_ers (q,) float64.
    hits: the candidates, one per subject. filtered: the best subjects among the faces below the gallery gate, which
    influenced nothing; None when no policy asked for them, and empty for the probes whose policy did not.
    """

    decisions: NDArray[np.uint8]
    reasons: NDArray[np.uint8]
    ers: Float64
    raw_ers: Float64
    hits: Hits
    filtered: Hits | None

    def __len__(self) -> int:
        return len(self.decisions)

    def __iter__(self) -> Iterator[Identification]:
        return (self.row(row) for row in range(len(self)))

    def row(self, row: int) -> Identification:
        """Return the answer to one probe."""
        return Identification(
            decision=DECISIONS[self.decisions[row]],
            reasons=reasons_of(int(self.reasons[row])),
            recognizability=Recognizability(ers=float(self.ers[row]), raw_ers=float(self.raw_ers[row])),
            candidates=_candidates(self.hits, row),
            filtered=() if self.filtered is None else _candidates(self.filtered, row),
        )

    def slice(self, start: int, stop: int) -> Self:
        """Return the answers to probes start..stop-1."""
        return type(self)(
            decisions=self.decisions[start:stop],
            reasons=self.reasons[start:stop],
            ers=self.ers[start:stop],
            raw_ers=self.raw_ers[start:stop],
            hits=slice_hits(self.hits, start, stop),
            filtered=None if self.filtered is None else slice_hits(self.filtered, start, stop),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the answers to the probes of all parts (at least one), in their order."""
        asked = any(part.filtered is not None for part in parts)
        return cls(
            decisions=np.concatenate([part.decisions for part in parts]),
            reasons=np.concatenate([part.reasons for part in parts]),
            ers=np.concatenate([part.ers for part in parts]),
            raw_ers=np.concatenate([part.raw_ers for part in parts]),
            hits=concatenate_hits([part.hits for part in parts]),
            filtered=concatenate_hits([part.filtered or _no_hits(len(part)) for part in parts]) if asked else None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Rules:
    """The policies of a batch in columns; margin 0 stands for no margin rule, which no difference fails."""

    gamma: Float64
    gamma_gallery: Float64
    tau: Float64
    margin: Float64
    k: NDArray[np.int64]
    with_filtered: NDArray[np.bool_]


def identify(
    index: VectorIndex, representation: Representation, policies: Policy | Sequence[Policy]
) -> Identifications:
    """Decide for each probe of a batch: MATCH, NO_MATCH or UNSURE.

    policies: one for all probes, or one per probe. Order of decisions: a probe below gamma (or without a direction) is
    UNSURE and not searched at all; a best similarity below tau is NO_MATCH; a difference between the best two subjects
    below the margin is UNSURE; else MATCH. An empty gallery is NO_MATCH.
    Raises ValueError when probes and policies differ in number, InvalidEmbedding for another dimension than the
    index's.
    """
    probes = len(representation)
    rules = _rules(policies, probes)
    recognizable = representation.passes(rules.gamma)
    found, filtered = _search(index, representation, rules, np.flatnonzero(recognizable))
    decisions, reasons = _decide(found, rules, recognizable)
    return Identifications(
        decisions=decisions,
        reasons=reasons,
        ers=representation.ers,
        raw_ers=representation.raw_ers,
        hits=to_hits(_cut(found, rules.k), probes),
        filtered=to_hits(filtered, probes) if rules.with_filtered.any() else None,
    )


def _rules(policies: Policy | Sequence[Policy], probes: int) -> _Rules:
    every = [policies] * probes if isinstance(policies, Policy) else policies
    if len(every) != probes:
        raise ValueError(f"{probes} probes need as many policies, not {len(every)}")
    return _Rules(
        gamma=np.array([policy.gamma for policy in every], dtype=np.float64),
        gamma_gallery=np.array([policy.gamma_gallery for policy in every], dtype=np.float64),
        tau=np.array([policy.tau for policy in every], dtype=np.float64),
        margin=np.array([policy.margin or 0.0 for policy in every], dtype=np.float64),
        k=np.array([policy.max_candidates for policy in every], dtype=np.int64),
        with_filtered=np.array([policy.include_filtered for policy in every], dtype=np.bool_),
    )


def _search(
    index: VectorIndex, representation: Representation, rules: _Rules, searched: NDArray[np.intp]
) -> tuple[Found, Found]:
    """Search the recognizable probes, once per distinct k and side; the index groups the gates itself."""
    # The margin rule needs a runner-up even where one candidate is wanted.
    needed = np.maximum(rules.k, np.where(rules.margin > 0.0, 2, 1))
    found: list[Found] = []
    filtered: list[Found] = []
    for k in np.unique(needed[searched]):
        rows = searched[needed[searched] == k]
        found.append(_search_side(index, representation, rules, rows, int(k), Side.PASSING))
    wanted = searched[rules.with_filtered[searched]]
    for k in np.unique(rules.k[wanted]):
        rows = wanted[rules.k[wanted] == k]
        filtered.append(_search_side(index, representation, rules, rows, int(k), Side.FILTERED))
    return by_probe(found), by_probe(filtered)


def _search_side(
    index: VectorIndex, representation: Representation, rules: _Rules, rows: NDArray[np.intp], k: int, side: Side
) -> Found:
    hits = index.search(representation.vectors[rows], rules.gamma_gallery[rows], k, By.SUBJECT, side)
    return from_hits(hits).of_probes(rows.astype(np.int64))


def _decide(
    found: Found, rules: _Rules, recognizable: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    best, second = _best_two(found, len(recognizable))
    # Minus infinity less minus infinity (no candidates) is NaN, which is below no margin.
    with np.errstate(invalid="ignore"):
        ambiguous = recognizable & (best >= rules.tau) & (best - second < rules.margin)
    decisions = np.full(len(recognizable), decision_code(Decision.MATCH), dtype=np.uint8)
    decisions[best < rules.tau] = decision_code(Decision.NO_MATCH)
    decisions[ambiguous | ~recognizable] = decision_code(Decision.UNSURE)
    reasons = np.zeros(len(recognizable), dtype=np.uint8)
    reasons[ambiguous] = reason_bit(UnsureReason.AMBIGUOUS)
    reasons[~recognizable] = reason_bit(UnsureReason.PROBE_UNRECOGNIZABLE)
    return decisions, reasons


def _best_two(found: Found, probes: int) -> tuple[Float64, Float64]:
    """Return each probe's best and second-best score, minus infinity where there is none."""
    offsets = np.searchsorted(found.probes, np.arange(probes + 1), side="left")
    counts = np.diff(offsets)
    best, second = np.full(probes, -np.inf), np.full(probes, -np.inf)
    best[counts > 0] = found.scores[offsets[:-1][counts > 0]]
    second[counts > 1] = found.scores[offsets[:-1][counts > 1] + 1]
    return best, second


def _cut(found: Found, k: NDArray[np.int64]) -> Found:
    ranks = np.arange(len(found)) - np.searchsorted(found.probes, found.probes, side="left")
    return found.take(ranks < k[found.probes])


def _no_hits(probes: int) -> Hits:
    return to_hits(Found.empty(), probes)


def _candidates(hits: Hits, row: int) -> tuple[Candidate, ...]:
    rows = slice(int(hits.offsets[row]), int(hits.offsets[row + 1]))
    columns = (hits.subject_ids[rows], hits.face_ids[rows], hits.scores[rows], hits.ers[rows])
    return tuple(Candidate(*values) for values in zip(*(column.tolist() for column in columns), strict=True))
