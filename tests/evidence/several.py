"""Several models beside each other, and tau chosen on some people and counted on others."""

from collections.abc import Mapping

import numpy as np
from ersgallery_index.calibration import BuildPlan, build_profile_from_ui_set, compare_centroids
from ersgallery_index.calibration.centres import centred, direction
from ersgallery_index.calibration.tau_experiment import TauPlan, summarize, tau_experiment
from ersgallery_server.evaluation.bench import Bench, face_set, making, validating
from ersgallery_server.evaluation.corpus import Corpus
from ersgallery_server.evaluation.measuring import number
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.protocols.sources import WORTH, worth
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


def reused_ui_sets(benches: Mapping[str, Bench]) -> Table:
    """Build each model's profile from the UI set that another model found, without clustering (section 3.3)."""
    rows: list[tuple[Entry, ...]] = []
    for model, bench in benches.items():
        rows.append((model, "its own", len(bench.profile.centroids), number(0.0), *worth(bench, bench.profile)))
        rows += [(model, other, *_reused(bench, giver)) for other, giver in benches.items() if other != model]
    return Table(
        key="T4b",
        title="The UI set of another model reused, without clustering",
        columns=("model", "UI set of", "K", "centroid distance", *WORTH),
        rows=tuple(rows),
        source="section 3.3",
        notes=(
            "The same images: those in which the unrecognizable faces of the giving model gather, embedded anew.",
            "Centroid distance: cosine distance between the mean of the given set and that of the model's own.",
        ),
    )


def _reused(bench: Bench, giver: Bench) -> list[Entry]:
    """Return what a profile from another model's UI set is; the corpora show the same views in the same order."""
    if bench.corpus.names != giver.corpus.names:
        raise ValueError("the corpora of the two models do not show the same views")
    used = making(bench.corpus, bench.plan)
    rows = np.flatnonzero(used)
    given = rows[giver.built.ui_members]
    built = build_profile_from_ui_set(
        bench.corpus.model,
        face_set(bench.corpus, np.isin(np.arange(len(bench.corpus)), given)),
        face_set(bench.corpus, used & bench.corpus.clean & ~np.isin(np.arange(len(bench.corpus)), given)),
        face_set(bench.corpus, validating(bench.corpus, bench.plan)),
        BuildPlan(max_clean_below=bench.plan.max_clean_below, seed=bench.plan.seed),
    )
    own = rows[bench.built.ui_members]
    means = [direction(centred(bench.corpus.rows[part], bench.profile.mean))[None, :] for part in (own, given)]
    distance = compare_centroids(means[0], means[1]).greatest
    return [len(built.profile.centroids), number(distance), *worth(bench, built.profile)]


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
