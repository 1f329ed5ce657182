"""gamma on sets is gamma on the templates that the index would make of them."""

import numpy as np
import pytest
from ersgallery_index import Derivation, Profile, Template, Weighting, represent, represent_templates
from ersgallery_index.calibration.gamma import SetPlan, gamma_trade
from ersgallery_index.calibration.gamma_of_sets import MOST_SETS, draw_sets, gamma_trade_of_sets
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.interface import FloatRows, Ids

DIMENSION = 16
DERIVATION = Derivation(Profile("toy", np.eye(1, DIMENSION), 0.5, None))


def frames(count: int, faces: int, poor: float, seed: int = 0) -> tuple[FloatRows, Ids]:
    """Return frames of people, of which a share lies so near the UI centroid that they are alike."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(count), faces)
    centres = rng.normal(size=(count, DIMENSION))
    centres[:, 0] = 0.0
    rows = centres[who] + 0.4 * rng.normal(size=(len(who), DIMENSION))
    rows[:, 0] = np.where(rng.random(len(who)) < poor, 40.0, 0.0)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), who.astype(np.int64)


def test_every_face_is_in_one_set_of_its_person_and_whoever_has_two_faces_has_two_sets() -> None:
    identities = np.array([3, 1, 3, 2, 3, 1, 3, 3, 3, 3], np.int64)
    drawn = draw_sets(identities, 3, seed=5)
    assert sorted(np.concatenate(drawn.rows).tolist()) == list(range(10))
    for rows, who in zip(drawn.rows, drawn.identities.tolist(), strict=True):
        assert set(identities[rows].tolist()) == {who}
        assert 1 <= len(rows) <= 3
    assert np.bincount(drawn.identities).tolist() == [0, 2, 1, 3]


def test_nobody_has_more_sets_than_the_limit_and_the_seed_deals() -> None:
    identities = np.zeros(500, np.int64)
    first, again, other = (draw_sets(identities, 2, seed=seed) for seed in (0, 0, 1))
    assert len(first.rows) == MOST_SETS
    assert [rows.tolist() for rows in first.rows] == [rows.tolist() for rows in again.rows]
    assert [rows.tolist() for rows in first.rows] != [rows.tolist() for rows in other.rows]


@pytest.mark.parametrize("weighting", Weighting)
def test_the_trade_is_that_of_the_templates(weighting: Weighting) -> None:
    rows, who = frames(40, 9, 0.5)
    trade = gamma_trade_of_sets(DERIVATION, rows, who, SetPlan(3, weighting), gammas=(0.0, 0.4), fars=(0.05,), seed=2)
    drawn = draw_sets(who, 3, seed=2)
    templates = [Template(rows[each], ("",) * len(each), weighting, media_pooling=False) for each in drawn.rows]
    faces = represent_templates(DERIVATION, templates)
    wanted = gamma_trade(faces, drawn.identities, gammas=(0.0, 0.4), fars=(0.05,), seed=2)
    assert (trade.rows, trade.pick, trade.faces) == (wanted.rows, wanted.pick, 120)
    assert (wanted.sets, trade.sets) == (None, SetPlan(3, weighting))


def test_a_gamma_of_single_faces_refuses_sets_of_mostly_poor_frames_that_one_of_sets_accepts() -> None:
    rows, who = frames(60, 12, 0.4)
    single = gamma_trade(represent(DERIVATION, rows), who, gammas=(0.0, 0.8), fars=(0.01,))
    sets = gamma_trade_of_sets(DERIVATION, rows, who, SetPlan(6), gammas=(0.0, 0.8), fars=(0.01,))
    assert (single.pick.gamma, sets.pick.gamma) == (0.8, 0.0)
    assert [row.genuine_unsure > 0.5 for row in sets.rows] == [False, True]


def test_labels_that_do_not_fit_and_sets_of_nothing_are_refused() -> None:
    rows, who = frames(3, 2, 0.0)
    for plan, labels, reason in ((SetPlan(0), who, "BAD_TARGET"), (SetPlan(2), who[:-1], "LABELS_MISMATCH")):
        with pytest.raises(CalibrationFailed) as failed:
            gamma_trade_of_sets(DERIVATION, rows, labels, plan)
        assert failed.value.reason == reason
    with pytest.raises(CalibrationFailed) as failed:
        gamma_trade_of_sets(DERIVATION, rows[:0], who[:0], SetPlan(2))
    assert failed.value.reason == "TOO_FEW_IDENTITIES"
