"""Messages of any type from their descriptors: well-formed, each part sensible more often than not."""

import struct
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.fuzz.damage import BOUNDARIES, FLOATS, TEXTS

Kind = FieldDescriptor
WILD = 1 / 24

_BITS = {
    Kind.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    Kind.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    Kind.TYPE_UINT32: (0, (1 << 32) - 1),
    Kind.TYPE_UINT64: (0, (1 << 64) - 1),
}


class Messages:
    """Draws messages that a server can make sense of, and now and then a part that it cannot.

    texts: what a text field is sensibly filled with, nothing for no idea. whole: draws sensible messages of a type, by
    its name. rare: fields of a oneof that are seldom chosen.
    """

    def __init__(
        self,
        texts: Callable[[FieldDescriptor], Sequence[str]],
        whole: Mapping[str, Callable[[Random], Message]],
        rare: frozenset[str] = frozenset(),
    ) -> None:
        self._texts = texts
        self._whole = whole
        self._rare = rare

    def draw(self, rng: Random, descriptor: Descriptor, depth: int = 5) -> Message:
        """Return a message of one type."""
        if descriptor.full_name in self._whole and rng.random() > WILD:
            return self._whole[descriptor.full_name](rng)
        message = GetMessageClass(descriptor)()
        fields = [field for field in descriptor.fields if depth > 0 or field.message_type is None]
        for field in fields:
            alone = field.containing_oneof is None or is_optional(field)
            if alone and rng.random() < self._chance(field):
                self._fill(rng, message, field, depth)
        for oneof in descriptor.oneofs:
            chosen = [
                field
                for field in fields
                if field.containing_oneof is oneof
                and not is_optional(field)
                and (field.name not in self._rare or rng.random() < WILD)
            ]
            if chosen:
                self._fill(rng, message, rng.choice(chosen), depth)
        return message

    def _chance(self, field: FieldDescriptor) -> float:
        """Return how often a field is set: what a request can hardly do without, nearly always."""
        if self._texts(field):
            return 1 - WILD
        return 0.5 if is_optional(field) or (field.message_type is None and not field.is_repeated) else 0.8

    def _fill(self, rng: Random, message: Message, field: FieldDescriptor, depth: int) -> None:
        target = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            for _ in range(rng.choice((1, 1, 2, 3, 40))):
                if value.message_type is None:
                    target[self._value(rng, key)] = self._value(rng, value)
        elif field.is_repeated:
            count = rng.choice((0, 1, 1, 1, 2, 2, 3, 4))
            if field.message_type is not None:
                target.extend(self.draw(rng, field.message_type, depth - 1) for _ in range(count))
            else:
                target.extend(self._value(rng, field) for _ in range(count * rng.choice((1, 1, 1, 30))))
        elif field.message_type is not None:
            target.CopyFrom(self.draw(rng, field.message_type, depth - 1))
            target.SetInParent()
        else:
            setattr(message, field.name, self._value(rng, field))

    def _value(self, rng: Random, field: FieldDescriptor) -> Any:
        if rng.random() < WILD:
            return wild(rng, field)
        if field.enum_type is not None:
            return rng.choice(field.enum_type.values).number
        if texts := self._texts(field):
            return rng.choice(texts)
        return _sensible(rng, field)


def _sensible(rng: Random, field: FieldDescriptor) -> Any:
    match field.type:
        case Kind.TYPE_BOOL:
            return rng.random() < 0.5
        case Kind.TYPE_FLOAT:
            return struct.unpack("<f", struct.pack("<f", rng.uniform(-1, 1)))[0]
        case Kind.TYPE_DOUBLE:
            return rng.choice((rng.random(), rng.random(), 0.5, 0.0, 1.0))
        case Kind.TYPE_STRING:
            return "".join(rng.choices("abc é", k=rng.randint(0, 5)))
        case Kind.TYPE_BYTES:
            return b"\xff\xd8\xff\xe0" + bytes(40)
        case _:
            return rng.randint(0, 20)


def wild(rng: Random, field: FieldDescriptor) -> Any:
    """Return a value of a field's type that is out of its usual range."""
    match field.type:
        case Kind.TYPE_BOOL:
            return rng.random() < 0.5
        case Kind.TYPE_FLOAT | Kind.TYPE_DOUBLE:
            return rng.choice(FLOATS)
        case Kind.TYPE_ENUM:
            return rng.choice((-1, 99, (1 << 31) - 1, -(1 << 31)))
        case Kind.TYPE_STRING:
            return rng.choice(TEXTS)
        case Kind.TYPE_BYTES:
            numbers = [rng.choice(FLOATS) for _ in range(rng.choice((1, 15, 16, 17, 64)))]
            packed = struct.pack(f"<{len(numbers)}f", *(0.0 if abs(value) > 1e38 else value for value in numbers))
            return rng.choice((packed, b"", rng.randbytes(rng.choice((1, 3, 63, 64, 65))), bytes(70_000)))
        case _:
            low, high = _BITS.get(field.type, (0, (1 << 31) - 1))
            return max(low, min(high, rng.choice(BOUNDARIES) * rng.choice((1, 1, -1))))


def is_optional(field: FieldDescriptor) -> bool:
    """Tell whether a field is `optional`, for which protobuf makes a oneof of its own."""
    return field.containing_oneof is not None and field.containing_oneof.name == f"_{field.name}"
