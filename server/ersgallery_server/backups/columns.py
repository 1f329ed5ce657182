"""Rows as columns of bytes, alike whichever database they come from.

A column begins with one byte that tells whether a null mask of one byte for each row follows. Then integers, booleans
and times (microseconds since 1970) are int64, reals float64; texts, bytes and JSON are their lengths (uint32), then all
of them one after another. Everything is little-endian.
"""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from sqlalchemy import JSON, BigInteger, Boolean, Double, Float, Integer, LargeBinary, Text
from sqlalchemy.types import TypeEngine

from ersgallery_server.store.tables import UtcTime

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of column: how its values are stored, and its type in a database.

    dtype: of values of one size. Without one, `pack` makes bytes of a value; `unpack` is the way back of either.
    """

    sql: TypeEngine[Any]
    dtype: str | None
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]


def _time_to_number(value: dt.datetime) -> int:
    return (value - _EPOCH) // _MICROSECOND


def _number_to_time(value: int) -> dt.datetime:
    return _EPOCH + value * _MICROSECOND


def _json_to_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


KINDS: dict[str, Kind] = {
    "time": Kind(UtcTime(), "<i8", _time_to_number, _number_to_time),
    "boolean": Kind(Boolean(), "<i8", int, bool),
    "integer": Kind(BigInteger(), "<i8", int, int),
    "real": Kind(Double(), "<f8", float, float),
    "json": Kind(JSON(none_as_null=True), None, _json_to_bytes, json.loads),
    "bytes": Kind(LargeBinary(), None, bytes, bytes),
    "text": Kind(Text(), None, str.encode, bytes.decode),
}


def kind_of(column_type: TypeEngine[Any]) -> str:
    """Return the kind of a column; raises TypeError for a type that backups do not know."""
    for kind, types in (
        ("time", UtcTime),
        ("boolean", Boolean),
        ("integer", Integer),
        ("real", Float),
        ("json", JSON),
        ("bytes", LargeBinary),
        ("text", Text),
    ):
        if isinstance(column_type, types):
            return kind
    raise TypeError(f"backups do not know columns of {column_type!r}")


def pack(kind: str, values: Sequence[Any]) -> bytes:
    """Return the values of a column as bytes; None is null."""
    described = KINDS[kind]
    nulls = np.array([value is None for value in values], np.uint8)
    mask = b"\1" + nulls.tobytes() if nulls.any() else b"\0"
    if described.dtype is not None:
        numbers = [0 if value is None else described.pack(value) for value in values]
        return mask + np.array(numbers, described.dtype).tobytes()
    parts = [b"" if value is None else described.pack(value) for value in values]
    return mask + np.array([len(part) for part in parts], "<u4").tobytes() + b"".join(parts)


def unpack(kind: str, data: memoryview, rows: int) -> tuple[list[Any], memoryview]:
    """Return the values of a column, and the bytes after it; raises ValueError where there are too few."""
    described = KINDS[kind]
    mask, data = data[:1], data[1:]
    nulls = None
    if bytes(mask) == b"\1":
        nulls, data = np.frombuffer(data, np.uint8, rows), data[rows:]
    if described.dtype is not None:
        packed: Sequence[Any] = np.frombuffer(data, described.dtype, rows).tolist()
        data = data[8 * rows :]
    else:
        ends = list(accumulate(np.frombuffer(data, "<u4", rows).tolist(), initial=4 * rows))
        if ends[-1] > len(data):
            raise ValueError("a column is cut short")
        packed = [bytes(data[start:end]) for start, end in pairwise(ends)]
        data = data[ends[-1] :]
    if nulls is None or not nulls.any():
        return [described.unpack(value) for value in packed], data
    pairs = zip(packed, nulls.tolist(), strict=True)
    return [None if null else described.unpack(value) for value, null in pairs], data
