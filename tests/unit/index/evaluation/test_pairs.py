"""FRR at FAR over all pairs equals a loop over them, in every resample too."""

import numpy as np
import pytest
from ersgallery_index import Representation
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.evaluation import pairs
from ersgallery_index.evaluation.pairs import fewer, verify_pairs
from ersgallery_index.interface import Ids
from numpy.typing import NDArray


def people_of(count: int, faces: int, seed: int = 0, eighths: bool = False) -> tuple[Representation, Ids]:
    """Return faces around a centre of each person, a fifth of them around one common place with a low ERS."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(count), faces)
    poor = rng.random(len(who)) < 0.2
    rows = np.where(poor[:, None], 1.5 * rng.normal(size=12), rng.normal(size=(count, 12))[who])
    rows = rows + 0.5 * rng.normal(size=rows.shape)
    vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    ers = np.where(poor, 0.1, 0.9) + rng.uniform(-0.1, 0.1, len(who))
    # Of eighths every product is exact, and many pairs score the same.
    stored = ((8 * vectors).round() / 8 if eighths else vectors).astype(np.float32)
    return Representation(stored, ers, ers, np.arange(len(who)) != 4), (who * 7 + 3).astype(np.int64)


def loop(faces: Representation, people: Ids, gamma: float, far: float, weight: dict[int, int]) -> tuple[float, float]:
    """Return FRR at the least threshold that keeps FAR, and its FAR, pair by pair."""
    passes = faces.passes(gamma)
    genuine: list[tuple[float, int]] = []
    impostor: list[tuple[float, int]] = []
    for one in range(len(faces)):
        for other in range(one + 1, len(faces)):
            score = float(faces.vectors[one] @ faces.vectors[other]) if passes[one] and passes[other] else -9.0
            if people[one] == people[other]:
                genuine.append((score, weight[int(people[one])]))
            else:
                impostor.append((score, weight[int(people[one])] * weight[int(people[other])]))
    allowed = far * sum(times for _, times in impostor)
    # Only just above an impostor's score does anything change; the least that keeps FAR is one of these.
    for tau in sorted({-1.0, *(np.nextafter(score, 9.0) for score, times in impostor if times and score > -9.0)}):
        accepted = sum(times for score, times in impostor if score >= tau)
        if accepted <= allowed + 1e-9:
            missed = sum(times for score, times in genuine if score < tau)
            return missed / sum(times for _, times in genuine), accepted / sum(times for _, times in impostor)
    raise AssertionError


def as_drawn(people: Ids, resamples: int, seed: int) -> tuple[Ids, NDArray[np.int64]]:
    names = np.unique(people)
    rng = np.random.default_rng(seed)
    return names, rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)


@pytest.mark.parametrize("eighths", [False, True])
def test_every_point_and_every_resample_is_that_of_a_loop_over_all_pairs(
    monkeypatch: pytest.MonkeyPatch, eighths: bool
) -> None:
    monkeypatch.setattr(pairs, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(pairs, "_LEAST_KEPT", 3)
    faces, people = people_of(11, 4, eighths=eighths)
    gammas, fars = (0.0, 0.5), (0.1, 0.01)
    names, times = as_drawn(people, 6, 3)
    both = verify_pairs(faces, people, gammas=gammas, fars=fars, resamples=6, seed=3)
    for gamma, found in zip(gammas, both, strict=True):
        assert [point.far for point in found.points] == [0.01, 0.1]
        for point in found.points:
            once = dict.fromkeys(people.tolist(), 1)
            frr, far = loop(faces, people, gamma, point.far, once)
            assert point.frr.value == pytest.approx(frr)
            assert far <= point.far
            for draw, weights in enumerate(times):
                weight = dict(zip(names.tolist(), weights.tolist(), strict=True))
                assert point.drawn[draw] == pytest.approx(loop(faces, people, gamma, point.far, weight)[0])


def test_unsure_pairs_stay_in_every_denominator() -> None:
    faces, people = people_of(12, 3)
    (found,) = verify_pairs(faces, people, gammas=(1.0,), fars=(0.01,), resamples=20)
    assert (found.genuine, found.impostor) == (36, 36 * 35 // 2 - 36)
    assert (found.genuine_unsure, found.impostor_unsure) == (1.0, 1.0)
    assert (found.points[0].frr.value, found.points[0].tau) == (1.0, -1.0)


def test_one_alike_pair_of_two_people_makes_the_interval_wide() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 2)
    rows = np.repeat(rng.normal(size=(60, 32)), 2, axis=0) + 0.7 * rng.normal(size=(120, 32))
    rows[2:4] = rows[0:2]
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    faces = Representation(vectors, np.ones(120), np.ones(120), np.ones(120, np.bool_))
    (found,) = verify_pairs(faces, people, gammas=(0.0,), fars=(1e-4,), resamples=200)
    point = found.points[0]
    # Every resample without one of the two people knows nothing of the pair that sets tau.
    assert point.frr.value > 0.9
    assert point.frr.low < 0.2
    assert not point.frr.supported


def test_fewer_errors_come_with_the_interval_of_the_same_draws() -> None:
    faces, people = people_of(60, 4)
    off, on = (each.points[0] for each in verify_pairs(faces, people, gammas=(0.0, 0.5), fars=(0.01,), resamples=50))
    saved, none = fewer(off, on), fewer(off, off)
    assert saved is not None
    assert none is not None
    assert saved.value == pytest.approx(1 - on.frr.value / off.frr.value)
    assert (saved.low, saved.high) == pytest.approx(tuple(np.quantile(1 - on.drawn / off.drawn, (0.025, 0.975))))
    assert none.low == none.high == 0.0


def test_what_has_no_answer_is_refused_with_a_stable_reason() -> None:
    faces, people = people_of(10, 2)
    for labels, fars, reason in (
        (people[:-1], (0.1,), "LABELS_MISMATCH"),
        (np.zeros(20, np.int64), (0.1,), "TOO_FEW_IDENTITIES"),
        (np.arange(20), (0.1,), "NO_GENUINE_PAIR"),
        (people, (), "BAD_TARGET"),
        (people, (1.0,), "BAD_TARGET"),
    ):
        with pytest.raises(CalibrationFailed) as caught:
            verify_pairs(faces, labels, gammas=(0.0,), fars=fars, resamples=20)
        assert caught.value.reason == reason
