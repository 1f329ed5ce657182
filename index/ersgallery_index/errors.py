"""The plain errors of the mathematics and of the vector indexes.

ErsError
 +- InvalidEmbedding      a vector with a wrong dimension, NaN, Inf or no length
 +- InvalidProfile        a mean or centroid set that cannot define an ERS
 +- InvalidPolicy         a gate, threshold or k out of range
 +- DeviceUnavailable     a device was asked for that is not there
 +- DeviceFull            rows do not fit into a device's memory
 +- StaleRevision         a mutation arrived out of order
 +- CalibrationFailed     the faces given do not yield a profile or a threshold
"""


class ErsError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidEmbedding(ErsError):
    """A vector cannot be used; `row` is its position in the input, `problem` a stable lower-case phrase."""

    def __init__(self, problem: str, row: int = 0) -> None:
        super().__init__(f"embedding in row {row} {problem}")
        self.problem = problem
        self.row = row


class InvalidProfile(ErsError):
    """A mean or a set of UI centroids cannot define an ERS."""


class InvalidPolicy(ErsError):
    """A gate, threshold, margin or k is out of its range; `field` names it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem


class DeviceUnavailable(ErsError):
    """A device was asked for that this machine or this FAISS build does not have."""


class DeviceFull(ErsError):
    """The rows do not fit into the free memory of the device; nothing was changed."""


class CalibrationFailed(ErsError):
    """The faces given do not yield a profile or a threshold; `reason` is a stable UPPER_SNAKE word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
