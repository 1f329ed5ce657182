"""T11: what each gamma costs and gives, on validation people, where it may be chosen."""

import numpy as np
from ersgallery_index.calibration.gamma import gamma_trade

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.measuring import faces_of, figure, number
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Chart, Figure, Series, Table

FARS = (1e-4, 1e-3, 1e-2)
_BELOW_AND_ABOVE = (-0.2, -0.15, -0.1, -0.05, 0.0, 0.03, 0.06)


def run(bench: Bench) -> list[Table]:
    """Verify all pairs of one view of every validation photograph, a share of them degraded, under several gammas."""
    corpus = bench.corpus
    single = corpus.of(Part.VALIDATION, Role.SINGLE)
    names = np.array(corpus.names)
    photographs = np.unique(names[single])
    drawn = bench.rng("trade").random(len(photographs)) < bench.plan.degraded_share
    place = np.minimum(np.searchsorted(photographs, names), len(photographs) - 1)
    mixed = single & (drawn[place] != corpus.clean)
    gammas = sorted({0.0, *(min(1.0, round(bench.profile.gamma + step, 4)) for step in _BELOW_AND_ABOVE)})
    trade = gamma_trade(
        faces_of(bench, mixed), corpus.identities[mixed], gammas=gammas, fars=FARS, seed=bench.plan.seed
    )
    rows = [
        (
            number(row.gamma),
            Figure(row.faces_unsure),
            *(figure(cell.frr, supported=cell.supported) for cell in sorted(row.cells, key=lambda cell: cell.far)),
        )
        for row in trade.rows
    ]
    lines = tuple(
        Series.of(
            f"FAR {far:g}",
            [row.gamma for row in trade.rows[1:]],
            [next(cell.frr.value for cell in row.cells if cell.far == far) for row in trade.rows[1:]],
        )
        for far in FARS
    )
    return [
        Table(
            key="T11",
            title="FRR against gamma, on validation people",
            columns=("gamma", "faces UNSURE", *(f"FRR at FAR {far:g}" for far in FARS)),
            rows=tuple(rows),
            source="table 11",
            notes=(
                f"The profile's gamma is {bench.profile.gamma:.4f}; it comes from clean validation faces alone.",
                f"By FRR alone the pick would be {trade.pick.gamma:.4f} at FAR {trade.pick.far:g}: {trade.pick.rule}.",
            ),
            charts=(Chart("gamma", "False rejects by gamma", "gamma", "FRR", lines),),
        )
    ]
