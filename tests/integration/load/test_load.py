"""Short runs of `python -m tests.load`: gross leaks, and what restarts and slow callers do to others."""

import sys
from pathlib import Path

import pytest

from tests.load.overload import overload
from tests.load.rolling import rolling
from tests.load.slow import slow
from tests.load.soak import soak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a server holds is read from /proc")


def test_restarts_fail_no_request_of_clients_that_repeat(tmp_path: Path) -> None:
    figures = rolling(tmp_path, restarts=2, between_s=0.3)
    assert figures["exits"] == [0, 0]


def test_slow_callers_harm_themselves(tmp_path: Path) -> None:
    assert slow(tmp_path, connections=200, streams=3)["median_ms"]


def test_a_flood_is_refused_and_the_server_is_soon_as_before(tmp_path: Path) -> None:
    # How much is served, and what of it in time, says nothing in a second beside other tests: that is the long run's.
    figures = overload(tmp_path, count=1_000, seconds=1.0, goodput=0.05, late=1.0)
    assert figures["flood"]["identify"]["codes"]["OK"] > 0


def test_mixed_load_leaves_nothing_behind(tmp_path: Path) -> None:
    figures = soak(tmp_path, minutes=0.05, rate=5.0)
    assert figures["done"]["churn"] > 0
