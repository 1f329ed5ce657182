"""Damage to messages as they travel: by the rules of protobuf's encoding, below what its classes can express."""

import struct
from dataclasses import dataclass
from random import Random

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tests.fuzz.damage import BOUNDARIES, FLOATS, TEXTS, damage

VARINT, FIXED64, BYTES, GROUP, END, FIXED32 = range(6)
_BAD_UTF8 = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"ok\xfe")


@dataclass(slots=True)
class Piece:
    """One field as it travels: its number, its wire type and its content without a length."""

    number: int
    wire: int
    content: bytes

    def pack(self) -> bytes:
        """Return its bytes."""
        length = varint(len(self.content)) if self.wire == BYTES else b""
        return varint(self.number << 3 | self.wire) + length + self.content


def varint(value: int) -> bytes:
    """Encode an unsigned number."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def split(data: bytes) -> list[Piece]:
    """Return the fields of a message that is sound; raises ValueError for one that is not."""
    pieces, place = [], 0
    while place < len(data):
        tag, place = _read_varint(data, place)
        begin = place
        match tag & 7:
            case 0:
                _, place = _read_varint(data, place)
            case 1:
                place += 8
            case 5:
                place += 4
            case 2:
                length, begin = _read_varint(data, place)
                place = begin + length
            case _:
                raise ValueError("groups are not used")
        if place > len(data):
            raise ValueError("cut short")
        pieces.append(Piece(tag >> 3, tag & 7, data[begin:place]))
    return pieces


def damage_message(rng: Random, data: bytes, descriptor: Descriptor) -> bytes:
    """Change one field of a message or of those inside it."""
    try:
        pieces = split(data)
    except ValueError:
        return damage(rng, data)
    if not pieces or rng.random() < 0.1:
        return b"".join(piece.pack() for piece in pieces) + _strange_field(rng, descriptor)
    place = rng.randrange(len(pieces))
    piece = pieces[place]
    field = descriptor.fields_by_number.get(piece.number)
    inside = field.message_type if field is not None else None
    if inside is not None and piece.wire == BYTES and rng.random() < 0.7:
        piece.content = damage_message(rng, piece.content, inside)
        return b"".join(each.pack() for each in pieces)
    packed = [each.pack() for each in pieces]
    match rng.randrange(8):
        case 0:
            packed.pop(place)
        case 1:
            packed.append(packed[place])
        case 2:
            rng.shuffle(packed)
        case 3:
            packed[place] *= rng.choice((2, 50, 2000))
        case 4:  # another member of a oneof, or the field with the type of another
            piece.number = rng.choice(list(descriptor.fields_by_number) or [1])
            packed[place] = piece.pack()
        case 5:
            packed[place] = damage(rng, packed[place])
        case _:
            packed[place] = _other_content(rng, piece, field).pack()
    return b"".join(packed)


def _other_content(rng: Random, piece: Piece, field: FieldDescriptor | None) -> Piece:
    """Return a field with another value of its wire type."""
    match piece.wire:
        case 0:
            content = varint(rng.choice(BOUNDARIES) % (1 << 64))
        case 1:
            content = struct.pack("<d", rng.choice(FLOATS))
        case 5:
            content = rng.randbytes(4)
        case _ if field is not None and field.type == FieldDescriptor.TYPE_STRING:
            content = rng.choice((*_BAD_UTF8, *(text.encode("utf-8", "replace") for text in TEXTS)))
        case _ if field is not None and field.type == FieldDescriptor.TYPE_BYTES:
            numbers = struct.pack(f"<{len(piece.content) // 4}f", *[0.0] * (len(piece.content) // 4))
            strange = struct.pack("<I", rng.choice((0x7FC00000, 0x7F800000, 0xFF800000, 1, 0x7F7FFFFF)))
            content = rng.choice((numbers, piece.content[:-4] + strange, piece.content[:-1], piece.content * 2, b""))
        case _:
            content = damage(rng, piece.content)
    return Piece(piece.number, piece.wire, content)


def _strange_field(rng: Random, descriptor: Descriptor) -> bytes:  # noqa: PLR0911 - one for each kind
    """Return a field that is unknown, of a wrong type, without an end or nested without sense."""
    numbers = [*descriptor.fields_by_number, 99, 19_000, (1 << 29) - 1, 0, 1 << 29]
    number = rng.choice(numbers)
    match rng.randrange(8):
        case 0:
            return Piece(number, VARINT, b"\xff" * rng.choice((9, 10, 11)) + b"\x01").pack()
        case 1:
            return varint(number << 3 | BYTES) + varint(rng.choice(BOUNDARIES)) + rng.randbytes(4)
        case 2:
            depth = rng.choice((1, 99, 100, 101, 5000))
            return varint(number << 3 | GROUP) * depth + varint(number << 3 | END) * rng.choice((depth, depth - 1, 0))
        case 3:
            content = b""
            for _ in range(rng.choice((1, 99, 101, 3000))):
                content = Piece(number, BYTES, content[-60_000:]).pack()
            return content
        case 4:
            return varint(number << 3 | rng.choice((6, 7)))
        case 5:
            return Piece(number, FIXED32, rng.randbytes(4)).pack()
        case 6:
            return Piece(number, FIXED64, rng.randbytes(8)).pack()
        case _:
            return Piece(number, BYTES, rng.randbytes(rng.choice((0, 1, 64, 5000)))).pack()


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("cut short")
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("a number without an end")
