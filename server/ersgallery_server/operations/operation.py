"""What is known of an operation at one moment."""

import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int], None]
"""Gets units done and units in all; raises OperationCancelled where the operation is to end."""


class Kind(enum.Enum):
    """What an operation does."""

    CALIBRATE_GAMMA = "CALIBRATE_GAMMA"
    CALIBRATE_TAU = "CALIBRATE_TAU"
    CALIBRATE_PROFILE = "CALIBRATE_PROFILE"
    FIND_MAGNETS = "FIND_MAGNETS"
    FIND_DUPLICATE_SUBJECTS = "FIND_DUPLICATE_SUBJECTS"


class State(enum.Enum):
    """How far an operation has come."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Return whether nothing more will happen."""
        return self not in {State.WAITING, State.RUNNING}


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """An operation as it was at one moment.

    gallery_id: empty where it is about none. result: what its work returned; error: what it raised.
    """

    operation_id: str
    kind: Kind
    gallery_id: str
    create_time: dt.datetime
    state: State = State.WAITING
    done_units: int = 0
    total_units: int = 0
    start_time: dt.datetime | None = None
    end_time: dt.datetime | None = None
    result: object = None
    error: Exception | None = None
