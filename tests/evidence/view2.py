"""View 2 of Labeled Faces in the Wild: the accuracy on 6,000 given pairs that other work reports."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ersgallery_index import Derivation, normalize
from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.measuring import faces_of
from ersgallery_server.evaluation.plan import Part
from ersgallery_server.evaluation.tables import Entry, Figure, Table
from numpy.typing import NDArray

FOLDS = 10
_T_95 = 2.2621571628540993
"""Student's t of nine degrees of freedom: the mean of ten folds lies within so many standard errors."""

Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]


class PairsBroken(Exception):
    """The list of pairs is not what it should be."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """p pairs of photographs: first, second (their names), same person (p,), fold (p,) 0..9."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    same: Mask
    fold: NDArray[np.int64]

    @property
    def names(self) -> tuple[str, ...]:
        """Return every photograph once, sorted."""
        return tuple(sorted({*self.first, *self.second}))


def read_pairs(path: Path) -> Pairs:
    """Read pairs.txt as it is published: of each fold the genuine pairs, then the impostors. Raises PairsBroken."""
    lines = path.read_text(encoding="utf-8").splitlines()
    first: list[str] = []
    second: list[str] = []
    same: list[bool] = []
    for line in lines[1:]:
        match line.split("\t"):
            case [who, one, other]:
                pair = (who, one), (who, other)
            case [who, one, whom, other]:
                pair = (who, one), (whom, other)
            case _:
                raise PairsBroken(f"{path} has a line that is no pair: {line!r}")
        first.append(_photograph(*pair[0]))
        second.append(_photograph(*pair[1]))
        same.append(pair[0][0] == pair[1][0])
    if lines[0].split("\t")[:1] != [str(FOLDS)] or not same or len(same) % FOLDS:
        raise PairsBroken(f"{path} does not have {FOLDS} folds of as many pairs")
    fold = np.arange(len(same)) // (len(same) // FOLDS)
    return Pairs(tuple(first), tuple(second), np.array(same), fold.astype(np.int64))


def view2_table(bench: Bench, pairs: Pairs, embed: Callable[[tuple[str, ...]], NDArray[np.float32]]) -> Table:
    """Measure accuracy on the pairs without and with the gate; photographs not in the corpus are embedded raw."""
    vectors, passes = _faces(bench, pairs.names, embed)
    place = {name: row for row, name in enumerate(pairs.names)}
    one, other = ([place[name] for name in side] for side in (pairs.first, pairs.second))
    scores = np.einsum("ij,ij->i", vectors[one], vectors[other])
    sure = passes[one] & passes[other]
    test = _of_test(bench, pairs.first) & _of_test(bench, pairs.second)
    every = np.ones(len(scores), np.bool_)
    rows: list[tuple[Entry, ...]] = []
    for who, chosen in (("all pairs", every), ("pairs of test people", test)):
        unsure = Figure(float((~sure)[chosen].mean()))
        for gate, accepted, counted in (
            ("no gate", scores, every),
            ("ERS, UNSURE is a reject", np.where(sure, scores, -np.inf), every),
            ("ERS, answered pairs", scores, sure),
        ):
            right = ten_fold(accepted, pairs.same, pairs.fold, counted)
            kept = counted & chosen
            rows.append((f"{who}: {gate}", _mean(right, pairs.fold, kept), unsure, int(kept.sum())))
    return Table(
        key="view2",
        title="View 2 of Labeled Faces in the Wild: accuracy on the official pairs, ten folds",
        columns=("pairs and gate", "accuracy", "pairs UNSURE", "n"),
        rows=tuple(rows),
        notes=(
            "The threshold of a fold is the best on the other nine; the interval is that of the mean of ten folds.",
            "An UNSURE genuine pair is an error, an UNSURE impostor pair is rejected, which is right.",
            "People who make the profile are among all pairs; pairs of test people alone leave them out.",
            "Crops are embedded once, not mirrored.",
        ),
    )


def ten_fold(scores: Scores, same: Mask, fold: NDArray[np.int64], counted: Mask) -> Mask:
    """Return which of p pairs are decided rightly at the best threshold of the counted pairs of the other folds."""
    right = np.zeros(len(scores), np.bool_)
    for here in range(FOLDS):
        inside, others = fold == here, counted & (fold != here)
        tau = best_threshold(scores[others], same[others])
        right[inside] = (scores[inside] >= tau) == same[inside]
    return right


def best_threshold(scores: Scores, same: Mask) -> float:
    """Return the score at or above which accepting is right most often."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    gained = np.cumsum(np.where(same[order], 1, -1))
    # Of equal scores only the last can be a threshold, and minus infinity is no score.
    ends = np.append(falling[1:] < falling[:-1], True) & np.isfinite(falling)
    return float(falling[ends][int(np.argmax(gained[ends]))])


def _faces(
    bench: Bench, names: tuple[str, ...], embed: Callable[[tuple[str, ...]], NDArray[np.float32]]
) -> tuple[NDArray[np.float32], Mask]:
    """Return the derived vectors of photographs and whether they pass the gate."""
    corpus = bench.corpus
    kept = {corpus.names[row]: row for row in np.flatnonzero(corpus.clean).tolist()}
    missing = tuple(name for name in names if name not in kept)
    vectors = np.empty((len(names), corpus.dimension), np.float32)
    passes = np.empty(len(names), np.bool_)
    there = np.array([name in kept for name in names])
    known = faces_of(bench, np.array([kept[name] for name in names if name in kept], np.int64))
    vectors[there], passes[there] = known.vectors, known.passes(bench.profile.gamma)
    if missing:
        derived = Derivation(bench.profile).derive(normalize(embed(missing), corpus.dimension).vectors)
        vectors[~there] = derived.vectors
        passes[~there] = derived.usable & (derived.ers >= bench.profile.gamma)
    return vectors, passes


def _of_test(bench: Bench, names: tuple[str, ...]) -> Mask:
    corpus = bench.corpus
    people = {corpus.people[who] for who in np.unique(corpus.identities[corpus.of(Part.TEST)]).tolist()}
    return np.array([name.rpartition("/")[0] in people for name in names])


def _mean(right: Mask, fold: NDArray[np.int64], chosen: Mask) -> Figure:
    parts = [right[chosen & (fold == here)] for here in range(FOLDS)]
    folds = np.array([part.mean() for part in parts if len(part)])
    reach = _T_95 * float(folds.std(ddof=1)) / np.sqrt(len(folds))
    return Figure(float(folds.mean()), float(folds.mean() - reach), min(1.0, float(folds.mean() + reach)))


def _photograph(person: str, number: str) -> str:
    return f"{person}/{person}_{int(number):04}.jpg"
