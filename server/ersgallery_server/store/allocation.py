"""Keys that are never used twice, not even after a deletion or a restart."""

from sqlalchemy import Connection, bindparam, select, update

from ersgallery_server.store.tables import LAST_KEY

MAX_KEY = (1 << 63) - 1

_RAISE = update(LAST_KEY).values(key=LAST_KEY.c.key + bindparam("count"))
_READ = select(LAST_KEY.c.key)


def allocate(connection: Connection, count: int = 1) -> range:
    """Return new keys that follow one another: of profiles, galleries, subjects and faces alike.

    A rollback gives them back, for nobody has seen them.
    """
    connection.execute(_RAISE, {"count": count})
    last = connection.execute(_READ).scalar_one()
    return range(last - count + 1, last + 1)
