"""Damaged messages: most can still be read, some cannot, and a seed makes the same again."""

from random import Random

from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from tests.fuzz.calls import MESSAGES, METHODS, OURS
from tests.fuzz.wire import damage_message, split


def drawn(seed: int, name: str) -> bytes:
    return MESSAGES.draw(Random(seed), METHODS[name].input_type).SerializeToString(deterministic=True)


def test_what_is_split_is_put_together_to_the_same_bytes() -> None:
    for name in METHODS:
        for seed in range(5):
            data = drawn(seed, name)
            assert b"".join(piece.pack() for piece in split(data)) == data


def test_damaged_messages_differ_and_often_can_be_read() -> None:
    for name in OURS:
        kind = METHODS[name].input_type
        if not kind.fields:
            continue
        readable = differing = 0
        for seed in range(60):
            data = drawn(seed, name)
            damaged = damage_message(Random(seed), data, kind)
            assert damaged == damage_message(Random(seed), data, kind)
            differing += damaged != data
            try:
                GetMessageClass(kind).FromString(damaged)
            except DecodeError:
                continue
            readable += 1
        assert differing > 30, name
        assert 15 < readable < 60, name
