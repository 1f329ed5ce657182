"""T10: a high-quality set, on which the gate should change nothing."""

from dataclasses import dataclass

import numpy as np
from ersgallery_index import Representation
from ersgallery_index.calibration import CalibrationFailed
from ersgallery_index.evaluation.rates import Rate, rate_of
from ersgallery_index.sums import Float64
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.measuring import (
    TAU_OF_TEST,
    faces_of,
    figure,
    frr_cells,
    reduction,
    share_of,
    unmeasured,
    verify,
)
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Table

_IMPOSTOR_STEP = 50
_TITLE = "A high-quality set, where the gate should change nothing: clean faces alone"


def clean_pairs(bench: Bench) -> Table:
    """Return accuracy and FRR at FAR of all pairs of clean test faces without and with the gate."""
    plan, gamma = bench.plan, bench.profile.gamma
    clean = bench.corpus.of(Part.TEST, Role.SINGLE) & bench.corpus.clean
    people = bench.corpus.identities[clean]
    faces = faces_of(bench, clean)
    try:
        off, on = verify(bench, faces, people, (0.0, gamma), plan.fars)
    except CalibrationFailed as error:
        return unmeasured("T10", _TITLE, f"clean test faces cannot be verified: {error}")
    pairs = draw_pairs(faces, people)
    names, who = np.unique(people, return_inverse=True)
    times = np.random.default_rng(plan.seed).multinomial(
        len(names), np.full(len(names), 1.0 / len(names)), size=plan.resamples
    )
    passes = faces.passes(gamma)
    plain, gated, answered = (
        accuracy(pairs, who.reshape(-1), times, passes=passes if gate else None, answered=gate == "answered")
        for gate in ("", "gate", "answered")
    )
    unsure = ~passes
    return Table(
        key="T10",
        title=_TITLE,
        columns=(
            "gate",
            "accuracy",
            "accuracy of answered pairs",
            "faces UNSURE",
            *(f"FRR at FAR {far:g}" for far in plan.fars),
        ),
        rows=(
            (
                "no gate",
                figure(_rate(plain)),
                figure(_rate(plain)),
                share_of(bench, ~faces.passes(0.0), people, "clean"),
                *frr_cells(off),
            ),
            (
                "ERS",
                figure(_rate(gated)),
                figure(_rate(answered)),
                share_of(bench, unsure, people, "clean"),
                *frr_cells(on),
            ),
            (
                "gain by ERS (accuracy: points; FRR: share fewer)",
                figure(_rate(gated - plain)),
                figure(_rate(answered - plain)),
                None,
                *reduction(off, on),
            ),
        ),
        source="table 10",
        notes=(
            f"{len(people)} clean photographs of {len(np.unique(people))} people.",
            "Accuracy is the best balanced one over thresholds; UNSURE genuine pairs are errors in the first column.",
            f"The threshold of an accuracy is its best on the test itself. {TAU_OF_TEST}",
            f"Of the impostor pairs every {_IMPOSTOR_STEP}th is taken for the accuracies.",
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of faces by rising score: scores (p,), positions of the faces first, second (p,), same person (p,)."""

    scores: Float64
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    genuine: NDArray[np.bool_]


def draw_pairs(faces: Representation, people: NDArray[np.int64], step: int = _IMPOSTOR_STEP) -> Pairs:
    """Return all genuine pairs of n faces of people (n,), and every `step`th impostor pair."""
    first, second = np.triu_indices(len(people), 1)
    genuine = people[first] == people[second]
    chosen = genuine | (np.arange(len(first)) % step == 0)
    first, second, genuine = first[chosen], second[chosen], genuine[chosen]
    scores = np.concatenate(
        [
            np.einsum("ij,ij->i", faces.vectors[first[at : at + 65536]], faces.vectors[second[at : at + 65536]])
            for at in range(0, len(first), 65536)
        ]
    ).astype(np.float64)
    order = np.argsort(scores, kind="stable")
    return Pairs(scores[order], first[order].astype(np.int64), second[order].astype(np.int64), genuine[order])


def accuracy(
    pairs: Pairs, who: NDArray[np.int64], times: NDArray[np.int64], *, passes: NDArray[np.bool_] | None, answered: bool
) -> Float64:
    """Return the best balanced accuracy over thresholds: of all pairs, then of each draw of people (1 + r,).

    who (n,): whom each face shows, 0..p - 1. times (r, p): how often each is drawn. passes (n,): of the gate, or None;
    a pair with a side that does not pass is rejected at every threshold or, with `answered`, left out. Shares of
    genuine and impostor pairs weigh the same.
    """
    sure = np.ones(len(pairs.scores), np.bool_) if passes is None else passes[pairs.first] & passes[pairs.second]
    one, other = who[pairs.first], who[pairs.second]
    # Of equal scores only the last may be a threshold.
    ends = np.append(np.diff(pairs.scores) > 0, True)
    counted = sure if answered else np.ones(len(sure), np.bool_)
    found = np.empty(1 + len(times))
    for draw, weight in enumerate([np.ones(times.shape[1], np.int64), *times]):
        genuine: NDArray[np.int64] = np.where(pairs.genuine, weight[one], 0)
        impostor: NDArray[np.int64] = np.where(pairs.genuine, 0, weight[one] * weight[other])
        right = _share_above(np.where(sure, genuine, 0), np.where(counted, genuine, 0))
        false = _share_above(np.where(sure, impostor, 0), np.where(counted, impostor, 0))
        found[draw] = float(((right + 1.0 - false)[ends]).max()) / 2.0
    return found


def _share_above(accepted: NDArray[np.int64], counted: NDArray[np.int64]) -> Float64:
    """Return what share of the counted weight lies above each pair and is accepted."""
    above = accepted.sum() - np.cumsum(accepted)
    return np.asarray(above / max(1, int(counted.sum())), np.float64)


def _rate(values: Float64) -> Rate:
    """Return the first value with the interval of the others."""
    return rate_of(float(values[0]), values[1:])
