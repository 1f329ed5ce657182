"""T11: what each gamma costs and gives, on validation people, where it may be chosen."""

from ersgallery_index.calibration.gamma import gamma_trade

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.measuring import faces_of, frr_cells, number, verify
from ersgallery_server.evaluation.plan import Part
from ersgallery_server.evaluation.tables import Chart, Figure, Series, Table

FARS = (1e-4, 1e-3, 1e-2)
_BELOW_AND_ABOVE = (-0.2, -0.15, -0.1, -0.05, 0.0, 0.03, 0.06)


def run(bench: Bench) -> list[Table]:
    """Verify all pairs of one view of every validation photograph, a share of them degraded, under several gammas."""
    mixed = bench.mixture(Part.VALIDATION, "trade")
    faces, people = faces_of(bench, mixed), bench.corpus.identities[mixed]
    gammas = sorted({0.0, *(min(1.0, round(bench.profile.gamma + step, 4)) for step in _BELOW_AND_ABOVE)})
    found = verify(bench, faces, people, gammas, FARS)
    pick = gamma_trade(faces, people, gammas=gammas, fars=FARS, seed=bench.plan.seed).pick
    rows = [(number(each.gamma), Figure(float((~faces.passes(each.gamma)).mean())), *frr_cells(each)) for each in found]
    lines = tuple(
        Series.of(
            f"FAR {far:g}",
            [each.gamma for each in found[1:]],
            [each.points[place].frr.value for each in found[1:]],
        )
        for place, far in enumerate(FARS)
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
                "tau of each cell is set on these validation pairs themselves, and anew in every resample of people.",
                f"By FRR alone the pick would be {pick.gamma:.4f} at FAR {pick.far:g}: {pick.rule}; it holds tau.",
            ),
            charts=(Chart("gamma", "False rejects by gamma", "gamma", "FRR", lines),),
        )
    ]
