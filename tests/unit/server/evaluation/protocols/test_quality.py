"""Accuracy without and with a gate equals that of a loop over thresholds, in every resample too."""

import numpy as np
import pytest
from ersgallery_index import Representation
from ersgallery_server.evaluation.protocols.quality import accuracy, draw_pairs


def faces_of_people(seed: int) -> tuple[Representation, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(8), 3)
    rows = rng.normal(size=(8, 6))[who] + 0.8 * rng.normal(size=(24, 6))
    # Eighths: every product is exact, so that equal scores are equal by any order of summing.
    vectors = ((8 * rows / np.linalg.norm(rows, axis=1, keepdims=True)).round() / 8).astype(np.float32)
    ers = rng.random(24)
    return Representation(vectors, ers, ers, np.ones(24, np.bool_)), who.astype(np.int64)


def loop(
    faces: Representation, who: list[int], weight: list[int], passes: list[bool], answered: bool, count_gate: bool
) -> float:
    pairs: list[tuple[float, int, bool]] = []
    for one in range(len(who)):
        for other in range(one + 1, len(who)):
            same = who[one] == who[other]
            times = weight[who[one]] if same else weight[who[one]] * weight[who[other]]
            sure = not count_gate or (passes[one] and passes[other])
            if sure or not answered:
                pairs.append((float(faces.vectors[one] @ faces.vectors[other]) if sure else -9.0, times, same))
    best = 0.0
    for tau in {score + 1e-6 for score, _, _ in pairs}:
        right = sum(times for score, times, same in pairs if same and score >= tau) / max(
            1, sum(times for _, times, same in pairs if same)
        )
        false = sum(times for score, times, same in pairs if not same and score >= tau) / max(
            1, sum(times for _, times, same in pairs if not same)
        )
        best = max(best, (right + 1.0 - false) / 2.0)
    return best


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("gate", "answered"), [(False, False), (True, False), (True, True)])
def test_accuracy_and_its_resamples_are_those_of_a_loop(seed: int, gate: bool, answered: bool) -> None:
    faces, who = faces_of_people(seed)
    passes = faces.passes(0.3)
    times = np.random.default_rng(seed).multinomial(8, np.full(8, 1 / 8), size=4)
    found = accuracy(draw_pairs(faces, who, step=1), who, times, passes=passes if gate else None, answered=answered)
    for draw, weight in enumerate([np.ones(8, np.int64), *times]):
        expected = loop(faces, who.tolist(), weight.tolist(), passes.tolist(), answered, gate)
        assert found[draw] == pytest.approx(expected, abs=1e-9)


def test_all_genuine_pairs_and_a_share_of_impostors_are_drawn() -> None:
    faces, who = faces_of_people(0)
    pairs = draw_pairs(faces, who, step=5)
    assert pairs.genuine.sum() == 24
    assert (~pairs.genuine).sum() == pytest.approx((24 * 23 / 2 - 24) / 5, abs=6)
    assert (np.diff(pairs.scores) >= 0).all()
    assert ((who[pairs.first] == who[pairs.second]) == pairs.genuine).all()
