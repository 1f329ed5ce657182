"""What the experiment reports follows from its parts, and halves that are too small are refused."""

import numpy as np
import pytest
from ersgallery_index.calibration.estimates import Estimate
from ersgallery_index.calibration.tau_experiment import TauPlan, _agree, summarize, tau_experiment
from ersgallery_index.errors import CalibrationFailed


@pytest.mark.parametrize(
    ("expected", "achieved", "agree"),
    [
        (Estimate(0.01, 0.005, 0.02), Estimate(0.011, 0.010, 0.012), True),
        (Estimate(0.01, 0.008, 0.0125), Estimate(0.016, 0.0145, 0.0177), False),
        (Estimate(0.01, 0.008, 0.0125), Estimate(0.0135, 0.011, 0.0165), True),
        (Estimate(0.01, 0.0, 0.02), Estimate(0.0, 0.0, 0.001), True),
        (Estimate(0.01, 0.009, 0.011), Estimate(0.001, 0.0005, 0.002), False),
    ],
)
def test_two_figures_agree_within_both_their_intervals(expected: Estimate, achieved: Estimate, agree: bool) -> None:
    assert _agree(expected, achieved) is agree


def rows(people: int, faces: int = 2) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(people * faces, 12)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.repeat(np.arange(people), faces)


def test_every_setting_is_tried_on_people_it_was_not_chosen_on() -> None:
    vectors, identities = rows(500)
    plan = TauPlan(targets=(0.2,), calibration_subjects=(150, 240), gallery_sizes=(100, 240), repetitions=2)
    seen: list[tuple[int, int]] = []
    checks = tau_experiment(vectors, identities, plan, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 8) for number in range(1, 9)]
    # Faces at random are one law, which is kept.
    assert np.mean([check.ratio for check in checks]) == pytest.approx(1.0, abs=0.25)
    assert {check.calibration_subjects for check in checks} == {150, 240}
    summary = summarize(checks)
    assert len(summary) == 4
    for row in summary:
        assert row.least <= row.ratio <= row.most


def test_too_few_people_and_labels_that_do_not_match_are_refused() -> None:
    vectors, identities = rows(100)
    plan = TauPlan(calibration_subjects=(50,), gallery_sizes=(20,))
    with pytest.raises(CalibrationFailed, match="two halves of at least 51"):
        tau_experiment(vectors, identities, plan)
    with pytest.raises(CalibrationFailed) as caught:
        tau_experiment(vectors, identities[:-1], plan)
    assert caught.value.reason == "LABELS_MISMATCH"
