"""Killed at any moment, a server loses nothing that it acknowledged; `make crash` kills it as often as one likes."""

from pathlib import Path

import pytest

from tests.crash.databases import PostgresCluster
from tests.crash.known import Violation
from tests.crash.rounds import Crashes


def run(folder: Path, moments: list[str], cluster: PostgresCluster | None = None) -> Crashes:
    crashes = Crashes(folder, 1, print, cluster)
    try:
        crashes.run_moments(moments, first_starts=0 if cluster else 1)
    except Violation as violation:
        pytest.fail("\n".join([str(violation), *crashes.world.history_of(violation.resource)]))
    return crashes


def test_a_server_on_sqlite_loses_nothing_by_kills(tmp_path: Path) -> None:
    crashes = run(tmp_path, ["Enroll", "Rebuild", "snapshot", "DeleteSubject", "any time"])
    assert crashes.kills.total() == 6
    assert crashes.world.tally["acknowledged"] > 10
    assert crashes.world.tally["repeated"] > 0


def test_a_server_on_postgresql_loses_nothing_by_kills_of_either(tmp_path: Path, cluster: PostgresCluster) -> None:
    crashes = run(tmp_path, ["database", "Enroll", "database"], cluster)
    assert crashes.kills["database"] == 2
    assert crashes.world.tally["acknowledged"] > 0
