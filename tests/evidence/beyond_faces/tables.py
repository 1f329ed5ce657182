"""The tables that the evidence shows, with what must be known to read them."""

import numpy as np
from ersgallery_index import Profile
from ersgallery_index.calibration import BuiltProfile, Variant
from ersgallery_server.evaluation.tables import Entry, Figure, Table
from numpy.typing import NDArray

from tests.evidence.beyond_faces.groups import gamma_chart, misled_words, query_rows, severity_rows
from tests.evidence.beyond_faces.protocol import UNSEEN, Part, Plan, Samples
from tests.evidence.beyond_faces.ranking import Bootstrap, Trial, retrieval_rows
from tests.evidence.beyond_faces.strangers import stranger_rows


def cluster_table(built: BuiltProfile) -> Table:
    """Return which clusters there are at each distance of single linkage; the profile's is marked."""
    ui = built.ui
    if ui is None:
        raise ValueError("a profile of a given UI set has no clusters")
    return Table(
        "beyond-cluster",
        "Beyond faces: the cluster of what nobody can read",
        ("single linkage cut at", "largest cluster", "next", "cosine of its centroid to the profile's"),
        tuple(
            (f"{at.max_distance:.1f}", at.largest, at.second, Figure(at.cosine, percent=False, digits=3))
            for at in ui.by_distance
        ),
        source="Figures 6 and 12",
        notes=(
            f"{int(built.pool.sum()):,} images were clustered; {int(built.ui_members.sum()):,} are in the UI set.",
            *(f"{check.name}: {check.text}." for check in ui.checks),
            *(f"{_variant(choice.chosen)}: {choice.reason}." for choice in built.choices),
            *(f"Cosine between the means of clean and unreadable images: {cosine:.3f}." for cosine in built.mean_to_ui),
            f"On characters without a part in any choice: {_figures(built)}.",
        ),
    )


def retrieval_table(plan: Plan, samples: Samples, trial: Trial, drawing: Bootstrap) -> Table:
    """Return mAP and rank-k of the whole test, without gates and with them."""
    rows = retrieval_rows(trial, drawing)
    columns = ("search", "mAP", "mAP, kept-out images as junk", "rank 1", "rank 5", "rank 10", "unsure queries")
    return Table(
        "beyond-retrieval",
        "Beyond faces: finding the same character in another typeface",
        columns,
        rows,
        source="Table 12",
        notes=(
            _sizes(samples),
            f"{plan.degraded_share:.0%} of queries and gallery are degraded, and all distractors; severity 0.2 to 1.",
            f"Gamma {trial.gamma:.3f} comes from the validation characters, the same for both gates.",
            "An unsure query counts as one that found nothing, except in the last two rows.",
            "In the first mAP, gallery images below gamma count as not found.",
            "In the second, in every row, they are neither to be found nor in the way of queries of their character.",
            "Gains are paired differences, in shares, to the profile's vectors without gates.",
            "Intervals are 95 %, by bootstrap over characters.",
            *(verdict(row, columns) for row in rows if str(row[0]).startswith("gain")),
        ),
        charts=(gamma_chart(trial),),
    )


def verdict(row: tuple[Entry, ...], columns: tuple[str, ...]) -> str:
    """Say of a row of gains in which figures the paper's effect shows, in which the opposite, and in which neither."""
    sorted_out: dict[str, list[str]] = {"raises": [], "lowers": [], "leaves open": []}
    for name, entry in zip(columns, row, strict=True):
        if isinstance(entry, Figure) and entry.low is not None and entry.high is not None:
            word = "raises" if entry.low > 0 else "lowers" if entry.high < 0 else "leaves open"
            sorted_out[word].append(name)
    said = "; ".join(f"{word} {', '.join(names)}" for word, names in sorted_out.items() if names)
    return f"{str(row[0]).capitalize()}: {said}."


def query_table(samples: Samples, trial: Trial, drawing: Bootstrap) -> Table:
    """Return whom the gates help and whom they cost."""
    return Table(
        "beyond-queries",
        "Beyond faces: whose searches the gates change",
        (
            "queries",
            "count",
            "rank 1, no gate",
            "rank 1, gallery gate",
            "rank 1, both gates",
            "mAP, no gate",
            "mAP, gallery gate",
            "misled, no gate",
            "unsure",
        ),
        query_rows(samples, trial, drawing),
        source="Table 12",
        notes=(
            "Misled: the first answer is wrong and below gamma. At rank 1 the gallery gate cannot win more than that.",
            misled_words(trial),
            "With both gates an unsure query counts as one that found nothing.",
            f"Kinds never seen in calibration: {_words(UNSEEN)}.",
        ),
    )


def severity_table(samples: Samples, trial: Trial, drawing: Bootstrap) -> Table:
    """Return how ERS follows severity."""
    return Table(
        "beyond-severity",
        "Beyond faces: ERS against severity of degradation",
        ("severity", "images", "median ERS", "below gamma"),
        severity_rows(samples, trial, drawing),
        source="Figures 7 and 8",
        notes=("Queries, gallery and distractors of the test.",),
    )


def stranger_table(samples: Samples, rows: NDArray[np.float32], profile: Profile, drawing: Bootstrap) -> Table:
    """Return how many degraded strangers are matched, and what it costs the clear ones."""
    return Table(
        "beyond-strangers",
        "Beyond faces: degraded strangers that are matched",
        ("search", "degraded strangers matched", "of severity 0.6 and more", "clean queries not matched rightly"),
        stranger_rows(samples, rows, profile, drawing),
        notes=(
            "tau is the score that 1 % (10 %) of clean strangers reach without gates; the same for all gates.",
            "Many clean queries are lost because characters that share most of their strokes score as high.",
            "Degraded images in the gallery are a fifth of it; none is of a stranger's character.",
        ),
    )


def _sizes(samples: Samples) -> str:
    def count(*parts: Part) -> tuple[int, int]:
        chosen = samples.of(*parts)
        return int(chosen.sum()), len(np.unique(samples.characters[chosen]))

    queries, people = count(Part.QUERY)
    gallery, _ = count(Part.GALLERY)
    distractors, strangers = count(Part.DISTRACTOR)
    return (
        f"{queries:,} queries of {people:,} characters in a gallery of {gallery:,} of their images and {distractors:,} "
        f"distractors, of {strangers:,} other characters."
    )


def _figures(built: BuiltProfile) -> str:
    plain = {name: value for name, value in built.figures.items() if isinstance(value, int | float)}
    return ", ".join(f"{name} {value:.4g}" for name, value in plain.items())


def _variant(chosen: Variant) -> str:
    mean = "with a mean subtracted" if chosen.centred else "without a mean"
    return f"K = {chosen.centroids} by {chosen.method}, {mean}"


def _words(kinds: tuple[str, ...]) -> str:
    return " and ".join(kind.replace("_", " ").lower() for kind in kinds)
