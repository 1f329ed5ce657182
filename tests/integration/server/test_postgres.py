"""The same service on a real PostgreSQL."""

from pathlib import Path

import pytest
from ersgallery.v1 import gallery_service_pb2 as galleries

from tests.support.postgres import postgres_database, postgres_server
from tests.support.requests import axis, blurred, create_gallery, enroll, found, identify, item
from tests.support.server import running_server, settings


@pytest.fixture(scope="module")
def database() -> object:
    with postgres_server() as server, postgres_database(server) as uri:
        yield uri.replace("postgresql://", "postgresql+psycopg://", 1)


def test_a_service_on_postgresql_answers_the_same_after_a_restart(tmp_path: Path, database: str) -> None:
    configured = settings(tmp_path, database_url=database)
    probes = [axis(1), axis(2, (3, 0.3)), blurred(1)]
    with running_server(configured) as server:
        create_gallery(server, "g")
        items = [item(f"s{i}", axis(1 + i % 15, (0, 0.2 * (i % 7)))) for i in range(50)]
        first = enroll(server, "g", *items, request_id="once")
        server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name="galleries/g/subjects/s0"))
        before = [identify(server, "g", probe) for probe in probes]
        assert found(before[0])[0] == "s15"
    with running_server(configured) as server:
        assert [identify(server, "g", probe) for probe in probes] == before
        assert enroll(server, "g", *items, request_id="once") == first
        assert server.gallery("g").counts.faces == 49
    assert "password" not in repr(configured)
    assert database not in repr(configured)
