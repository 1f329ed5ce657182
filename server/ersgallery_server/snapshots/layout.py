"""How a snapshot lies in its file: one header, then blocks of rows by rising face id, everything little-endian.

    header   8 bytes magic, version, length and CRC-32 (uint32 each) of the JSON that follows; padded to 4096 bytes
    block    rows and CRC-32 (uint32 each), first and last face id (int64 each), nonce (12 bytes), tag (16 bytes), 12
             bytes unused; then columns: face ids (int64), subject ids (int64), ERS (float64), vectors (float32)

In a snapshot that is encrypted the columns are, and the CRC-32 is zero, for the tag says more; see `sealed_blocks`.

Every block but the last has the same number of rows, so the place of each is known. A row that was erased keeps its
face id and has an ERS of -1; all else of it is zero.
"""

import dataclasses
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from ersgallery_index import IndexRows
from numpy.typing import NDArray

HEADER_BYTES = 4096
BLOCK_BYTES = 4 << 20
"""About a block: large enough to be read at the disk's speed, small enough to be copied between two searches."""

FORMAT_VERSION = 2
ERASED_ERS = -1.0

_MAGIC = b"ERSGSNAP"
_PREFIX = struct.Struct("<8sIII")
_HEAD = struct.Struct("<IIqq12s16s12x")
_ROW_BYTES_BESIDES_VECTOR = 24
_MOST = (1 << 63) - 1


class SnapshotRefused(Exception):
    """A snapshot cannot be used; the text says why, after "the snapshot"."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the rows of a snapshot were derived from, and how: another origin would give others.

    program: the version that derived them. recipe: the settings that decide which rows there are.
    """

    program: str
    gallery_key: int
    gallery_create_time: str
    profile_key: int
    profile_sha256: str
    dimension: int
    recipe: str

    def difference(self, other: Self) -> str | None:
        """Name the first field in which two differ."""
        names = (field.name for field in dataclasses.fields(self))
        return next((name for name in names if getattr(self, name) != getattr(other, name)), None)


@dataclass(frozen=True, slots=True)
class Header:
    """What a snapshot says of itself.

    revision: every row was read at this revision of the gallery or a later one. mark: identifies that revision among
    the histories of databases. rows: the erased ones included. key_id, salt: what it is encrypted under, both empty for
    a plain one; the salt in hexadecimal digits.
    """

    origin: Origin
    revision: int
    mark: str
    block_rows: int
    rows: int
    key_id: str = ""
    salt: str = ""

    @property
    def blocks(self) -> int:
        """Return the number of blocks."""
        return -(-self.rows // self.block_rows)

    @property
    def file_bytes(self) -> int:
        """Return the size of the whole file."""
        return block_offset(self.blocks, self.block_rows, self.origin.dimension) - self._missing_bytes

    def rows_of(self, block: int) -> int:
        """Return the number of rows in a block."""
        return min(self.block_rows, self.rows - block * self.block_rows)

    @property
    def _missing_bytes(self) -> int:
        missing = self.blocks * self.block_rows - self.rows
        return missing * (_ROW_BYTES_BESIDES_VECTOR + 4 * self.origin.dimension)


def block_bytes(rows: int, dimension: int) -> int:
    """Return the size of a block."""
    return _HEAD.size + rows * (_ROW_BYTES_BESIDES_VECTOR + 4 * dimension)


def block_offset(block: int, block_rows: int, dimension: int) -> int:
    """Return where a block begins."""
    return HEADER_BYTES + block * block_bytes(block_rows, dimension)


def usual_block_rows(dimension: int) -> int:
    """Return how many rows make a block of about BLOCK_BYTES."""
    return max(1, BLOCK_BYTES // (_ROW_BYTES_BESIDES_VECTOR + 4 * dimension))


def pack_header(header: Header) -> bytes:
    """Return the first HEADER_BYTES of a file."""
    text = json.dumps(dataclasses.asdict(header)).encode()
    packed = _PREFIX.pack(_MAGIC, FORMAT_VERSION, len(text), zlib.crc32(text)) + text
    if len(packed) > HEADER_BYTES:
        raise ValueError("the header is too long")
    return packed.ljust(HEADER_BYTES, b"\0")


def unpack_header(packed: bytes) -> Header:
    """Return the header of a file; raises SnapshotRefused."""
    if len(packed) < HEADER_BYTES:
        raise SnapshotRefused("is cut short")
    magic, version, length, crc = _PREFIX.unpack_from(packed)
    if magic != _MAGIC:
        raise SnapshotRefused("is no snapshot")
    if version != FORMAT_VERSION:
        raise SnapshotRefused(f"has the format {version} and not {FORMAT_VERSION}")
    text = packed[_PREFIX.size : _PREFIX.size + length]
    if len(text) != length or zlib.crc32(text) != crc:
        raise SnapshotRefused("has a damaged header")
    return _header_of(text)


def _header_of(text: bytes) -> Header:
    """Return the header of a text whose checksum fits; another program may have written it."""
    try:
        found: dict[str, Any] = json.loads(text)
        header = Header(origin=Origin(**found.pop("origin")), **found)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SnapshotRefused("has a header that is none of this version") from error
    numbers = ((header.origin.dimension, 1), (header.block_rows, 1), (header.rows, 0), (header.revision, 0))
    texts = (header.mark, header.key_id, header.salt)
    sound = all(type(number) is int and least <= number <= _MOST for number, least in numbers)
    if not sound or not all(isinstance(each, str) for each in texts):
        raise SnapshotRefused("has a header with values that cannot be")
    return header


class Block:
    """The rows of a block as columns over one buffer; changing a column changes the buffer."""

    def __init__(self, buffer: memoryview, rows: int, dimension: int) -> None:
        self.buffer = buffer
        self.rows = rows
        self.offsets = _offsets(rows)
        ids, subjects, ers, vectors = self.offsets
        self.face_ids = np.frombuffer(buffer, "<i8", rows, ids)
        self.subject_ids = np.frombuffer(buffer, "<i8", rows, subjects)
        self.ers = np.frombuffer(buffer, "<f8", rows, ers)
        self.vectors = np.frombuffer(buffer, "<f4", rows * dimension, vectors).reshape(rows, dimension)

    @classmethod
    def of(cls, rows: IndexRows, erased: NDArray[np.bool_]) -> Self:
        """Return a sealed block of rows, which must be sorted by face id and not be none."""
        count, dimension = rows.vectors.shape
        block = cls(empty_buffer(block_bytes(count, dimension)), count, dimension)
        block.face_ids[:] = rows.face_ids
        block.subject_ids[:] = rows.subject_ids
        block.ers[:] = rows.ers
        block.vectors[:] = rows.vectors
        block.erase(erased)
        return block

    def erase(self, rows: NDArray[np.bool_]) -> None:
        """Make rows zero, all but their face ids, mark them as erased, and seal the block again."""
        self.subject_ids[rows] = 0
        self.ers[rows] = ERASED_ERS
        self.vectors[rows] = 0.0
        ends = (int(self.face_ids[0]), int(self.face_ids[-1]))
        _HEAD.pack_into(self.buffer, 0, self.rows, self._checksum(*ends), *ends, b"", b"")

    def check(self) -> None:
        """Raise SnapshotRefused unless the block is as it was sealed."""
        rows, crc, *ends, _, _ = _HEAD.unpack_from(self.buffer)
        if rows != self.rows or crc != self._checksum(*ends):
            raise SnapshotRefused("has a damaged block")

    def _checksum(self, first: int, last: int) -> int:
        return zlib.crc32(self.buffer[_HEAD.size :], zlib.crc32(_HEAD.pack(self.rows, 0, first, last, b"", b"")))

    @property
    def living(self) -> IndexRows:
        """Return the rows that were not erased, without copying where there are no others."""
        kept = self.ers >= 0.0
        if kept.all():
            return IndexRows(self.face_ids, self.subject_ids, self.ers, self.vectors)
        return IndexRows(self.face_ids[kept], self.subject_ids[kept], self.ers[kept], self.vectors[kept])

    def pieces(self, row: int) -> list[tuple[int, memoryview]]:
        """Return what erasing a row changes besides the head, each with its place in the block."""
        sizes = (8, 8, self.vectors.shape[1] * 4)
        starts = [offset + row * size for offset, size in zip(self.offsets[1:], sizes, strict=True)]
        return [(start, self.buffer[start : start + size]) for start, size in zip(starts, sizes, strict=True)]

    @property
    def first_face_id(self) -> int:
        """Return the lowest face id."""
        return int(self.face_ids[0])

    @property
    def head(self) -> memoryview:
        """Return the bytes before the columns."""
        return self.buffer[: _HEAD.size]


def empty_buffer(size: int) -> memoryview:
    """Return memory that nobody has set: to fill gigabytes with zeros first would take as long as to read them."""
    return np.empty(size, np.uint8).data


def pack_head(rows: int, ends: tuple[int, int], nonce: bytes, tag: bytes) -> bytes:
    """Return the head of a block that is encrypted."""
    return _HEAD.pack(rows, 0, *ends, nonce, tag)


def unpack_head(head: memoryview) -> tuple[int, tuple[int, int], bytes, bytes]:
    """Return rows, first and last face id, nonce and tag of a block."""
    rows, _, first, last, nonce, tag = _HEAD.unpack_from(head)
    return rows, (first, last), nonce, tag


def first_face_id(head: memoryview) -> int:
    """Return the lowest face id of the block that begins so."""
    return int(_HEAD.unpack_from(head)[2])


def _offsets(rows: int) -> tuple[int, int, int, int]:
    ids = _HEAD.size
    return ids, ids + 8 * rows, ids + 16 * rows, ids + 24 * rows
