"""A PostgreSQL that may be killed."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.crash.databases import PostgresCluster, postgres_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresCluster]:
    with ExitStack() as opened:
        try:
            started = opened.enter_context(postgres_cluster())
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this machine, it is a reason to skip
            pytest.skip(f"PostgreSQL does not start here: {type(error).__name__}: {error}")
        yield started
