"""Strangers against a gallery that has ruined images in it."""

import numpy as np
import pytest
from ersgallery_index import Profile
from ersgallery_server.evaluation.tables import Figure
from numpy.typing import NDArray

from tests.evidence.beyond_faces.protocol import CLEAN, Part, Samples
from tests.evidence.beyond_faces.ranking import Bootstrap
from tests.evidence.beyond_faces.strangers import Matcher, stranger_rows

DIMENSION = 33
UI = np.eye(DIMENSION)[-1]
GALLERY, VALIDATION, STRANGERS = 30, 200, 40
PROFILE = Profile("toy", UI[None], gamma=0.4)


@pytest.fixture(scope="module")
def crowd() -> tuple[Samples, NDArray[np.float32]]:
    """Return a gallery of which a third is ruined, its clean queries, clean strangers, and ruined ones."""
    rng = np.random.default_rng(0)
    parts = [Part.GALLERY] * GALLERY + [Part.QUERY] * GALLERY + [Part.VALIDATION] * VALIDATION
    parts += [Part.DISTRACTOR] * STRANGERS
    names = [*range(GALLERY), *range(GALLERY), *range(100, 100 + VALIDATION), *range(500, 500 + STRANGERS)]
    rows = rng.normal(size=(len(parts), DIMENSION))
    rows[:, -1] = 0.0
    rows[GALLERY : 2 * GALLERY] = rows[:GALLERY]
    severities = np.zeros(len(parts))
    severities[: GALLERY // 3] = severities[-STRANGERS:] = 0.7
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    mixed = np.where(severities[:, None] > 0, unit + 4 * UI, unit)
    samples = Samples(
        characters=np.array(names),
        typefaces=np.zeros(len(parts), np.int16),
        parts=np.array(parts, np.int8),
        kinds=np.where(severities > 0, 0, CLEAN).astype(np.int16),
        severities=severities,
    )
    return samples, (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("fpir", [0.0, 0.01, 0.1, 0.5])
def test_tau_matches_no_more_clean_strangers_than_it_may(
    crowd: tuple[Samples, NDArray[np.float32]], fpir: float
) -> None:
    matcher = Matcher(*crowd, PROFILE, fpir)
    matched, _ = matcher.matched(crowd[0].of(Part.VALIDATION), probe=False, gallery=False)
    assert matched.sum() == int(fpir * VALIDATION)


def test_ruined_strangers_are_matched_with_ruined_images_until_either_gate_is_on(
    crowd: tuple[Samples, NDArray[np.float32]],
) -> None:
    matcher = Matcher(*crowd, PROFILE, 0.05)
    strangers = crowd[0].of(Part.DISTRACTOR)
    matched, whose = matcher.matched(strangers, probe=False, gallery=False)
    assert matched.all()
    assert (whose < GALLERY // 3).all()
    for probe, gallery in ((True, False), (False, True), (True, True)):
        assert not matcher.matched(strangers, probe=probe, gallery=gallery)[0].any()


def test_the_table_counts_strangers_and_lost_queries(crowd: tuple[Samples, NDArray[np.float32]]) -> None:
    rows = {str(row[0]): row[1:] for row in stranger_rows(*crowd, PROFILE, Bootstrap(0, 100))}
    assert len(rows) == 8
    values = {name: [entry.value for entry in entries if isinstance(entry, Figure)] for name, entries in rows.items()}
    # A third of the gallery is ruined: its owners' clean queries find nobody.
    assert values["no gate, tau at 1%"][:2] == [1.0, 1.0]
    assert values["both gates, tau at 1%"] == [0.0, 0.0, pytest.approx(1 / 3)]
