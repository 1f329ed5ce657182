"""Drift sees probes that get worse, is calm where they are as expected, and begins anew with another profile."""

import datetime as dt
import logging

import numpy as np
import pytest
from ersgallery_index import Profile
from ersgallery_server.gallery.ers_drift import (
    ALARMING_DRIFT,
    EDGES,
    OWN_PROBES,
    ErsDrift,
    ErsHistogram,
    expected_histogram,
)
from ersgallery_server.models.catalogue import default_model
from ersgallery_server.models.profile_file import catalogued_profile
from ersgallery_server.profiles import profile_digest
from ersgallery_server.values import ProfileVersion
from numpy.typing import NDArray
from structlog.testing import capture_logs


def version(sha256: str, key: int = 1) -> ProfileVersion:
    profile = Profile("model", np.eye(1, 4), 0.5)
    return ProfileVersion(key, "p", key, profile, "", sha256, dt.datetime.now(dt.UTC))


def catalogued(key: int = 1) -> ProfileVersion:
    return version(profile_digest(catalogued_profile(default_model()).as_sent()), key)


def drawn(histogram: ErsHistogram, count: int, seed: int = 0) -> NDArray[np.float64]:
    """Return raw ERS that are spread as a histogram says."""
    rng = np.random.default_rng(seed)
    bins = rng.choice(len(histogram.weights), count, p=histogram.weights / histogram.total)
    return histogram.edges[bins] + rng.random(count) * np.diff(histogram.edges)[bins]


def added(drift: ErsDrift, raw_ers: NDArray[np.float64], profile: ProfileVersion, batch: int = 50) -> None:
    for start in range(0, len(raw_ers), batch):
        drift.add(raw_ers[start : start + batch], profile)


def expected() -> ErsHistogram:
    found = expected_histogram(catalogued().sha256)
    assert found is not None
    return found


def test_probes_as_the_profile_expects_them_do_not_alarm_however_they_happen_to_fall() -> None:
    worst = 0.0
    drift = ErsDrift("g", catalogued())
    for seed in range(20):
        added(drift, drawn(expected(), 2000, seed), catalogued())
        worst = max(worst, drift.read().down, drift.read().up)
    assert worst < 0.6 * ALARMING_DRIFT
    assert drift.read().by_profile


def test_probes_that_get_worse_are_told_by_the_share_that_moved() -> None:
    drift = ErsDrift("g", catalogued())
    scores = drawn(expected(), 4000)
    scores[np.random.default_rng(1).random(4000) < 0.4] = 0.1
    added(drift, scores, catalogued())
    assert drift.read().down == pytest.approx(0.4, abs=0.06)
    assert drift.read().up < 0.1
    assert drift.read().window.share_below(0.5) == pytest.approx(0.4, abs=0.06)


def test_probes_that_are_mended_are_forgotten_after_some_half_lives() -> None:
    drift = ErsDrift("g", catalogued())
    with capture_logs() as logs:
        added(drift, np.full(1000, 0.1), catalogued())
        assert drift.read().down > 0.9
        added(drift, drawn(expected(), 4000), catalogued())
    assert drift.read().down < 0.1
    assert [entry["log_level"] for entry in logs] == ["warning", "info"]  # once each, not with every batch


def test_where_the_profile_does_not_tell_the_first_probes_are_what_is_expected() -> None:
    drift, own = ErsDrift("g", version("unknown")), version("unknown")
    added(drift, np.full(OWN_PROBES - 1, 0.9), own)
    assert drift.read().expected is None
    assert (drift.read().down, drift.read().up) == (0.0, 0.0)
    added(drift, np.full(1, 0.9), own)
    assert not drift.read().by_profile
    added(drift, np.full(500, 0.5), own)
    assert drift.read().down == pytest.approx(4 / 7, abs=0.01)  # (1 - 1/2) of a long window against (1 - 1/4) / 2


def test_another_profile_begins_anew() -> None:
    drift = ErsDrift("g", version("unknown"))
    added(drift, np.full(300, 0.1), version("unknown"))
    drift.add(np.array([0.9]), catalogued(key=2))
    assert drift.read().window.total == 1.0
    assert drift.read().by_profile


def test_scores_outside_of_all_bins_count_in_the_outermost() -> None:
    drift = ErsDrift("g", version("unknown"))
    drift.add(np.array([-0.5, 5.0]), version("unknown"))
    weights = drift.read().window.weights
    assert (weights[0], weights[-1]) == (1.0, 1.0)


def test_a_share_below_is_taken_within_a_bin() -> None:
    histogram = ErsHistogram(EDGES, np.eye(1, 80, 10)[0])  # all between 0.20 and 0.22
    assert [histogram.share_below(ers) for ers in (0.2, 0.21, 0.22)] == pytest.approx([0.0, 0.5, 1.0])
    assert ErsHistogram(EDGES, np.zeros(80)).share_below(0.5) == 0.0


def test_every_catalogued_profile_says_what_is_expected(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert expected().total > 1000
        assert expected_histogram("another") is None
