"""Naturally poor faces: bystanders whom nobody labelled, as strangers to everybody."""

import itertools

import numpy as np
from ersgallery_index import Derivation
from ersgallery_index.calibration.gamma import gamma_trade
from ersgallery_index.evaluation.rates import FEWEST_ERRORS, Rate, draw_people, rate_of
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.failures import NotMeasurable
from ersgallery_server.evaluation.measuring import faces_of, figure, separation, share
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Entry, Table

FARS = (1e-4, 1e-3)
_BANDS = 4

_Row = tuple[Entry, ...]


def run(bench: Bench) -> list[Table]:
    """Count bystanders below gamma and the pairs of them that are taken for one person, without and with the gate."""
    if bench.wild is None:
        return []
    derived = Derivation(bench.profile).derive(bench.wild.rows)
    corpus = bench.corpus
    clean = corpus.of(Part.TEST, Role.SINGLE) & corpus.clean
    trade = gamma_trade(
        faces_of(bench, clean), corpus.identities[clean], gammas=(0.0,), fars=FARS, seed=bench.plan.seed
    )
    passes = derived.usable & (derived.ers >= bench.profile.gamma)
    among = derived.vectors @ derived.vectors.T
    np.fill_diagonal(among, -np.inf)
    references = faces_of(bench, clean)
    known = references.passes(bench.profile.gamma)
    against = derived.vectors @ references.vectors.T
    rows: list[_Row] = []
    for cell in sorted(trade.rows[0].cells, key=lambda each: each.far):
        where = f"at the tau of FAR {cell.far:g} of clean faces"
        arms = (among >= cell.tau, (among >= cell.tau) & passes[:, None] & passes)
        rows.append((f"pairs of bystanders {where}", *(figure(_among(bench, arm), digits=3) for arm in arms)))
        arms = (against >= cell.tau, (against >= cell.tau) & passes[:, None] & known)
        rows.append(
            (
                f"bystanders against clean test faces {where}",
                *(figure(_against(bench, arm, corpus.identities[clean]), digits=3) for arm in arms),
            )
        )
    accepted = np.triu(among >= max(cell.tau for cell in trade.rows[0].cells))
    gated = int((accepted & ~(passes[:, None] & passes)).sum())
    rows.append(("bystanders UNSURE", None, share(~passes)))
    rows += _by_band(~passes, bench.wild.sharpness, "with a sharpness of")
    if bench.wild_px is not None:
        rows += _by_band(~passes, bench.wild_px, "whose face has", " px")
    separated = separation(bench.derived.raw_ers[clean], derived.raw_ers)
    rows.append(("AUC of clean faces against bystanders", None, separated))
    return [
        Table(
            key="natural",
            title="Naturally poor faces: bystanders",
            columns=("what", "no gate", "ERS"),
            rows=tuple(rows),
            notes=(
                (
                    f"{len(derived)} faces in the background of photographs; nobody knows who they are, and some may "
                    f"be one person. Of {int(accepted.sum())} pairs accepted at the stricter tau {gated} have a side "
                    "below gamma."
                ),
                (
                    "Intervals of pairs are by bootstrap over faces, and over people for test faces: every face is in "
                    "many pairs."
                ),
                "tau is set on the clean pairs of the test themselves, and the same in every resample.",
            ),
        )
    ]


def _among(bench: Bench, accepted: NDArray[np.bool_]) -> Rate:
    """Return the share of all pairs of n faces that are accepted (n, n), with an interval by bootstrap over faces."""
    faces = len(accepted)
    if faces < 2:  # of a pair
        raise NotMeasurable("one bystander alone makes no pair")
    times = draw_people(np.arange(faces), bench.plan.resamples, bench.rng("natural")).astype(np.float32)
    hits = ((times @ accepted.astype(np.float32)) * times).sum(axis=1, dtype=np.float64)
    pairs = times.sum(axis=1, dtype=np.float64) ** 2 - (times**2).sum(axis=1, dtype=np.float64)
    count = int(accepted.sum())
    return rate_of(count / (faces * (faces - 1)), hits / pairs, supported=count // 2 >= FEWEST_ERRORS)


def _against(bench: Bench, accepted: NDArray[np.bool_], people: NDArray[np.int64]) -> Rate:
    """Return the share of pairs (n, m) that are accepted; both the n faces and the people of the m are drawn."""
    rng = bench.rng("natural")
    left = draw_people(np.arange(len(accepted)), bench.plan.resamples, rng).astype(np.float32)
    right = draw_people(people, bench.plan.resamples, rng).astype(np.float32)
    hits = ((left @ accepted.astype(np.float32)) * right).sum(axis=1, dtype=np.float64)
    pairs = left.sum(axis=1, dtype=np.float64) * right.sum(axis=1, dtype=np.float64)
    return rate_of(float(accepted.mean()), hits / pairs, supported=int(accepted.sum()) >= FEWEST_ERRORS)


def _by_band(unsure: NDArray[np.bool_], values: NDArray[np.float64], what: str, unit: str = "") -> list[_Row]:
    """Return how many are UNSURE in each quarter of the faces by a measure; nothing where it was not taken."""
    if np.isnan(values).any():
        return []
    edges = np.quantile(values, np.linspace(0, 1, _BANDS + 1))
    # A face on an edge is in the upper band, and the greatest in the last.
    bands = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _BANDS - 1)
    return [
        (f"UNSURE of those {what} {low:.0f} to {high:.0f}{unit}", None, share(unsure[bands == band]))
        for band, (low, high) in enumerate(itertools.pairwise(edges.tolist()))
        if (bands == band).any()
    ]
