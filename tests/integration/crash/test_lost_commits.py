"""A commit whose answer was lost with the database is found out, whatever the database did since."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ersgallery.v1 import gallery_pb2
from ersgallery.v1.gallery_service_pb2 import UpdateGalleryRequest
from ersgallery_server.store import Store, StoreUnavailable
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import Connection, event, text

from tests.crash.databases import PostgresCluster
from tests.support import stores
from tests.support.requests import axis, create_gallery, create_profile, enroll, found, identify, item
from tests.support.server import running_server, settings
from tests.support.statuses import refused

LONGEST_S = 60.0


def test_a_transaction_that_a_killed_database_lost_is_not_taken_for_a_later_one_with_its_id(
    cluster: PostgresCluster,
) -> None:
    url = cluster.new_database()
    followed: list[int] = []
    reused: list[bool] = []

    def kill_before_commit(connection: Connection) -> None:
        if reused:
            return
        lost = _current_id(connection)
        cluster.kill()
        cluster.restart()
        with psycopg.connect(url, autocommit=True) as other:
            later = [_next_id(other) for _ in range(50)]
        reused.append(lost in later)

    with Store.open(url) as store:
        gallery = stores.create_gallery(store)
        event.listen(store._engines.writing, "commit", kill_before_commit)
        lost = store.submit(
            lambda t: stores.enrolled_within(t, gallery, stores.new_faces(["a"])),
            lambda enrolled: followed.append(enrolled.revision),
        )
        with pytest.raises(StoreUnavailable):
            lost.result(60)
        assert reused == [True]
        assert (followed, stores.stored_ids(store, gallery)) == ([], [])
        assert stores.enroll(store, gallery, "a").revision == 1


@contextmanager
def _unreachable_after_commit(store: Store) -> Iterator[None]:
    """Let the next COMMIT be done, but cut the connection before its answer, and let the writer make no other one."""
    cut: list[Connection] = []

    def commit_and_cut(connection: Connection) -> None:
        if not cut:
            cut.append(connection)
            driver: Any = connection.connection.dbapi_connection
            driver.commit()
            driver.close()

    def refuse(*_: object) -> None:
        raise psycopg.OperationalError("the network is down")

    event.listen(store._engines.writing, "commit", commit_and_cut)
    event.listen(store._engines.writing, "do_connect", refuse)
    yield
    event.remove(store._engines.writing, "do_connect", refuse)
    assert cut


def test_a_repetition_after_a_lost_answer_is_answered_when_its_faces_are_searchable(
    tmp_path: Path, cluster: PostgresCluster
) -> None:
    with running_server(settings(tmp_path, database_url=cluster.new_database())) as server:
        create_gallery(server, "g")
        with _unreachable_after_commit(server.service._store), refused() as refusal:
            enroll(server, "g", item("ann", axis(1)), request_id="once")
        assert refusal.reason == "STORE_UNAVAILABLE"
        (face,) = enroll(server, "g", item("ann", axis(1)), request_id="once").outcomes[0].result.faces
        assert [each.face for each in identify(server, "g", axis(1)).identification.candidates] == [face.face]
        assert server.gallery("g").counts.faces == 1


def test_what_a_lost_commit_stored_becomes_searchable_by_itself(tmp_path: Path, cluster: PostgresCluster) -> None:
    with running_server(settings(tmp_path, database_url=cluster.new_database())) as server:
        create_gallery(server, "g")
        with _unreachable_after_commit(server.service._store), refused():
            enroll(server, "g", item("ann", axis(1)))
        begun_s = time.monotonic()
        while found(identify(server, "g", axis(1))) != ["ann"]:
            assert time.monotonic() - begun_s < LONGEST_S
            time.sleep(0.05)


@contextmanager
def _gone_after_commit(store: Store) -> Iterator[None]:
    """Let the database go away for all connections once the next COMMIT is done."""
    engines, gone = store._engines, [False]

    def refuse(*_: object) -> None:
        if gone[0]:
            raise psycopg.OperationalError("the network is down")

    def go(_: Connection) -> None:
        gone[0] = True

    for engine in (engines.reading, engines.writing):
        event.listen(engine, "do_connect", refuse)
        event.listen(engine, "checkout", refuse)
    event.listen(engines.writing, "commit", go)
    yield
    event.remove(engines.writing, "commit", go)
    gone[0] = False


def test_an_index_that_could_not_follow_a_database_does_so_when_it_is_back(
    tmp_path: Path, cluster: PostgresCluster
) -> None:
    with running_server(settings(tmp_path, database_url=cluster.new_database())) as server:
        create_gallery(server, "g")
        enroll(server, "g", item("ann", axis(1)))
        profile = create_profile(server, "other", ui_axis=1)
        changed = gallery_pb2.Gallery(name="galleries/g", profile=profile)
        request = UpdateGalleryRequest(gallery=changed, update_mask=FieldMask(paths=["profile"]))
        with _gone_after_commit(server.service._store), refused() as refusal:
            server.galleries.UpdateGallery(request)
        assert refusal.reason == "INDEX_BEHIND"
        begun_s = time.monotonic()
        while identify(server, "g", axis(2)).applied.profile != profile:
            assert time.monotonic() - begun_s < LONGEST_S
            time.sleep(0.05)
        enroll(server, "g", item("bob", axis(2)))
        assert found(identify(server, "g", axis(2))) == ["bob"]


def _current_id(connection: Connection) -> int:
    return int(connection.execute(text("SELECT CAST(pg_current_xact_id() AS text)")).scalar_one())


def _next_id(connection: "psycopg.Connection[tuple[str]]") -> int:
    row = connection.execute("SELECT CAST(pg_current_xact_id() AS text)").fetchone()
    assert row is not None
    return int(row[0])
