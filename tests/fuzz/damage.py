"""Damage to bytes and to trees of JSON values, by a seeded generator."""

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

BOUNDARIES = (
    0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 100, 127, 128, 255, 256, 1000, 4096, 32767, 32768, 65535, 65536,
    (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
)  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-45, 1e-320, 1e38, 1e308, float("nan"), float("inf"), float("-inf"))
TEXTS = (
    "", "-", "*", ".", "..", "/", "\0", "a\0b", "a\x85b", "\x7f", "é", "é", "ﬁ", "\u202e", "\ufeff", "a/b", "%00",
    "../../etc/passwd", "' OR 1=1 --", "{0}", "%s%n", "\U0001f600" * 40, "\ud7ff", "\uffff", "x" * 129, "x" * 5000,
    "e" + "\u0301" * 300,
)  # fmt: skip
_FORMS = ("<B", "<H", ">H", "<I", ">I", "<q", ">q", "<f", "<d")


def damage(rng: Random, data: bytes, others: Sequence[bytes] = (), most: int = 6) -> bytes:
    """Change bytes at one to `most` places; `others` are what pieces may be taken from."""
    for _ in range(1 + min(int(rng.expovariate(0.8)), most - 1)):
        data = rng.choice(_WAYS)(rng, data, others)
    return data


def _flip(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    return data[: rng.randint(0, len(data))]


def _remove(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    begin = rng.randint(0, len(data))
    return data[:begin] + data[begin + rng.choice((1, 2, 4, 16, 256)) :]


def _insert(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + rng.randbytes(rng.choice((1, 2, 4, 16, 256))) + data[place:]


def _repeat(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    begin = rng.randint(0, len(data))
    piece = data[begin : begin + rng.choice((1, 4, 16, 64, 1024))]
    return data[:begin] + piece * rng.choice((2, 3, 17)) + data[begin:]


def _number(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    """Put a number of the boundaries somewhere: a length, a size, a count."""
    form = rng.choice(_FORMS)
    if form[1] in "fd":
        value = rng.choice(FLOATS)
        number = struct.pack(form, value if form[1] == "d" or abs(value) < 1e38 else 0.0)
    else:
        number = (rng.choice(BOUNDARIES) % (1 << 64)).to_bytes(8, "little")[: struct.calcsize(form)]
        number = number[::-1] if form[0] == ">" else number
    place = rng.randint(0, max(0, len(data) - len(number)))
    return data[:place] + number + data[place + len(number) :]


def _swap(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    one, two, three = sorted(rng.randint(0, len(data)) for _ in range(3))
    return data[:one] + data[two:three] + data[one:two] + data[three:]


def _splice(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others) if others else data
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _fill(rng: Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    begin = rng.randint(0, len(data))
    end = min(len(data), begin + rng.choice((4, 16, 64, 4096)))
    return data[:begin] + rng.choice((b"\0", b"\xff", b"\x80", b"A")) * (end - begin) + data[end:]


_WAYS: tuple[Callable[[Random, bytes, Sequence[bytes]], bytes], ...] = (
    _flip, _flip, _flip, _cut, _remove, _insert, _repeat, _number, _number, _swap, _splice, _fill,
)  # fmt: skip


def wild_value(rng: Random) -> Any:
    """Return a JSON or TOML value that nobody expects."""
    values: tuple[Any, ...] = (
        True, rng.choice(BOUNDARIES), -rng.choice(BOUNDARIES), 10**400, rng.choice(FLOATS), rng.choice(TEXTS),
        "\ud800", [], {}, [[]], [1, "a", []], {"a": {}}, [0.5] * 1000, [[0.1] * 3, [0.1] * 4], {"": 1},
    )  # fmt: skip
    return rng.choice(values)


def damage_tree(rng: Random, tree: Any) -> Any:  # noqa: PLR0911 - one for each kind of damage
    """Return a copy of a tree in which one value was replaced, removed, doubled or renamed."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.05:
        return wild_value(rng)
    if isinstance(tree, dict):
        key = rng.choice(list(tree))
        match rng.randrange(8):
            case 0:
                return {name: value for name, value in tree.items() if name != key}
            case 1:
                return {**tree, rng.choice(("other", key.upper(), "sha256", key + "s")): tree[key]}
            case _:
                return {**tree, key: damage_tree(rng, tree[key])}
    place = rng.randrange(len(tree))
    match rng.randrange(6):
        case 0:
            return tree[:place] + tree[place + 1 :]
        case 1:
            return [*tree, tree[place]]
        case _:
            return [*tree[:place], damage_tree(rng, tree[place]), *tree[place + 1 :]]
