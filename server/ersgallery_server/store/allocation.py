"""Keys that are never used twice, not even after a deletion or a restart."""

import enum

from sqlalchemy import Connection, select, update

from ersgallery_server.store.tables import LastKey

MAX_KEY = (1 << 63) - 1


class KeyKind(enum.Enum):
    """What a key is given to."""

    PROFILE = "profile"
    GALLERY = "gallery"
    SUBJECT = "subject"
    FACE = "face"


def allocate(connection: Connection, kind: KeyKind, count: int = 1) -> range:
    """Return `count` new keys that follow one another; a rollback gives them back, for nobody has seen them."""
    connection.execute(update(LastKey).where(LastKey.kind == kind.value).values(key=LastKey.key + count))
    last = connection.execute(select(LastKey.key).where(LastKey.kind == kind.value)).scalar_one()
    return range(last - count + 1, last + 1)
