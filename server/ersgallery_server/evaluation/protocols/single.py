"""T1: single-image verification of all pairs of a mix of clean and degraded faces, and the clean pairs apart."""

from collections.abc import Mapping

import numpy as np
from ersgallery_index import Representation
from ersgallery_index.calibration import auc
from ersgallery_index.calibration.gamma import GammaTrade, gamma_trade
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.measuring import as_quality, faces_of, fewer, figure, gated_by
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Chart, Entry, Figure, Series, Table

_SEARCHED = tuple(np.round(np.linspace(0.02, 0.5, 13), 3).tolist())
_KEPT_SHARES = np.linspace(0.0, 0.5, 26)


def run(bench: Bench) -> list[Table]:
    """Measure FRR at FAR with no gate, with ERS, and with other measures of quality as the gate."""
    return [_mixed(bench), _clean(bench)]


def _mixed(bench: Bench) -> Table:
    mixed = bench.mixed
    people = bench.corpus.identities[mixed]
    faces = faces_of(bench, mixed)
    measures = _measures(bench)
    ers = _trade(bench, faces, people, bench.profile.gamma)
    rows: list[tuple[Entry, ...]] = [("no gate", *_cells(ers, 0)), ("ERS", *_cells(ers, 1))]
    rows.append(("fewer false rejects by ERS", *_fewer(ers)))
    for name, (values, threshold) in measures.items():
        quality, gate = _on_ranks(values[mixed], threshold)
        rows.append((name, *_cells(_trade(bench, gated_by(faces, quality), people, gate), 1)))
    for name, (values, _) in measures.items():
        rows.append((f"{name}, best threshold of each column", *_best(bench, faces, people, as_quality(values[mixed]))))
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
            (
                f"gamma is {bench.profile.gamma:.4f}; every other measure rejects by the same rule: at most "
                f"{bench.plan.max_clean_below:.1%} of clean validation faces fall below."
            ),
            (
                "The rows with the best threshold take the best of 13 on the test itself, for each column, as the "
                "paper did for its competitors: that favours them."
            ),
        ),
        charts=(_rejected_share(bench, faces, people, measures),),
    )


def _clean(bench: Bench) -> Table:
    clean = bench.corpus.of(Part.TEST, Role.SINGLE) & bench.corpus.clean
    people = bench.corpus.identities[clean]
    faces = faces_of(bench, clean)
    trade = _trade(bench, faces, people, bench.profile.gamma)
    answered = faces.passes(bench.profile.gamma)
    accuracies = [
        _accuracy(faces, people, np.ones(len(people), np.bool_)),
        _accuracy(faces, people, answered),
        _accuracy(faces_of(bench, np.flatnonzero(clean)[answered]), people[answered], answered[answered]),
    ]
    shares = [trade.rows[row].faces_unsure for row in range(2)]
    return Table(
        key="T10",
        title="A high-quality set, where the gate should change nothing: clean faces alone",
        columns=(
            "gate",
            "accuracy",
            "accuracy of answered pairs",
            "faces UNSURE",
            *(f"FRR at FAR {far:g}" for far in bench.plan.fars),
        ),
        rows=(
            ("no gate", Figure(accuracies[0]), Figure(accuracies[0]), Figure(shares[0]), *_cells(trade, 0)),
            ("ERS", Figure(accuracies[1]), Figure(accuracies[2]), Figure(shares[1]), *_cells(trade, 1)),
        ),
        source="table 10",
        notes=(
            f"{len(people)} clean photographs of {len(np.unique(people))} people.",
            "Accuracy is the best balanced one over thresholds; UNSURE genuine pairs are errors in the first column.",
        ),
    )


def _measures(bench: Bench) -> Mapping[str, tuple[NDArray[np.float64], float]]:
    """Return other measures of quality, each with the threshold that clean validation faces give."""
    corpus = bench.corpus
    clean = corpus.of(Part.VALIDATION, Role.SINGLE) & corpus.clean
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


def _trade(bench: Bench, faces: Representation, people: NDArray[np.int64], gate: float) -> GammaTrade:
    gates = (0.0, gate) if gate > 0.0 else (0.0, 1e-9)
    return gamma_trade(faces, people, gammas=gates, fars=bench.plan.fars, seed=bench.plan.seed)


def _cells(trade: GammaTrade, row: int) -> list[Figure]:
    """Return FRR by rising FAR."""
    cells = sorted(trade.rows[row].cells, key=lambda cell: cell.far)
    return [figure(cell.frr, supported=cell.supported) for cell in cells]


def _fewer(trade: GammaTrade) -> list[Figure]:
    return [fewer(old, new) for old, new in zip(_cells(trade, 0), _cells(trade, 1), strict=True)]


def _best(bench: Bench, faces: Representation, people: NDArray[np.int64], quality: NDArray[np.float64]) -> list[Figure]:
    trade = gamma_trade(
        gated_by(faces, quality), people, gammas=(0.0, *_SEARCHED), fars=bench.plan.fars, seed=bench.plan.seed
    )
    rows = [_cells(trade, row) for row in range(len(trade.rows))]
    return [min(column, key=lambda cell: cell.value) for column in zip(*rows, strict=True)]


def _accuracy(faces: Representation, people: NDArray[np.int64], passes: NDArray[np.bool_]) -> float:
    """Return the best balanced accuracy; a genuine pair with a side that does not pass is an error."""
    first, second = np.triu_indices(len(people), 1)
    step = 1 << 22
    genuine, impostor = [], []
    for start in range(0, len(first), step):
        one, other = first[start : start + step], second[start : start + step]
        same = people[one] == people[other]
        scores = np.einsum("ij,ij->i", faces.vectors[one[same]], faces.vectors[other[same]])
        genuine.append(np.where(passes[one[same]] & passes[other[same]], scores, -2.0))
        some = ~same & (np.arange(start, start + len(same)) % 50 == 0)
        impostor.append(np.einsum("ij,ij->i", faces.vectors[one[some]], faces.vectors[other[some]]))
    accepted, others = np.sort(np.concatenate(genuine)), np.sort(np.concatenate(impostor))
    below = np.searchsorted(others, accepted, "left") / len(others)
    return float(np.max((below + 1.0 - np.arange(len(accepted)) / len(accepted)) / 2.0))


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
