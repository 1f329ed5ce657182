"""Times are aware and in UTC on every database, and everything has a bounded, stable name."""

import datetime as dt

import pytest
from ersgallery_server.store.tables import Base, UtcTime
from sqlalchemy import Dialect, make_url

MOMENT = dt.datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=dt.timezone(dt.timedelta(hours=2)))
DIALECTS: list[Dialect] = [make_url(url).get_dialect()() for url in ("sqlite://", "postgresql+psycopg://")]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_time_is_stored_in_utc(dialect: Dialect) -> None:
    stored = UtcTime().process_bind_param(MOMENT, dialect)
    assert stored is not None
    assert (stored.hour, stored.tzinfo, stored) == (2, dt.UTC, MOMENT)
    assert UtcTime().process_bind_param(None, dialect) is None


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        UtcTime().process_bind_param(MOMENT.replace(tzinfo=None), DIALECTS[0])


def test_a_time_comes_back_aware_whether_or_not_the_database_has_zones() -> None:
    naive = MOMENT.astimezone(dt.UTC).replace(tzinfo=None)
    for stored in (naive, MOMENT):
        back = UtcTime().process_result_value(stored, DIALECTS[0])
        assert back == MOMENT
        assert back is not None
        assert back.tzinfo is dt.UTC
    assert UtcTime().process_result_value(None, DIALECTS[0]) is None


def test_every_constraint_and_index_has_a_name_that_postgresql_takes() -> None:
    for table in Base.metadata.tables.values():
        for part in (*table.constraints, *table.indexes):
            name = str(part.name)  # type: ignore[attr-defined] # both kinds have one, their common base does not
            assert name != "None"
            assert len(name) < 64
