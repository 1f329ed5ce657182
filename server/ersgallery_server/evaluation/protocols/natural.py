"""Naturally poor faces: bystanders whom nobody labelled, as strangers to everybody."""

import itertools

import numpy as np
from ersgallery_index import Derivation
from ersgallery_index.calibration import auc
from ersgallery_index.calibration.gamma import gamma_trade
from ersgallery_index.evaluation.rates import wilson
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.measuring import faces_of, figure, number, share
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Entry, Table

FARS = (1e-4, 1e-3)
_BANDS = 4


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
    first, second = np.triu_indices(len(derived), 1)
    scores = (derived.vectors @ derived.vectors.T)[first, second]
    rows: list[tuple[Entry, ...]] = []
    for cell in sorted(trade.rows[0].cells, key=lambda each: each.far):
        accepted = scores >= cell.tau
        kept = accepted & passes[first] & passes[second]
        rows.append(
            (
                f"pairs of bystanders at the tau of FAR {cell.far:g} of clean faces",
                figure(wilson(int(accepted.sum()), len(accepted)), digits=3),
                figure(wilson(int(kept.sum()), len(kept)), digits=3),
            )
        )
    accepted = scores >= max(cell.tau for cell in trade.rows[0].cells)
    gated = int((accepted & ~(passes[first] & passes[second])).sum())
    rows.append(("bystanders UNSURE", None, share(~passes)))
    sharp = bench.wild.sharpness
    for low, high in _bands(sharp):
        inside = (sharp >= low) & (sharp <= high)
        rows.append((f"UNSURE of those with a sharpness of {low:.0f} to {high:.0f}", None, share(~passes[inside])))
    separated = auc(bench.derived.raw_ers[clean], derived.raw_ers)
    rows.append(("AUC of clean faces against bystanders", None, number(separated)))
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
            ),
        )
    ]


def _bands(values: NDArray[np.float64]) -> list[tuple[float, float]]:
    edges = np.quantile(values, np.linspace(0, 1, _BANDS + 1)).tolist()
    return list(itertools.pairwise(edges))
