"""T2, T3, T5, T6: recognition of sets of views, verified in pairs and searched for among enrolled people."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ersgallery_index import Derivation, Representation, Template, Weighting, represent_templates
from ersgallery_index.evaluation.open_set import RANKS, FnirDraws, fnir_at, rank_error, search_all
from ersgallery_index.evaluation.pairs import Verification
from ersgallery_index.evaluation.rates import share_fewer, wilson
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.failures import NotMeasurable
from ersgallery_server.evaluation.measuring import TAU_OF_TEST, figure, frr_cells, reduction, unmeasured, verify
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Chart, Entry, Series, Table

FARS = (1e-5, 1e-4, 1e-3, 1e-2)
_RANKS = (1, 5)
_FEWEST_PEOPLE = 2
_SEARCH = "Set-based open-set search: FNIR at FPIR, and rank errors"


@dataclass(frozen=True, slots=True, eq=False)
class _Sets:
    """Two sets of each person with several photographs, and one of each other person.

    members: rows of the corpus in each set; media: the photograph of each member. people (n,): whom each set shows.
    references, probes, strangers: which sets are which.
    """

    members: tuple[NDArray[np.int64], ...]
    media: tuple[tuple[str, ...], ...]
    people: NDArray[np.int64]
    references: NDArray[np.int64]
    probes: NDArray[np.int64]
    strangers: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Pooling:
    """One way to make a set into a vector."""

    weighting: Weighting
    media_pooling: bool = True
    enhance: bool = False


_AVERAGE = _Pooling(Weighting.UNIFORM)
_ERS = _Pooling(Weighting.SQUARE)


def run(bench: Bench) -> list[Table]:
    """Measure average pooling, ERS weighting, every other weighting and enhanced features on the same sets.

    Raises NotMeasurable where fewer than two people have two sets.
    """
    sets = _draw_sets(bench)
    if len(sets.references) < _FEWEST_PEOPLE:
        raise NotMeasurable(f"{len(sets.references)} people of the test have two photographs, and so two sets")
    pooled = {pooling: _pool(bench, sets, pooling) for pooling in _poolings()}
    trades = {pooling: _verify(bench, sets, faces) for pooling, faces in pooled.items()}
    note = (
        (
            f"{len(sets.references)} people with two sets from different photographs; each photograph gives its clean "
            f"view and its degraded ones, {np.mean([len(rows) for rows in sets.members]):.1f} views a set on average."
        ),
    )
    return [
        _verification(bench, trades, note),
        _search(bench, sets, pooled, note),
        _weightings(trades, note),
        _enhanced(trades, note),
    ]


def _poolings() -> list[_Pooling]:
    every = [_Pooling(weighting, media) for weighting in Weighting for media in (True, False)]
    return [*every, _Pooling(Weighting.UNIFORM, enhance=True), _Pooling(Weighting.SQUARE, enhance=True)]


def _draw_sets(bench: Bench) -> _Sets:
    corpus = bench.corpus
    names = np.array(corpus.names)
    used = corpus.of(Part.TEST) & ~corpus.of(Part.TEST, Role.LEVEL)
    rng = bench.rng("sets")
    members, people, kinds = [], [], []
    for person in np.unique(corpus.identities[used]).tolist():
        own = np.flatnonzero(used & (corpus.identities == person))
        photographs = rng.permutation(np.unique(names[own]))
        half = (len(photographs) + 1) // 2
        for kind, part in enumerate((photographs[:half], photographs[half:])):
            if len(part):
                members.append(own[np.isin(names[own], part)])
                people.append(person)
                kinds.append(kind if len(photographs) > 1 else 2)
    roles = np.array(kinds)
    return _Sets(
        members=tuple(members),
        media=tuple(tuple(names[rows].tolist()) for rows in members),
        people=np.array(people, np.int64),
        references=np.flatnonzero(roles == 0).astype(np.int64),
        probes=np.flatnonzero(roles == 1).astype(np.int64),
        strangers=np.flatnonzero(roles == 2).astype(np.int64),
    )


def _pool(bench: Bench, sets: _Sets, pooling: _Pooling) -> Representation:
    rows = bench.corpus.rows
    derivation = Derivation(bench.profile, enhance=pooling.enhance)
    return represent_templates(
        derivation,
        [
            Template(rows[members], media, pooling.weighting, pooling.media_pooling)
            for members, media in zip(sets.members, sets.media, strict=True)
        ],
    )


def _part(faces: Representation, chosen: NDArray[np.int64]) -> Representation:
    return Representation(faces.vectors[chosen], faces.ers[chosen], faces.raw_ers[chosen], faces.usable[chosen])


def _verify(bench: Bench, sets: _Sets, faces: Representation) -> tuple[Verification, ...]:
    pairs = np.concatenate([sets.references, sets.probes])
    return verify(bench, _part(faces, pairs), sets.people[pairs], (0.0, bench.profile.gamma), FARS)


def _verification(bench: Bench, trades: Mapping[_Pooling, tuple[Verification, ...]], note: tuple[str, ...]) -> Table:
    average = trades[_AVERAGE][0]
    weighted, gated = trades[_ERS]
    rows: list[tuple[Entry, ...]] = [
        ("average pooling", *frr_cells(average)),
        ("ERS weighting (square)", *frr_cells(weighted)),
        ("ERS weighting, sets below gamma UNSURE", *frr_cells(gated)),
        ("fewer errors by ERS weighting", *reduction(average, weighted)),
        ("fewer errors by ERS weighting and gate", *reduction(average, gated)),
    ]
    return Table(
        key="T2",
        title="Set-based verification, all pairs of sets: FRR at FAR",
        columns=("pooling", *(f"FAR {far:g}" for far in FARS)),
        rows=tuple(rows),
        source="table 2",
        notes=(
            *note,
            f"{average.impostor} impostor pairs; gamma {bench.profile.gamma:.4f}; media are pooled.",
            TAU_OF_TEST,
        ),
    )


def _search(bench: Bench, sets: _Sets, pooled: Mapping[_Pooling, Representation], note: tuple[str, ...]) -> Table:
    enrolled_people = np.flatnonzero(bench.rng("enrolled").random(len(bench.corpus.people)) < 0.5)
    references = sets.references[np.isin(sets.people[sets.references], enrolled_people)]
    probes = np.concatenate([sets.probes, sets.strangers])
    mated = np.isin(sets.people[probes], enrolled_people)
    if not mated.any() or mated.all():
        return unmeasured("T3", _SEARCH, "a search of sets needs people who are enrolled and people who are not")
    arms = {
        "average pooling": (_AVERAGE, 0.0),
        "ERS weighting (square)": (_ERS, 0.0),
        "ERS weighting, both gates": (_ERS, bench.profile.gamma),
    }
    rows: list[tuple[Entry, ...]] = []
    lines: list[Series] = []
    ranked: list[Series] = []
    first: list[FnirDraws] = []
    non_mated = 0
    for name, (pooling, gate) in arms.items():
        faces = pooled[pooling]
        found = search_all(
            _part(faces, references),
            sets.people[references],
            _part(faces, probes),
            sets.people[probes],
            gamma=gate,
            gamma_gallery=gate,
        )
        at = [fnir_at(found, fpir, bench.plan.resamples, bench.plan.seed) for fpir in bench.plan.fpirs]
        ranks = [wilson(int(missed.sum()), len(missed)) for missed in rank_error(found, _RANKS)]
        rows.append((name, *(figure(each.rate) for each in at), *(figure(rate) for rate in ranks)))
        first = first or at
        if name != "average pooling":
            saved = (
                share_fewer(base.rate, base.drawn, each.rate, each.drawn) for base, each in zip(first, at, strict=True)
            )
            change = [None if rate is None else figure(rate) for rate in saved]
            rows.append((f"fewer errors by {name}", *change, None, None))
        points = [10 ** (-exponent / 4) for exponent in range(1, 13)]
        lines.append(
            Series.of(name, points, [fnir_at(found, point, 2, bench.plan.seed).rate.value for point in points])
        )
        depths = range(1, RANKS + 1)
        ranked.append(Series.of(name, depths, [1.0 - missed.mean() for missed in rank_error(found, depths)]))
        non_mated = int((~found.mated).sum())
    return Table(
        key="T3",
        title=_SEARCH,
        columns=("pooling", *(f"FPIR {fpir:g}" for fpir in bench.plan.fpirs), *(f"rank {k} error" for k in _RANKS)),
        rows=tuple(rows),
        source="table 3",
        notes=(
            *note,
            (
                f"{len(references)} people are enrolled by one set; {len(probes) - non_mated} mated and "
                f"{non_mated} non-mated sets are searched; a mated set is found when its person is the best "
                "candidate at or above tau."
            ),
            (
                "tau of each FPIR is set on the non-mated sets of the test themselves, as in the paper, and anew in "
                "every resample of people."
            ),
        ),
        charts=(
            Chart("det", "Open-set search of sets", "FPIR", "FNIR", tuple(lines), log_x=True, log_y=True),
            Chart("cmc", "Mated sets found among the first k (CMC)", "k", "share found", tuple(ranked)),
        ),
    )


def _weightings(trades: Mapping[_Pooling, tuple[Verification, ...]], note: tuple[str, ...]) -> Table:
    return Table(
        key="T5",
        title="Weighting functions: FRR at FAR of set-based verification",
        columns=("weighting", "media pooling", *(f"FAR {far:g}" for far in FARS)),
        rows=tuple(
            (
                pooling.weighting.value.lower().replace("_", " "),
                "on" if pooling.media_pooling else "off",
                *frr_cells(trade[0]),
            )
            for pooling, trade in trades.items()
            if not pooling.enhance
        ),
        source="table 5",
        notes=(*note, TAU_OF_TEST),
    )


def _enhanced(trades: Mapping[_Pooling, tuple[Verification, ...]], note: tuple[str, ...]) -> Table:
    rows = {
        "average pooling": _AVERAGE,
        "ERS weighting (square)": _ERS,
        "average pooling of ERS-enhanced features": _Pooling(Weighting.UNIFORM, enhance=True),
        "ERS weighting of ERS-enhanced features": _Pooling(Weighting.SQUARE, enhance=True),
    }
    return Table(
        key="T6",
        title="ERS-enhanced features: FRR at FAR of set-based verification",
        columns=("features", *(f"FAR {far:g}" for far in FARS)),
        rows=tuple((name, *frr_cells(trades[pooling][0])) for name, pooling in rows.items()),
        source="table 6",
        notes=(*note, TAU_OF_TEST),
    )
