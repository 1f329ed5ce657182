"""tau chosen on some real people is about right for others, where the data support it, at several gallery sizes."""

import numpy as np
import pytest
from ersgallery_index import normalize
from ersgallery_index.calibration.tau_experiment import TauCheck, TauPlan, summarize, tau_experiment

from tests.support.models import lfw_dir

pytestmark = pytest.mark.real_faces

PLAN = TauPlan(targets=(1e-1, 1e-2), calibration_subjects=(300, 2800), gallery_sizes=(300, 2800), repetitions=2)


@pytest.fixture(scope="module", params=["sface", "mbf"])
def checks(request: pytest.FixtureRequest) -> list[TauCheck]:
    names = (lfw_dir() / "names.txt").read_text().split()
    _, identities = np.unique([name.split("/")[0] for name in names], return_inverse=True)
    raw = np.load(lfw_dir() / f"embeddings_{request.param}.npz")["embedding"].astype(np.float32)
    rows = normalize(raw, raw.shape[1]).vectors
    plan = TauPlan(**{name: getattr(PLAN, name) for name in PLAN.__slots__} | {"centre": request.param == "sface"})
    return tau_experiment(rows, identities.astype(np.int64), plan)


def test_what_is_supported_is_within_a_factor_of_two_and_a_half(checks: list[TauCheck]) -> None:
    supported = [check for check in checks if check.supported]
    assert len(supported) >= 6
    for check in supported:
        assert 0.4 <= check.ratio <= 2.5, check


def test_the_counted_fpir_is_as_expected_within_both_intervals_in_most_cases(checks: list[TauCheck]) -> None:
    # All settings of a repetition share their people, so these are two independent trials and not sixteen.
    assert np.mean([check.covered for check in checks]) >= 0.8


def test_with_as_many_people_as_the_gallery_will_have_it_is_closer(checks: list[TauCheck]) -> None:
    full = [row for row in summarize(checks) if (row.calibration_subjects, row.gallery_size) == (2800, 2800)]
    assert {row.target for row in full} == {1e-1, 1e-2}
    for row in full:
        assert 0.6 <= row.ratio <= 1.6, row


def test_a_target_that_few_people_cannot_support_is_marked(checks: list[TauCheck]) -> None:
    small = [check for check in checks if (check.target, check.calibration_subjects) == (1e-2, 300)]
    assert small
    for check in small:
        assert not check.supported
        assert "FEW_FALSE_POSITIVES" in check.warnings
