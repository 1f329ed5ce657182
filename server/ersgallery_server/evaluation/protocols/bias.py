"""Appendix A: recognizability and errors in each group of a labelled attribute."""

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.failures import NotMeasurable
from ersgallery_server.evaluation.groups import Groups
from ersgallery_server.evaluation.measuring import faces_of, frr_cells, number, share_of, unmeasured, verify
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Chart, Entry, Series, Table

FAR = 1e-3
QUANTILES = (0.05, 0.5, 0.95)
_BINS = np.linspace(0.0, 1.3, 66)
_FEWEST_FACES = 20


def run(bench: Bench, groups: Groups | None) -> list[Table]:
    """Measure every attribute; a table says so where no group has enough faces. Raises NotMeasurable without groups."""
    if groups is None:
        raise NotMeasurable("no groups were given: pass a CSV of identity,attribute,... with --groups")
    return [_table(bench, attribute, groups.of_faces(bench.corpus, attribute)) for attribute in groups.attributes]


def _table(bench: Bench, attribute: str, values: NDArray[np.str_]) -> Table:
    corpus = bench.corpus
    single = corpus.of(Part.TEST, Role.SINGLE)
    shown = [value for value in np.unique(values[single]).tolist() if value]
    kept = [value for value in shown if (single & corpus.clean & (values == value)).sum() >= _FEWEST_FACES]
    title = f"Recognizability and errors by {attribute}"
    if not kept:
        reason = f"no group of {attribute} has {_FEWEST_FACES} clean test faces"
        return unmeasured(f"bias-{attribute}", title, reason)
    rows = tuple(_row(bench, value, values == value) for value in kept)
    left_out = [value for value in shown if value not in kept]
    return Table(
        key=f"bias-{attribute}",
        title=title,
        columns=(
            attribute,
            "clean faces",
            "people",
            "clean below gamma",
            "degraded below gamma",
            *(f"raw ERS, {quantile:.0%} quantile" for quantile in QUANTILES),
            f"FRR at FAR {FAR:g}, no gate",
            "the same, ERS",
        ),
        rows=rows,
        source="appendix A",
        notes=(
            "Raw ERS is that of clean faces.",
            (
                "FRR is of pairs within the group, of the mixed test faces; tau is set on the pairs of the group "
                "itself, and anew in every resample of people. A dash: the group has no genuine pair."
            ),
            *(f"Left out with fewer than {_FEWEST_FACES} clean faces: {', '.join(left_out)}." for _ in left_out[:1]),
        ),
        charts=(_densities(bench, attribute, values, kept),),
    )


def _row(bench: Bench, value: str, member: NDArray[np.bool_]) -> tuple[Entry, ...]:
    corpus, derived = bench.corpus, bench.derived
    single = corpus.of(Part.TEST, Role.SINGLE) & member
    clean = single & corpus.clean
    quantiles = np.quantile(derived.raw_ers[clean], QUANTILES).tolist()
    return (
        value,
        int(clean.sum()),
        len(np.unique(corpus.identities[clean])),
        _below(bench, clean),
        _below(bench, single & ~corpus.clean),
        *(number(quantile) for quantile in quantiles),
        *_frrs(bench, bench.mixed & member),
    )


def _below(bench: Bench, chosen: NDArray[np.bool_]) -> Entry:
    below = ~faces_of(bench, chosen).passes(bench.profile.gamma)
    return share_of(bench, below, bench.corpus.identities[chosen], "below")


def _frrs(bench: Bench, chosen: NDArray[np.bool_]) -> tuple[Entry, Entry]:
    people = bench.corpus.identities[chosen]
    _, counts = np.unique(people, return_counts=True)
    if len(counts) < 2 or counts.max() < 2:
        return None, None
    found = verify(bench, faces_of(bench, chosen), people, (0.0, bench.profile.gamma), (FAR,))
    without, gated = (frr_cells(each)[0] for each in found)
    return without, gated


def _densities(bench: Bench, attribute: str, values: NDArray[np.str_], kept: list[str]) -> Chart:
    clean = bench.corpus.of(Part.TEST, Role.SINGLE) & bench.corpus.clean
    centres = (_BINS[:-1] + _BINS[1:]) / 2
    lines = []
    for value in kept:
        inside = np.clip(bench.derived.raw_ers[clean & (values == value)], _BINS[0], _BINS[-1])
        lines.append(Series.of(value, centres, np.histogram(inside, _BINS, density=True)[0].astype(np.float64)))
    return Chart(f"bias-{attribute}", f"Raw ERS of clean faces by {attribute}", "raw ERS", "density", tuple(lines))
