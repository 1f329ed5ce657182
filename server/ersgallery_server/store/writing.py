"""What every write has: its connection and its time."""

import datetime as dt
from dataclasses import dataclass, field

from sqlalchemy import Connection


@dataclass(slots=True)
class Writes:
    """One piece of work inside the writer's transaction; not to be kept after it.

    erased: something was deleted that must not stay readable in the database's files.
    """

    connection: Connection
    erased: bool = False
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
