"""What a caller may do, and the tokens by which callers are known."""

import datetime as dt
import enum
from dataclasses import dataclass, field


class Scope(enum.Enum):
    """A kind of calls. None holds another: whoever may administer need not see a face."""

    READ = "READ"
    IDENTIFY = "IDENTIFY"
    ENROLL = "ENROLL"
    ADMIN = "ADMIN"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller may do, in which galleries (None: all, and what belongs to none), and how often a second.

    max_calls_per_second: None for the server's own limit.
    """

    scopes: frozenset[Scope]
    galleries: frozenset[str] | None = None
    max_calls_per_second: float | None = None

    def sees(self, gallery_id: str) -> bool:
        """Tell whether the caller may know of a gallery."""
        return self.galleries is None or gallery_id in self.galleries


EVERYTHING = Grant(frozenset(Scope))


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as the store knows it: its secret is known to its owner alone.

    token_id: the part of the token that finds it, no secret. digest: SHA-256 of the whole token. last_use_time: to
    the hour.
    """

    token_id: str
    name: str
    digest: bytes = field(repr=False)
    grant: Grant
    create_time: dt.datetime
    expire_time: dt.datetime | None = None
    last_use_time: dt.datetime | None = None
    revoke_time: dt.datetime | None = None

    def is_valid(self, now: dt.datetime) -> bool:
        """Tell whether the token opens anything at a time."""
        return self.revoke_time is None and (self.expire_time is None or now < self.expire_time)
