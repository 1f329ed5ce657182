"""Rank a test's gallery for its queries, with and without gates, and say what the gates changed."""

from dataclasses import dataclass

import numpy as np
from ersgallery_index import Derivation, Profile
from ersgallery_index.evaluation.retrieval import Ranked, mean_over_identities, rank
from ersgallery_server.evaluation.tables import Entry, Figure
from numpy.typing import NDArray

from tests.evidence.beyond_faces.protocol import Part, Samples

RANKS = (1, 5, 10)
_LEAST_ERRORS = 10
_BLOCK_QUERIES = 512

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The images of one side of a search: where they are among all samples, whose they are, vectors and ERS."""

    at: NDArray[np.int64]
    identities: NDArray[np.int64]
    plain: NDArray[np.float32]
    vectors: NDArray[np.float32]
    ers: Values


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Queries and a gallery under one profile; distractors belong to nobody."""

    queries: Side
    gallery: Side
    gamma: float


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are drawn."""

    seed: int = 0
    resamples: int = 1000


def prepare(samples: Samples, rows: NDArray[np.float32], profile: Profile) -> Trial:
    """Derive the test's images, given as unit rows (n, d), by a profile."""
    derivation = Derivation(profile)
    return Trial(
        _side(samples, rows, derivation, (Part.QUERY,)),
        _side(samples, rows, derivation, (Part.GALLERY, Part.DISTRACTOR)),
        profile.gamma,
    )


def without_gates(trial: Trial, *, plain: bool = False, counted: Mask | None = None) -> Ranked:
    """Rank everything for every query; `plain` takes the network's own cosine instead of the profile's vectors."""
    queries, gallery = trial.queries, trial.gallery
    return rank(
        queries.plain if plain else queries.vectors,
        gallery.plain if plain else gallery.vectors,
        queries.identities,
        gallery.identities,
        counted=counted,
    )


def with_gates(trial: Trial, *, probe: bool, gamma: float | None = None, counted: Mask | None = None) -> Ranked:
    """Rank what is at or above gamma in the gallery; with `probe`, for the queries that are too."""
    gate = trial.gamma if gamma is None else gamma
    queries, gallery = trial.queries, trial.gallery
    return rank(
        queries.vectors,
        gallery.vectors,
        queries.identities,
        gallery.identities,
        query_ok=queries.ers >= gate if probe else None,
        gallery_ok=gallery.ers >= gate,
        counted=counted,
    )


def nearest_rows(trial: Trial) -> NDArray[np.int64]:
    """Return the gallery row that comes first for each query without gates, the lower one among equals: (n,)."""
    gallery = trial.gallery.vectors.astype(np.float64).T
    queries = trial.queries.vectors
    blocks = np.array_split(np.arange(len(queries)), len(queries) // _BLOCK_QUERIES + 1)
    return np.concatenate([(queries[block].astype(np.float64) @ gallery).argmax(axis=1) for block in blocks])


def measures(ranked: Ranked) -> tuple[Values, ...]:
    """Return each query's average precision, and whether it is right within rank 1, 5 and 10: each (n,)."""
    return (ranked.average_precision, *(ranked.found_within(k) for k in RANKS))


def share(values: Values, identities: NDArray[np.int64], drawing: Bootstrap) -> Figure | None:
    """Return a mean of values in 0..1 with its interval; supported with at least 10 expected errors either way.

    None of no values.
    """
    if len(values) == 0:
        return None
    interval = mean_over_identities(values, identities, seed=drawing.seed, resamples=drawing.resamples)
    errors = min(float(values.sum()), len(values) - float(values.sum()))
    return Figure(interval.value, interval.low, interval.high, supported=errors >= _LEAST_ERRORS)


def difference(better: Values, worse: Values, identities: NDArray[np.int64], drawing: Bootstrap) -> Figure:
    """Return the mean of better - worse on the same queries, in shares, with the interval of the paired difference."""
    changed = better - worse
    interval = mean_over_identities(changed, identities, seed=drawing.seed, resamples=drawing.resamples)
    enough = int(np.count_nonzero(changed)) >= _LEAST_ERRORS
    return Figure(interval.value, interval.low, interval.high, supported=enough)


def retrieval_rows(trial: Trial, drawing: Bootstrap) -> tuple[tuple[Entry, ...], ...]:
    """Return the rows of the main table: mAP, mAP with kept-out images as junk, rank 1, 5, 10, unsure queries."""
    names = trial.queries.identities
    shown = trial.gallery.ers >= trial.gamma
    open_junk = without_gates(trial, counted=shown)
    ungated = without_gates(trial)
    both, gallery_only = with_gates(trial, probe=True), with_gates(trial, probe=False)
    both_junk = with_gates(trial, probe=True, counted=shown)
    gallery_junk = with_gates(trial, probe=False, counted=shown)
    plain = without_gates(trial, plain=True)
    plain_junk = without_gates(trial, plain=True, counted=shown)
    answered = both.answered

    def row(name: str, ranked: Ranked, junk: Ranked, of: Mask | None = None) -> tuple[Entry, ...]:
        who = np.ones(len(names), np.bool_) if of is None else of
        first, *others = measures(ranked)
        columns = (first, junk.average_precision, *others, (~ranked.answered).astype(np.float64))
        return (name, *(share(values[who], names[who], drawing) for values in columns))

    def gain(name: str, ranked: Ranked, junk: Ranked) -> tuple[Entry, ...]:
        pairs = zip(measures(ranked), measures(ungated), strict=True)
        first, *others = (difference(better, worse, names, drawing) for better, worse in pairs)
        junk_gain = difference(junk.average_precision, open_junk.average_precision, names, drawing)
        return (name, first, junk_gain, *others, None)

    return (
        row("the network's own cosine, no gate", plain, plain_junk),
        row("the profile's vectors, no gate", ungated, open_junk),
        row("gallery gate", gallery_only, gallery_junk),
        row("both gates (unsure queries are errors)", both, both_junk),
        gain("gain by the gallery gate", gallery_only, gallery_junk),
        gain("gain by both gates", both, both_junk),
        row("no gate, only the queries that are not unsure", ungated, open_junk, answered),
        row("both gates, only the queries that are not unsure", both, both_junk, answered),
    )


def _side(samples: Samples, rows: NDArray[np.float32], derivation: Derivation, parts: tuple[Part, ...]) -> Side:
    at = np.flatnonzero(samples.of(*parts))
    derived = derivation.derive(rows[at])
    nobody = samples.parts[at] == Part.DISTRACTOR
    return Side(
        at,
        np.where(nobody, -1, samples.characters[at]),
        rows[at],
        derived.vectors,
        np.where(derived.usable, derived.ers, -1.0),
    )
