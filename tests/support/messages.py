"""Random messages of any type, made from their descriptors: well-formed, and mostly senseless."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

Kind = FieldDescriptor

_FLOAT32 = st.one_of(st.floats(width=32), st.sampled_from([0.0, -0.0, 1e-45, 3.4e38, float("nan"), float("inf")]))
_DOUBLE = st.one_of(st.floats(0, 1), st.floats(), st.sampled_from([-1.0, 2.0, 1e308, float("nan")]))
_PLAIN: dict[int, st.SearchStrategy[Any]] = {
    Kind.TYPE_BOOL: st.booleans(),
    Kind.TYPE_FLOAT: _FLOAT32,
    Kind.TYPE_DOUBLE: _DOUBLE,
}
_INTEGERS = {
    Kind.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    Kind.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    Kind.TYPE_UINT32: (0, (1 << 32) - 1),
    Kind.TYPE_UINT64: (0, (1 << 64) - 1),
}
_TEXT = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "-", "*", "\0", "a\x85b", "e\u0301", "\U0001f600" * 40, "a/b", "x" * 5000]),
)
_ENUM_STRANGERS = st.sampled_from([-1, 99, (1 << 31) - 1])


class Messages:
    """Strategies for messages that know the texts and vectors a server may make sense of.

    texts: by the name of a field, what to fill in more often than not. dimension: numbers per embedding.
    """

    def __init__(self, texts: Callable[[FieldDescriptor], Sequence[str]], dimension: int) -> None:
        self._texts = texts
        self._dimension = dimension
        self._made: dict[tuple[str, int], st.SearchStrategy[Any]] = {}

    def of(self, descriptor: Descriptor, depth: int = 5) -> st.SearchStrategy[Message]:
        """Return a strategy for messages of one type."""
        key = (descriptor.full_name, depth)
        if key not in self._made:
            self._made[key] = self._build(descriptor, depth)
        return self._made[key]

    def _build(self, descriptor: Descriptor, depth: int) -> st.SearchStrategy[Message]:
        make = GetMessageClass(descriptor)
        fields = [field for field in descriptor.fields if depth > 0 or field.message_type is None]
        # One member of each oneof, so that most requests are well-formed.
        alone = [field for field in fields if field.containing_oneof is None or _is_optional(field)]
        groups = [
            [field for field in oneof.fields if field in fields]
            for oneof in descriptor.oneofs
            if not _is_optional(oneof.fields[0])
        ]

        @st.composite
        def build(draw: st.DrawFn) -> Message:
            chosen: list[FieldDescriptor] = [field for field in alone if draw(st.integers(0, 3))]
            chosen += [group[draw(st.integers(0, len(group) - 1))] for group in groups if group]
            message = make()
            for field in chosen:
                self._fill(draw, message, field, depth)
            return message

        return build()

    def _fill(self, draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
        target = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key in draw(st.lists(_TEXT, max_size=3)):
                target[key] = draw(_TEXT)
        elif field.is_repeated:
            values = draw(st.lists(self._value(field, depth), max_size=4))
            target.extend(values)
        elif field.message_type is not None:
            target.CopyFrom(draw(self._value(field, depth)))
            target.SetInParent()
        else:
            setattr(message, field.name, draw(self._value(field, depth)))

    def _value(self, field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
        if field.message_type is not None:
            return self.of(field.message_type, depth - 1)
        if field.enum_type is not None:
            return st.one_of(st.sampled_from([value.number for value in field.enum_type.values]), _ENUM_STRANGERS)
        match field.type:
            case Kind.TYPE_STRING:
                texts = st.sampled_from(self._texts(field) or [""])
                return st.one_of(texts, texts, _TEXT)
            case Kind.TYPE_BYTES:
                return self._bytes()
            case _:
                return _PLAIN.get(field.type) or self._integer(*_INTEGERS[field.type])

    def _integer(self, low: int, high: int) -> st.SearchStrategy[int]:
        return st.one_of(st.integers(0, self._dimension), st.integers(low, high), st.just(self._dimension))

    def _bytes(self) -> st.SearchStrategy[bytes]:
        return st.one_of(
            st.lists(st.floats(-1, 1, width=32), min_size=self._dimension, max_size=self._dimension).map(_pack),
            st.lists(_FLOAT32, max_size=3 * self._dimension).map(_pack),
            st.binary(max_size=64),
            st.sampled_from([b"", b"\x89PNG\r\n\x1a\n" + bytes(40), b"\xff\xd8\xff\xe0" + bytes(40), bytes(70_000)]),
        )


def _is_optional(field: FieldDescriptor) -> bool:
    """Tell whether a field is `optional`, for which protobuf makes a oneof of its own."""
    return field.containing_oneof is not None and field.containing_oneof.name == f"_{field.name}"


def _pack(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)
