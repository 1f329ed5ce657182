"""Several models beside each other, and tau chosen on some people and counted on others."""

from collections.abc import Mapping

import numpy as np
from ersgallery_index.calibration.tau_experiment import TauPlan, summarize, tau_experiment
from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.corpus import Corpus
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.runner import Evaluation
from ersgallery_server.evaluation.tables import Chart, Entry, Figure, Series, Table

FEWER = "fewer false rejects by ERS"


def several_models(evaluations: Mapping[str, Evaluation]) -> Table:
    """Put the reductions of T1 of all models into one table and chart (figure 5)."""
    single = {model: next(t for t in found.tables if t.key == "T1") for model, found in evaluations.items()}
    rows: list[tuple[Entry, ...]] = []
    lines = []
    for model, table in single.items():
        row = next(row for row in table.rows if row[0] == FEWER)
        rows.append((model, *row[1:]))
        far_of = [float(column.removeprefix("FAR ")) for column in table.columns[1:]]
        lines.append(Series.of(model, far_of, [cell.value if isinstance(cell, Figure) else np.nan for cell in row[1:]]))
    first = next(iter(single.values()))
    chart = Chart("F5", "False rejects that the ERS gate takes away", "FAR", "share", tuple(lines), log_x=True)
    return Table(
        key="F5",
        title="Several models: share of the false rejects of T1 that the ERS gate takes away",
        columns=("model", *first.columns[1:]),
        rows=tuple(rows),
        source="figure 5",
        charts=(chart,),
    )


def tau_table(bench: Bench) -> Table:
    """Choose tau on some TEST people and count on others; both gates on, under a profile of other people."""
    corpus = bench.corpus
    clean = corpus.of(Part.TEST, Role.SINGLE) & corpus.clean
    plan = _plan(corpus, bench.profile.gamma)
    checks = summarize(tau_experiment(corpus.rows[clean], corpus.identities[clean], plan, profile=bench.profile))
    rows: list[tuple[Entry, ...]] = [
        (
            f"{check.target:g}",
            check.calibration_subjects,
            check.gallery_size,
            Figure(check.tau, percent=False, digits=4),
            Figure(check.ratio, check.least, check.most, check.supported == 1.0, percent=False),
            Figure(check.covered, digits=0),
        )
        for check in checks
    ]
    return Table(
        key="tau",
        title="tau chosen on some people, FPIR counted on others",
        columns=("FPIR wanted", "people chosen on", "gallery", "tau", "achieved over wanted", "intervals meet"),
        rows=tuple(rows),
        notes=(
            f"{plan.repetitions} deals of the people into halves; the brackets are the least and the greatest of them.",
            "Both gates are on. A row is supported where all deals held enough false positives.",
        ),
    )


def _plan(corpus: Corpus, gamma: float) -> TauPlan:
    people = len(np.unique(corpus.identities[corpus.of(Part.TEST, Role.SINGLE)]))
    most = people // 2 - 1
    sizes = tuple(sorted({max(20, most // 10), max(20, most // 3), most}))
    return TauPlan(
        targets=(1e-1, 1e-2), calibration_subjects=sizes, gallery_sizes=sizes, gamma=gamma, gamma_gallery=gamma
    )
