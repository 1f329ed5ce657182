"""T1: single-image verification of all pairs of a mix of clean and degraded faces."""

from collections.abc import Mapping

import numpy as np
from ersgallery_index import Representation
from ersgallery_index.calibration import auc
from ersgallery_index.calibration.gamma import gamma_trade
from ersgallery_index.evaluation.pairs import verify_pairs
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.measuring import (
    TAU_OF_TEST,
    as_quality,
    faces_of,
    frr_cells,
    gated_by,
    reduction,
    verify,
)
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.protocols.quality import clean_pairs
from ersgallery_server.evaluation.tables import Chart, Entry, Figure, Series, Table

_SEARCHED = tuple(np.round(np.linspace(0.01, 0.5, 50), 3).tolist())
_KEPT_SHARES = np.linspace(0.0, 0.5, 26)
_DET_FARS = tuple(float(f"{10 ** (-step / 3):.3g}") for step in range(6, 19))


def run(bench: Bench) -> list[Table]:
    """Measure FRR at FAR with no gate, with ERS, and with other measures of quality as the gate."""
    return [_mixed(bench), clean_pairs(bench)]


def _mixed(bench: Bench) -> Table:
    mixed = bench.mixed
    people = bench.corpus.identities[mixed]
    faces = faces_of(bench, mixed)
    measures = _measures(bench)
    off, ers = verify(bench, faces, people, (0.0, bench.profile.gamma), bench.plan.fars)
    rows: list[tuple[Entry, ...]] = [("no gate", *frr_cells(off)), ("ERS", *frr_cells(ers))]
    rows.append(("fewer false rejects by ERS", *reduction(off, ers)))
    lines = {"no gate": _det(faces, people, 0.0), "ERS": _det(faces, people, bench.profile.gamma)}
    for name, (values, threshold) in measures.items():
        quality, gate = _on_ranks(values[mixed], threshold)
        (found,) = verify(bench, gated_by(faces, quality), people, (gate,), bench.plan.fars)
        rows.append((name, *frr_cells(found)))
        lines[name] = _det(gated_by(faces, quality), people, gate)
    for name, (values, threshold) in measures.items():
        ranked = _on_ranks(values[mixed], threshold)
        rows.append((f"{name}, best threshold of each column", *_best(bench, faces, people, *ranked)))
    degraded = ~bench.corpus.clean[mixed]
    return Table(
        key="T1",
        title="Single-image verification, all pairs of clean and degraded faces: FRR at FAR",
        columns=("gate", *(f"FAR {far:g}" for far in bench.plan.fars)),
        rows=tuple(rows),
        source="table 1",
        notes=(
            (
                f"{len(people)} faces of {len(np.unique(people))} people, {degraded.mean():.1%} of them degraded; "
                f"{ers.genuine} genuine and {ers.impostor} impostor pairs."
            ),
            "An UNSURE genuine pair is a false reject; UNSURE pairs stay in every denominator.",
            (f"{TAU_OF_TEST} Where a few impostor pairs set it, as at FAR 1e-6, the interval is wide."),
            (
                f"gamma is {bench.profile.gamma:.4f}; every other measure rejects by the same rule: at most "
                f"{bench.plan.max_clean_below:.1%} of clean validation faces fall below."
            ),
            (
                f"The rows with the best threshold take the best of {len(_SEARCHED) + 2} on the test itself, for each "
                "column, as the paper did for its competitors: that favours them."
            ),
        ),
        charts=(
            Chart(
                "det-pairs",
                "All pairs of clean and degraded faces: FRR against FAR",
                "FAR",
                "FRR",
                tuple(Series.of(name, _DET_FARS[::-1], line) for name, line in lines.items()),
                log_x=True,
                log_y=True,
            ),
            _rejected_share(bench, faces, people, measures),
        ),
    )


def _measures(bench: Bench) -> Mapping[str, tuple[NDArray[np.float64], float]]:
    """Return other measures of quality, each with the threshold that clean validation faces give."""
    corpus = bench.corpus
    clean = corpus.of(Part.VALIDATION, Role.SINGLE) & corpus.clean
    if not clean.any():
        return {}
    every = {
        "embedding norm": corpus.norms,
        "detector score": corpus.detector_scores,
        "image sharpness": corpus.sharpness,
    }
    found = {}
    for name, values in every.items():
        if not np.isnan(values).any():
            may_fall = int(bench.plan.max_clean_below * clean.sum())
            found[name] = (values, float(np.sort(values[clean])[may_fall]))
    return found


def _on_ranks(values: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.float64], float]:
    """Return values as ranks in 0..1 and the gate on ranks that keeps what is at or above a threshold."""
    return as_quality(values), float(np.searchsorted(np.sort(values), threshold, "left") / max(1, len(values)))


def _det(faces: Representation, people: NDArray[np.int64], gate: float) -> list[float]:
    """Return FRR at the FARs of the chart, rising."""
    (found,) = verify_pairs(faces, people, gammas=(gate,), fars=_DET_FARS, resamples=1)
    return [point.frr.value for point in found.points]


def _best(
    bench: Bench, faces: Representation, people: NDArray[np.int64], quality: NDArray[np.float64], gate: float
) -> list[Figure]:
    """Return FRR at each FAR under the gate that is best there on the test itself, `gate` among them."""
    gated = gated_by(faces, quality)
    tried = gamma_trade(gated, people, gammas=(0.0, gate, *_SEARCHED), fars=bench.plan.fars, seed=bench.plan.seed).rows
    columns = [sorted(row.cells, key=lambda cell: cell.far) for row in tried]
    best = [min(range(len(tried)), key=lambda row: columns[row][at].frr.value) for at in range(len(bench.plan.fars))]
    gates = sorted(set(best))
    found = verify(bench, gated, people, tuple(tried[row].gamma for row in gates), bench.plan.fars)
    return [frr_cells(found[gates.index(row)])[at] for at, row in enumerate(best)]


def _rejected_share(
    bench: Bench,
    faces: Representation,
    people: NDArray[np.int64],
    measures: Mapping[str, tuple[NDArray[np.float64], float]],
) -> Chart:
    """Return FRR of the pairs that are left by the share of faces rejected, at a fixed tau (error versus discard)."""
    far = 1e-3
    tau = gamma_trade(faces, people, gammas=(0.0,), fars=(far,), seed=bench.plan.seed).rows[0].cells[0].tau
    qualities = {"ERS": faces.ers, **{name: values[bench.mixed] for name, (values, _) in measures.items()}}
    first, second = _genuine_pairs(people)
    failed = np.einsum("ij,ij->i", faces.vectors[first], faces.vectors[second]) < tau
    lines = []
    for name, values in qualities.items():
        ranks = as_quality(values)
        worse = np.minimum(ranks[first], ranks[second])
        rates = [float(failed[worse >= kept].mean()) if (worse >= kept).any() else np.nan for kept in _KEPT_SHARES]
        lines.append(
            Series.of(f"{name} (AUC of right pairs {auc(worse[~failed], worse[failed]):.3f})", _KEPT_SHARES, rates)
        )
    return Chart(
        "rejected-share",
        "False rejects among the pairs that are left, by the share of faces rejected",
        "share of faces rejected",
        f"FRR at the tau of FAR {far:g} without a gate",
        tuple(lines),
    )


def _genuine_pairs(people: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(people, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(people[order])) + 1)
    pairs = [np.array(np.triu_indices(len(group), 1)) for group in groups]
    first = np.concatenate([group[pair[0]] for group, pair in zip(groups, pairs, strict=True)])
    second = np.concatenate([group[pair[1]] for group, pair in zip(groups, pairs, strict=True)])
    return first, second
