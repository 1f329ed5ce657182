"""What gates change in a search, on vectors whose answer is plain."""

import numpy as np
import pytest
from ersgallery_index import Profile
from ersgallery_server.evaluation.tables import Figure
from numpy.typing import NDArray

from tests.evidence.beyond_faces.groups import gamma_chart, query_rows, severity_rows
from tests.evidence.beyond_faces.protocol import CLEAN, UNSEEN, Part, Samples
from tests.evidence.beyond_faces.ranking import (
    Bootstrap,
    Trial,
    difference,
    prepare,
    retrieval_rows,
    share,
    with_gates,
    without_gates,
)
from tests.evidence.beyond_faces.spoiling import KINDS

DRAWING = Bootstrap(seed=0, resamples=200)
PEOPLE = 40
DIMENSION = PEOPLE + 1
UI = np.eye(DIMENSION)[-1]
BLUR, NEVER_SEEN = 0, KINDS.index(UNSEEN[0])


def unit(identity: int, ui_share: float) -> NDArray[np.float64]:
    """Return a row between its identity's axis (0) and the UI centroid (1)."""
    row = (1 - ui_share) * np.eye(DIMENSION)[identity] + ui_share * UI
    return np.asarray(row / np.linalg.norm(row), np.float64)


@pytest.fixture
def searched() -> tuple[Samples, NDArray[np.float32]]:
    """Return a clean and a ruined query of each identity, and a clean gallery with ruined distractors.

    The last identity's gallery image is ruined too.
    """
    images: list[tuple[int, Part, int, float]] = []
    for identity in range(PEOPLE):
        images += [(identity, Part.QUERY, CLEAN, 0.0), (identity, Part.QUERY, BLUR, 0.9)]
        ruined = identity == PEOPLE - 1
        images.append((identity, Part.GALLERY, NEVER_SEEN if ruined else CLEAN, 0.8 if ruined else 0.0))
    images += [(PEOPLE + i, Part.DISTRACTOR, BLUR, 0.7) for i in range(12)]
    samples = Samples(
        characters=np.array([image[0] for image in images]),
        typefaces=np.zeros(len(images), np.int16),
        parts=np.array([image[1] for image in images], np.int8),
        kinds=np.array([image[2] for image in images], np.int16),
        severities=np.array([image[3] for image in images]),
    )
    rows = [unit(image[0] % PEOPLE, image[3]) for image in images]
    return samples, np.array(rows, np.float32)


@pytest.fixture
def trial(searched: tuple[Samples, NDArray[np.float32]]) -> Trial:
    """Return the search under a profile with the true UI centroid."""
    return prepare(*searched, Profile("toy", UI[None], gamma=0.5))


def figure(entry: object) -> Figure:
    assert isinstance(entry, Figure)
    return entry


def test_ruined_queries_find_ruined_distractors_until_these_are_kept_out(trial: Trial) -> None:
    ruined = trial.queries.ers < 0.5
    assert ruined.sum() == PEOPLE
    assert without_gates(trial).found_within(1)[ruined].mean() <= 1 / PEOPLE
    assert with_gates(trial, probe=False).found_within(1)[ruined].mean() == (PEOPLE - 1) / PEOPLE


def test_with_both_gates_a_ruined_query_found_nothing(trial: Trial) -> None:
    both = with_gates(trial, probe=True)
    assert both.answered.tolist() == (trial.queries.ers >= 0.5).tolist()
    assert both.found_within(10)[~both.answered].max() == 0.0


def test_the_main_table_states_what_is_won_and_what_it_costs(trial: Trial) -> None:
    rows = {str(row[0]): row for row in retrieval_rows(trial, DRAWING)}
    ungated, gallery, both = (
        rows[name]
        for name in ("the profile's vectors, no gate", "gallery gate", "both gates (unsure queries are errors)")
    )
    gain = rows["gain by the gallery gate"]
    for column in range(1, 6):
        assert figure(gain[column]).value == pytest.approx(
            figure(gallery[column]).value - figure(ungated[column]).value
        )
    assert figure(gain[3]).low is not None
    assert figure(gain[3]).value > 0.4
    assert figure(ungated[6]).value == 0.0
    assert figure(both[6]).value == 0.5
    # One identity's only image is kept out: an error in the first mAP, junk in the second, where nothing can be found.
    answered = rows["both gates, only the queries that are not unsure"]
    assert figure(answered[1]).value == figure(answered[2]).value == (PEOPLE - 1) / PEOPLE


def test_a_distractor_belongs_to_nobody(trial: Trial) -> None:
    assert (trial.gallery.identities == -1).sum() == 12
    assert without_gates(trial).relevant.tolist() == [1] * (2 * PEOPLE)


def test_a_mean_is_subtracted_from_the_profile_s_vectors_and_not_from_the_network_s(
    searched: tuple[Samples, NDArray[np.float32]],
) -> None:
    centred = prepare(*searched, Profile("toy", UI[None], 0.5, mean=0.1 * UI))
    assert np.array_equal(centred.queries.plain, searched[1][centred.queries.at])
    assert np.abs(centred.queries.vectors - centred.queries.plain).max() > 0.01


def test_queries_are_told_apart_by_what_was_done_to_them(
    searched: tuple[Samples, NDArray[np.float32]], trial: Trial
) -> None:
    rows = {str(row[0]): row for row in query_rows(searched[0], trial, DRAWING)}
    assert [row[1] for row in rows.values()] == [2 * PEOPLE, PEOPLE, 0, PEOPLE, 0]
    assert figure(rows["clean"][2]).value == 1.0
    assert figure(rows["degraded, severity 0.6 and more"][8]).value == 1.0
    # Every ruined query is nearest to something ruined; only the last one's is its own.
    assert figure(rows["degraded, severity 0.6 and more"][7]).value == (PEOPLE - 1) / PEOPLE
    # The last one's clean query has no clean image to find.
    assert figure(rows["clean"][7]).value == 0.0
    assert rows["degraded by kinds never seen"][2:] == (None,) * 7


def test_ers_is_shown_to_fall_with_severity(searched: tuple[Samples, NDArray[np.float32]], trial: Trial) -> None:
    rows = {str(row[0]): row for row in severity_rows(searched[0], trial, DRAWING)}
    assert rows["clean"][1:3] == (2 * PEOPLE - 1, "1.000")
    assert figure(rows["0.8 to 1.0, kinds seen in calibration"][3]).value == 1.0
    assert rows["0.8 to 1.0, kinds never seen"][1] == 1
    assert rows["0.2 to 0.4, kinds never seen"][1:3] == (0, None)


def test_the_chart_of_gamma_begins_without_gates_and_ends_with_everything_kept_out(trial: Trial) -> None:
    lines = {series.name: series.y for series in gamma_chart(trial).series}
    ungated = without_gates(trial)
    assert lines["rank 1, gallery gate alone"][0] == ungated.found_within(1).mean()
    assert lines["mAP, both gates"][0] == pytest.approx(ungated.average_precision.mean())
    assert lines["unsure queries"][0] == 0.0
    assert lines["unsure queries"][5] == 0.5
    assert (np.diff(lines["unsure queries"]) >= 0).all()


def test_a_share_with_few_errors_says_that_it_is_unsupported() -> None:
    values = np.r_[np.zeros(9), np.ones(91)]
    assert not figure(share(values, np.arange(100), DRAWING)).supported
    assert figure(share(np.r_[0.0, values], np.arange(101), DRAWING)).supported
    assert share(np.zeros(0), np.zeros(0, np.int64), DRAWING) is None


def test_a_paired_difference_is_surer_than_two_shares() -> None:
    rng = np.random.default_rng(0)
    worse = (rng.random(400) < 0.5).astype(np.float64)
    better = np.where(rng.random(400) < 0.1, 1.0, worse)
    paired, alone = difference(better, worse, np.arange(400), DRAWING), figure(share(better, np.arange(400), DRAWING))
    assert paired.low is not None
    assert paired.high is not None
    assert alone.low is not None
    assert alone.high is not None
    assert 0 < paired.low < paired.value == pytest.approx(better.mean() - worse.mean())
    assert paired.high - paired.low < (alone.high - alone.low) / 1.5
