"""A commit whose answer was lost with the database is found out, whatever the database did since."""

import psycopg
import pytest
from ersgallery_server.store import Store, StoreUnavailable
from sqlalchemy import Connection, event, text

from tests.crash.databases import PostgresCluster
from tests.support.stores import create_gallery, enroll, enrolled_within, new_faces, stored_ids


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
        gallery = create_gallery(store)
        event.listen(store._engines.writing, "commit", kill_before_commit)
        lost = store.submit(
            lambda t: enrolled_within(t, gallery, new_faces(["a"])), lambda enrolled: followed.append(enrolled.revision)
        )
        with pytest.raises(StoreUnavailable):
            lost.result(60)
        assert reused == [True]
        assert (followed, stored_ids(store, gallery)) == ([], [])
        assert enroll(store, gallery, "a").revision == 1


def _current_id(connection: Connection) -> int:
    return int(connection.execute(text("SELECT CAST(pg_current_xact_id() AS text)")).scalar_one())


def _next_id(connection: "psycopg.Connection[tuple[str]]") -> int:
    row = connection.execute("SELECT CAST(pg_current_xact_id() AS text)").fetchone()
    assert row is not None
    return int(row[0])
