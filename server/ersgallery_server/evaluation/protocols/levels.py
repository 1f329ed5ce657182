"""Figure 3: error by kind and level of degradation, without and with the gate."""

import numpy as np
from ersgallery_index.calibration.gamma import gamma_trade
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.failures import NotMeasurable
from ersgallery_server.evaluation.measuring import faces_of, share_of
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.tables import Chart, Entry, Series, Table

FAR = 1e-3


def run(bench: Bench) -> list[Table]:
    """Compare each degraded view with the other clean photographs of its person, at the tau that clean pairs give.

    Raises NotMeasurable where nobody has another clean photograph.
    """
    corpus = bench.corpus
    levels = np.flatnonzero(corpus.of(Part.TEST, Role.LEVEL))
    if not len(levels):
        return []
    clean = np.flatnonzero(corpus.of(Part.TEST, Role.SINGLE) & corpus.clean)
    references = faces_of(bench, clean)
    tau = gamma_trade(references, corpus.identities[clean], gammas=(0.0,), fars=(FAR,), seed=bench.plan.seed)
    threshold = tau.rows[0].cells[0].tau
    probe, reference = _pairs(bench, levels, clean)
    if not len(probe):
        raise NotMeasurable("no degraded view has another clean photograph of its person beside it")
    shown = corpus.identities[probe]
    scores = np.einsum("ij,ij->i", bench.derived.vectors[probe], bench.derived.vectors[reference])
    failed = scores < threshold
    passes = faces_of(bench, np.arange(len(corpus))).passes(bench.profile.gamma)
    unsure = ~(passes[probe] & passes[reference])
    rows: list[tuple[Entry, ...]] = []
    without: list[Series] = []
    answered: list[Series] = []
    for kind in np.unique(corpus.kinds[levels]).tolist():
        lines: list[tuple[float, float, float]] = []
        for level in np.unique(corpus.severities[levels]).tolist():
            here = (corpus.kinds[probe] == kind) & (corpus.severities[probe] == level)
            kept = here & ~unsure
            if not here.any():
                continue
            rows.append(
                (
                    bench.kind_name(kind),
                    f"{level:g}",
                    share_of(bench, failed[here], shown[here], "levels"),
                    share_of(bench, unsure[here], shown[here], "levels"),
                    share_of(bench, failed[kept], shown[kept], "levels"),
                    share_of(bench, (failed | unsure)[here], shown[here], "levels"),
                )
            )
            lines.append((level, float(failed[here].mean()), float(failed[kept].mean()) if kept.any() else np.nan))
        if not lines:
            continue
        levels_of, plain, kept_of = zip(*lines, strict=True)
        without.append(Series.of(bench.kind_name(kind), levels_of, plain))
        answered.append(Series.of(bench.kind_name(kind), levels_of, kept_of))
    return [
        Table(
            key="F3",
            title=f"Error by kind and level of degradation: FRR at the tau of FAR {FAR:g} of clean pairs",
            columns=(
                "kind",
                "level",
                "FRR without gate",
                "UNSURE",
                "FRR of answered pairs",
                "FRR with UNSURE as error",
            ),
            rows=tuple(rows),
            source="figure 3",
            notes=(
                f"{len(np.unique(probe))} degraded views, each against the other clean photographs of its person.",
                "UNSURE: a side of the pair is below gamma, nearly always the degraded one.",
                "Intervals are by bootstrap over people: pairs of one person are not independent.",
                "tau is set on the clean pairs of the test themselves, and the same in every resample.",
                "A kind marked * was never seen in calibration.",
            ),
            charts=(
                Chart("levels", "False rejects by level of degradation, no gate", "level", "FRR", tuple(without)),
                Chart("levels-gated", "False rejects among answered pairs", "level", "FRR", tuple(answered)),
            ),
        )
    ]


def _pairs(
    bench: Bench, levels: NDArray[np.intp], clean: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    names = np.array(bench.corpus.names)
    identities = bench.corpus.identities
    pairs = [
        (probe, other)
        for probe in levels.tolist()
        for other in clean[(identities[clean] == identities[probe]) & (names[clean] != names[probe])].tolist()
    ]
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    return first, second
