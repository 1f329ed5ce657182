"""Times, read from messages."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def read_time(message: Timestamp) -> datetime:
    """Return an aware datetime in UTC."""
    return message.ToDatetime(tzinfo=UTC)
