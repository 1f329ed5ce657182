"""The page about a calibration: what came out, what it was decided on, and what a user should look at."""

from collections.abc import Sequence

import numpy as np
from ersgallery_index.calibration.build import BuiltProfile, Choice
from ersgallery_index.calibration.checks import Check
from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.recognizability import Derivation
from numpy.typing import NDArray

from ersgallery_server.models.profile_file import ProfileFile
from ersgallery_server.profiling.comparison import Compared
from ersgallery_server.profiling.example_faces import example_faces
from ersgallery_server.profiling.face_map import face_map
from ersgallery_server.profiling.gamma_trade import error_against_gamma
from ersgallery_server.profiling.material import Faces, Material
from ersgallery_server.reports.charts import Line, Mark, histogram_chart, line_chart
from ersgallery_server.reports.page import Block, Cell, Drawing, Facts, Grid, Page, Section, Text, render_page

_WORDS = {
    "dominance": "stands out",
    "degraded_share": "is of degraded faces",
    "kinds": "spans kinds of degradation",
    "identities": "spans many people",
    "joins_ordinary_faces": "is apart from ordinary faces",
    "faces": "has enough faces",
    "away_from_recognizable": "lies away from recognizable faces",
    "separates": "tells degraded from clean faces",
    "images_per_identity": "one image of each person",
    "cosine_distance_inside": "is tight",
    "stability_over_halves": "is stable over halves",
    "stability_over_distances": "is stable over distances",
}


def report_page(
    written: ProfileFile,
    built: BuiltProfile,
    material: Material,
    compared: Sequence[Compared] = (),
    *,
    faces: bool = True,
    seed: int = 0,
) -> str:
    """Return the page as one HTML document. faces: show example faces, which are biometric data."""
    figures = written.provenance["figures"]
    raw_ers = raw_ers_of(built, material.testing.faces)
    sections = [
        _histograms(built, material),
        *([_examples(material.testing, raw_ers, built.profile.gamma)] if faces and material.testing.show else []),
        _map(built, material, seed),
        *([_clusters(built)] if built.ui else []),
        _gamma(built, material, raw_ers),
        _checks(built.checks),
        _decisions(built.choices),
        *([_comparison(compared)] if compared else []),
        _origin(written),
    ]
    return render_page(
        Page(
            title=f"{written.name}: where {written.model} puts unrecognizable faces",
            lead="The embeddings of unrecognizable faces gather in one place, the UI. ERS is the distance from it; a "
            "face below gamma is answered with UNSURE. All figures are of people who had no part in any choice.",
            sections=tuple(sections),
            figures=(
                (f"{built.profile.gamma:.4f}", "gamma"),
                (_percent(figures["clean_below_gamma"], 2), "of clean faces fall below it"),
                (_percent(figures["degraded_below_gamma"], 1), "of degraded faces fall below it"),
                (_number(figures["auc_clean_against_degraded"]), "AUC, clean against degraded"),
                (str(len(built.profile.centroids)), "UI centroids"),
                ("yes" if built.profile.mean is not None else "no", "mean is subtracted"),
            ),
        )
    )


def raw_ers_of(built: BuiltProfile, faces: FaceSet) -> NDArray[np.float64]:
    """Return the uncapped ERS (n,) of faces under a profile."""
    return np.asarray(Derivation(built.profile).derive(faces.rows).raw_ers)


def _histograms(built: BuiltProfile, material: Material) -> Section:
    counts: dict[str, NDArray[np.int64]] = {"clean": built.histogram.clean}
    if built.histogram.degraded.sum():
        counts["degraded"] = built.histogram.degraded
    edges = built.histogram.edges
    if material.wild is not None:
        inside = np.clip(raw_ers_of(built, material.wild.faces), edges[0], edges[-1])
        counts["from the wild"] = np.histogram(inside, edges)[0].astype(np.int64)
    shown = np.flatnonzero(np.sum(list(counts.values()), axis=0))
    first, last = int(shown.min()), int(shown.max()) + 1
    chart = histogram_chart(
        "ERS before it is capped at 1",
        "raw ERS",
        "share of the group",
        edges[first : last + 1],
        {name: group[first:last] for name, group in counts.items()},
        marks=[Mark("gamma", built.profile.gamma)],
    )
    caption = "Faces left of gamma are answered with UNSURE. Most degraded faces right of it are mildly degraded."
    return Section("Recognizability of clean and degraded faces", (Drawing(chart, caption),))


def _examples(testing: Faces, raw_ers: NDArray[np.float64], gamma: float) -> Section:
    return Section(
        "Example faces by ERS",
        (*example_faces(testing, raw_ers, gamma), Text("This page shows faces of people: it is biometric data.")),
        "Drawn evenly from the test faces of each range of ERS, clean and degraded ones alike.",
    )


def _map(built: BuiltProfile, material: Material, seed: int) -> Section:
    facts: list[tuple[str, str]] = []
    if built.mean_to_ui:
        cosines = ", ".join(f"{cosine:.3f}" for cosine in built.mean_to_ui)
        facts.append(("mean of recognizable faces to the UI, cosine before anything is subtracted", cosines))
    caption = "t-SNE by cosine distance keeps neighbours together; distances between groups mean little. " + (
        "The mean of recognizable faces is another place than the UI centroid."
        if built.profile.mean is None
        else "The mean of recognizable faces is subtracted: it is the origin here, and no point of this map."
    )
    blocks: tuple[Block, ...] = (Drawing(face_map(built, material, seed), caption),)
    return Section("People, their degraded views, and the UI", (*blocks, *([Facts(tuple(facts))] if facts else [])))


def _clusters(built: BuiltProfile) -> Section:
    if built.ui is None:
        raise ValueError("nothing was clustered")
    sizes = built.ui.sizes
    chart = line_chart(
        "Clusters by size",
        "rank",
        "faces",
        [Line("clusters", range(1, len(sizes) + 1), sizes, points=True)],
        log_x=True,
        log_y=True,
    )
    rows = tuple(
        (
            f"{at.max_distance:g}",
            f"{at.largest:,}",
            f"{at.second:,}",
            _number(at.cosine),
        )
        for at in built.ui.by_distance
    )
    columns = ("distance of the cut", "largest cluster", "second", "cosine to the centroid taken")
    inside = ", ".join(f"{each:.3f}" for each in built.ui.inside)
    kinds = ", ".join(f"{name} {count}" for name, count in built.ui.by_kind.items() if count) or "not known"
    return Section(
        "Clusters",
        (
            Drawing(
                chart, "A UI cluster stands far above the others; ordinary people make clusters of one or two faces."
            ),
            Grid(columns, rows, "Single linkage, cut at several distances"),
            Facts((("mean cosine distance inside", inside), ("faces in it by kind", kinds))),
        ),
    )


def _gamma(built: BuiltProfile, material: Material, raw_ers: NDArray[np.float64]) -> Section:
    faces, gamma = material.testing.faces, built.profile.gamma
    grid = np.linspace(max(0.0, float(np.quantile(raw_ers, 0.01))), 1.0, 101)
    groups = {"clean": faces.clean, "degraded": faces.degraded}
    lines = [
        Line(name, grid, [float((raw_ers[inside] < at).mean()) for at in grid])
        for name, inside in groups.items()
        if inside.any()
    ]
    shares = line_chart("Shares below gamma", "gamma", "UNSURE", lines, marks=[Mark("gamma", gamma)])
    note = "gamma is the largest at which the allowed share of clean faces falls below; a gallery can have another."
    drawn = Drawing(shares, "What another gamma would cost and catch, over all test faces.")
    return Section("Error against gamma", (drawn, *error_against_gamma(built.profile, faces)), note)


def _checks(checks: Sequence[Check]) -> Section:
    rows = tuple(
        (
            _WORDS.get(check.name, check.name),
            Cell("not checked", "faint")
            if check.passed is None
            else Cell("yes", "good")
            if check.passed
            else Cell("no", "bad"),
            check.text,
        )
        for check in checks
    )
    note = (
        "What somebody who knows the matter looks at before trusting a cluster. Most of them end a calibration where "
        "they fail; the others are told, so that they can be looked at."
    )
    return Section("Checks", (Grid(("the UI cluster", "passed", "figure"), rows, prose=True),), note)


def _decisions(choices: Sequence[Choice]) -> Section:
    blocks: list[Block] = []
    for choice in choices:
        rows = tuple(
            (
                f"{'mean subtracted' if one.centred else 'not centred'}, {one.method}",
                str(one.centroids),
                _number(one.auc),
                _percent(one.accuracy, 2),
                Cell("chosen", "good") if one == choice.chosen else "",
            )
            for one in choice.among
        )
        columns = ("variant", "K", "AUC", "1:1 accuracy of clean pairs", "")
        blocks += [Grid(columns, rows), Text(choice.reason[:1].upper() + choice.reason[1:].rstrip(".") + ".")]
    note = "Measured on one half of the test people; the figures at the top are of the other half."
    return Section("Decisions", tuple(blocks), note)


def _comparison(compared: Sequence[Compared]) -> Section:
    rows = tuple((one.name, _number(one.cosine_distance), one.note) for one in compared)
    return Section(
        "Against other profiles of this model",
        (Grid(("profile", "cosine distance of the UI centroids", ""), rows, prose=True),),
        "Sources that show the same phenomenon give nearly the same centroid.",
    )


def _origin(written: ProfileFile) -> Section:
    provenance = written.provenance
    pairs = [
        ("command", str(provenance.get("command", "from Python"))),
        *((f"data: {one['what']}", f"{one['name']}, SHA-256 {one['sha256']}") for one in provenance["data"]),
        ("model file, SHA-256", str(provenance.get("recognizer_sha256", "not known: embeddings were given"))),
        ("seed", str(provenance["seed"])),
        ("date", str(provenance["date"])),
        ("made with", ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())),
        *((name.replace("_", " "), f"{count:,}") for name, count in provenance["counts"].items()),
        *(("note", note) for note in provenance["notes"]),
    ]
    return Section("How it was made", (Facts(tuple(pairs)),))


def _percent(share: float | None, digits: int) -> str:
    return "–" if share is None else f"{share:.{digits}%}"


def _number(value: float | None) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.4f}"
