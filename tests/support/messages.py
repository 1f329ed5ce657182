"""Random messages of any type, made from their descriptors: well-formed, each part sensible more often than not."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

Kind = FieldDescriptor
Strategy = st.SearchStrategy[Any]

_FLOAT32 = st.one_of(st.floats(width=32), st.sampled_from([0.0, -0.0, 1e-45, float("nan"), float("inf")]))
_INTEGERS = {
    Kind.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    Kind.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    Kind.TYPE_UINT32: (0, (1 << 32) - 1),
    Kind.TYPE_UINT64: (0, (1 << 64) - 1),
}
_WILD: dict[int, Strategy] = {
    Kind.TYPE_BOOL: st.booleans(),
    Kind.TYPE_FLOAT: _FLOAT32,
    Kind.TYPE_DOUBLE: st.one_of(st.floats(), st.sampled_from([-1.0, 2.0, 1e308, float("nan")])),
    Kind.TYPE_ENUM: st.sampled_from([-1, 99, (1 << 31) - 1]),
    Kind.TYPE_STRING: st.one_of(
        st.text(max_size=8),
        st.sampled_from(["", "-", "*", "\0", "a\x85b", "e\u0301", "\U0001f600" * 40, "a/b", "x" * 5000]),
    ),
    Kind.TYPE_BYTES: st.one_of(
        st.binary(max_size=64),
        st.lists(_FLOAT32, max_size=40).map(lambda values: struct.pack(f"<{len(values)}f", *values)),
        st.sampled_from([b"\x89PNG\r\n\x1a\n" + bytes(40), b"\xff\xd8\xff\xe0" + bytes(40), bytes(70_000)]),
    ),
    **{kind: st.integers(low, high) for kind, (low, high) in _INTEGERS.items()},
}
_SENSIBLE: dict[int, Strategy] = {
    Kind.TYPE_BOOL: st.booleans(),
    Kind.TYPE_FLOAT: st.floats(-1, 1, width=32),
    Kind.TYPE_DOUBLE: st.floats(0, 1),
    Kind.TYPE_STRING: st.text("abc \u00e9", max_size=5),
    Kind.TYPE_BYTES: st.just(b"\xff\xd8\xff\xe0" + bytes(40)),
    **dict.fromkeys(_INTEGERS, st.integers(0, 20)),
}
_WILDNESS = st.integers(0, 15).map(lambda number: number == 15)


class Messages:
    """Strategies for messages that know what a server can make sense of.

    texts: what a text field is sensibly filled with, nothing for no idea. whole: sensible messages of a type, by its
    name. rare: fields of a oneof that are seldom chosen.
    """

    def __init__(
        self,
        texts: Callable[[FieldDescriptor], Sequence[str]],
        whole: Mapping[str, Strategy],
        rare: frozenset[str] = frozenset(),
    ) -> None:
        self._texts = texts
        self._whole = whole
        self._rare = rare
        self._made: dict[tuple[str, int], Strategy] = {}

    def of(self, descriptor: Descriptor, depth: int = 5) -> st.SearchStrategy[Message]:
        """Return a strategy for messages of one type."""
        key = (descriptor.full_name, depth)
        if key not in self._made:
            self._made[key] = self._build(descriptor, depth)
        return self._made[key]

    def _build(self, descriptor: Descriptor, depth: int) -> st.SearchStrategy[Message]:
        make = GetMessageClass(descriptor)
        fields = [field for field in descriptor.fields if depth > 0 or field.message_type is None]
        alone = [field for field in fields if field.containing_oneof is None or _is_optional(field)]
        oneofs = [oneof for oneof in descriptor.oneofs if not _is_optional(oneof.fields[0])]
        groups = [[field for field in fields if field.containing_oneof is oneof] for oneof in oneofs]

        @st.composite
        def build(draw: st.DrawFn) -> Message:
            if descriptor.full_name in self._whole and not draw(_WILDNESS):
                whole: Message = draw(self._whole[descriptor.full_name])
                return whole
            message = make()
            for field in alone:
                wanted = draw(st.booleans())
                if wanted or self._texts(field):
                    self._fill(draw, message, field, depth)
            for group in groups:
                usual = [field for field in group if field.name not in self._rare or draw(_WILDNESS)]
                if usual:
                    self._fill(draw, message, usual[draw(st.integers(0, len(usual) - 1))], depth)
            return message

        return build()

    def _fill(self, draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
        target = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key in draw(st.lists(self._value(field.message_type.fields[0], depth), max_size=3)):
                target[key] = draw(self._value(field.message_type.fields[1], depth))
        elif field.is_repeated:
            target.extend(draw(st.lists(self._value(field, depth), max_size=4)))
        elif field.message_type is not None:
            target.CopyFrom(draw(self._value(field, depth)))
            target.SetInParent()
        else:
            setattr(message, field.name, draw(self._value(field, depth)))

    def _value(self, field: FieldDescriptor, depth: int) -> Strategy:
        if field.message_type is not None:
            return self.of(field.message_type, depth - 1)
        sensible = _SENSIBLE.get(field.type)
        if field.enum_type is not None:
            sensible = st.sampled_from([value.number for value in field.enum_type.values])
        elif texts := self._texts(field):
            sensible = st.sampled_from(texts)
        return _WILDNESS.flatmap(lambda wild: _WILD[field.type] if wild or sensible is None else sensible)


def _is_optional(field: FieldDescriptor) -> bool:
    """Tell whether a field is `optional`, for which protobuf makes a oneof of its own."""
    return field.containing_oneof is not None and field.containing_oneof.name == f"_{field.name}"
