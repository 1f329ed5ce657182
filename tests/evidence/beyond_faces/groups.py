"""What the gates do to groups of queries and images, and at other gammas."""

import numpy as np
from ersgallery_index.evaluation.retrieval import Ranked
from ersgallery_server.evaluation.tables import Chart, Entry, Series
from numpy.typing import NDArray

from tests.evidence.beyond_faces.protocol import CLEAN, UNSEEN, Samples
from tests.evidence.beyond_faces.ranking import Bootstrap, Trial, nearest_rows, share, with_gates, without_gates
from tests.evidence.beyond_faces.spoiling import KINDS

_BANDS = ((0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
_GAMMAS = np.linspace(0.0, 1.0, 11)
_LINES = ("rank 1, gallery gate alone", "rank 1, both gates", "mAP, both gates", "unsure queries")

Mask = NDArray[np.bool_]


def query_rows(samples: Samples, trial: Trial, drawing: Bootstrap) -> tuple[tuple[Entry, ...], ...]:
    """Return rank 1 and mAP of clean and of degraded queries, without gates, with the gallery gate and with both.

    And how many are misled without gates: their first answer is wrong, and below gamma. No gate can win more than that.
    """
    at, names = trial.queries.at, trial.queries.identities
    ungated, gallery_only = without_gates(trial), with_gates(trial, probe=False)
    unsure = (trial.queries.ers < trial.gamma).astype(np.float64)
    misled = is_misled(trial, ungated)
    rows: list[tuple[Entry, ...]] = []
    for name, chosen in _query_groups(samples, at):
        columns = (
            ungated.found_within(1),
            gallery_only.found_within(1),
            gallery_only.found_within(1) * (1.0 - unsure),
            ungated.average_precision,
            gallery_only.average_precision,
            misled.astype(np.float64),
            unsure,
        )
        rows.append((name, int(chosen.sum()), *(share(c[chosen], names[chosen], drawing) for c in columns)))
    return tuple(rows)


def misled_words(trial: Trial) -> str:
    """Say how many queries are misled without gates, and how many of them the gallery gate puts right."""
    misled = is_misled(trial, without_gates(trial))
    put_right = int(with_gates(trial, probe=False).found_within(1)[misled].sum())
    unsure = int((trial.queries.ers[misled] < trial.gamma).sum())
    return (
        f"{int(misled.sum()):,} queries are misled; {unsure:,} of them are below gamma themselves. The gallery gate "
        f"puts {put_right:,} right: the others have too little left of their character, and find another wrong one."
    )


def is_misled(trial: Trial, ungated: Ranked) -> Mask:
    """Return whose first answer without gates is wrong and below gamma: (n,)."""
    low = trial.gallery.ers[nearest_rows(trial)] < trial.gamma
    return np.asarray((ungated.found_within(1) == 0.0) & low, np.bool_)


def severity_rows(samples: Samples, trial: Trial, drawing: Bootstrap) -> tuple[tuple[Entry, ...], ...]:
    """Return, by severity, the median ERS of the test's images and the share below gamma; unseen kinds apart."""
    at = np.concatenate([trial.queries.at, trial.gallery.at])
    ers = np.concatenate([trial.queries.ers, trial.gallery.ers])
    kinds, severities, names = samples.kinds[at], samples.severities[at], samples.characters[at]
    unseen = is_unseen(kinds)
    groups = [("clean", kinds == CLEAN)]
    for word, of_kind in (("kinds seen in calibration", ~unseen), ("kinds never seen", unseen)):
        groups += [
            (f"{low:.1f} to {high:.1f}, {word}", (kinds != CLEAN) & of_kind & (severities >= low) & (severities < high))
            for low, high in _BANDS
        ]
    return tuple(
        (
            name,
            int(chosen.sum()),
            f"{np.median(ers[chosen]):.3f}" if chosen.any() else None,
            share((ers[chosen] < trial.gamma).astype(np.float64), names[chosen], drawing),
        )
        for name, chosen in groups
    )


def gamma_chart(trial: Trial) -> Chart:
    """Return rank 1, mAP and the unsure share of all queries for a grid of gammas, the same for both gates."""
    lines: dict[str, list[float]] = {name: [] for name in _LINES}
    for gamma in _GAMMAS:
        # The probe gate changes no ranking: it takes answers away.
        alone = with_gates(trial, probe=False, gamma=float(gamma))
        sure = trial.queries.ers >= gamma
        shares = (
            alone.found_within(1),
            alone.found_within(1) * sure,
            alone.average_precision * sure,
            (~sure).astype(np.float64),
        )
        for name, values in zip(_LINES, shares, strict=True):
            lines[name].append(float(values.mean()))
    return Chart(
        "beyond-gamma",
        f"Retrieval against gamma (the profile's is {trial.gamma:.3f})",
        "gamma",
        "share of all queries",
        tuple(Series.of(name, _GAMMAS, values) for name, values in lines.items()),
    )


def is_unseen(kinds: NDArray[np.int16]) -> Mask:
    """Return which kinds (n,) are never seen by a profile; clean ones are none of them."""
    return np.isin(kinds, [KINDS.index(name) for name in UNSEEN])


def _query_groups(samples: Samples, at: NDArray[np.int64]) -> list[tuple[str, Mask]]:
    kinds, severities = samples.kinds[at], samples.severities[at]
    degraded = kinds != CLEAN
    return [
        ("all", np.ones(len(at), np.bool_)),
        ("clean", ~degraded),
        ("degraded, severity below 0.6", degraded & (severities < 0.6)),
        ("degraded, severity 0.6 and more", degraded & (severities >= 0.6)),
        ("degraded by kinds never seen", degraded & is_unseen(kinds)),
    ]
