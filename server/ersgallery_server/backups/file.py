"""How a backup lies in its file: a header, blocks of rows table by table, and a digest of all of it at the end.

    header   8 bytes magic, format and length (uint32 each) of the JSON that follows
    block    number of the table and of rows (uint32 each), length (uint64), then the columns (see `columns`)
    end      uint32 of all ones, SHA-256 of everything before

A file that is cut short has no end, and one that is damaged anywhere another digest.
"""

import dataclasses
import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

FORMAT_VERSION = 1

_MAGIC = b"ERSGBKUP"
_PREFIX = struct.Struct("<8sII")
_BLOCK = struct.Struct("<IIQ")
_END = b"\xff\xff\xff\xff"
_MAX_HEADER_BYTES = 64 << 20
_MAX_BLOCK_BYTES = 2 << 30
_DIGEST_BYTES = 32


class BackupRefused(Exception):
    """A backup cannot be made, or a file not be used as one; the text says why."""


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table in a backup. columns: (name, kind)."""

    name: str
    rows: int
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class KeptGallery:
    """A gallery in a backup, to be told to people."""

    gallery_id: str
    revision: int
    subjects: int
    faces: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup says of itself. migration: of the tables. create_time: ISO 8601 in UTC, when it was begun."""

    migration: str
    program: str
    create_time: str
    tables: tuple[KeptTable, ...]
    galleries: tuple[KeptGallery, ...]

    @property
    def rows(self) -> int:
        """Return the number of rows in all tables."""
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a table, as packed columns."""

    table: int
    rows: int
    data: memoryview


class Writer:
    """Writes a backup front to back."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        text = json.dumps(dataclasses.asdict(header)).encode()
        self._write(_PREFIX.pack(_MAGIC, FORMAT_VERSION, len(text)) + text)

    def add(self, table: int, rows: int, data: bytes) -> None:
        """Write a block."""
        self._write(_BLOCK.pack(table, rows, len(data)))
        self._write(data)

    def end(self) -> None:
        """Write the end."""
        self._write(_END)
        self._file.write(self._digest.digest())

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)


class Reader:
    """Reads a backup front to back. A damaged one is known for sure only when `blocks` has come to its end.

    Raises BackupRefused for what cannot be a backup, as soon as that is seen.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        magic, version, length = _PREFIX.unpack(self._read(_PREFIX.size))
        if magic != _MAGIC:
            raise BackupRefused("the file is no backup")
        if version != FORMAT_VERSION:
            raise BackupRefused(f"the backup has the format {version}, and this version reads {FORMAT_VERSION}")
        if length > _MAX_HEADER_BYTES:
            raise BackupRefused("the backup is damaged")
        self.header = _header_of(self._read(length))

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in their order; the digest is compared after the last."""
        while (start := self._read(len(_END))) != _END:
            table, rows, length = _BLOCK.unpack(start + self._read(_BLOCK.size - len(start)))
            if table >= len(self.header.tables) or length > _MAX_BLOCK_BYTES:
                raise BackupRefused("the backup is damaged")
            yield Block(table, rows, memoryview(self._read(length)))
        found = self._digest.digest()
        if self._file.read(_DIGEST_BYTES + 1) != found:
            raise BackupRefused("the backup is damaged: its contents are not those of its checksum")

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise BackupRefused("the backup is cut short, or the file is none")
        self._digest.update(data)
        return data


def verify(path: Path, progress: Callable[[int], None] = lambda _bytes: None) -> Header:
    """Read a whole backup and return its header; progress is told how many more bytes were read.

    Raises BackupRefused unless every byte is as it was written, and OSError.
    """
    with path.open("rb") as file:
        reader = Reader(file)
        counts = [0] * len(reader.header.tables)
        for block in reader.blocks():
            counts[block.table] += block.rows
            progress(len(block.data))
    if counts != [table.rows for table in reader.header.tables]:
        raise BackupRefused("the backup has not the rows that it says")
    return reader.header


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a new file that only its owner may read, and which takes the place of `path` once it is on the disk.

    Raises BackupRefused where another file than a backup is there.
    """
    _require_backup_or_nothing(path)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _require_backup_or_nothing(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except FileNotFoundError:
        return
    if magic != _MAGIC:
        raise BackupRefused(f"{path} is there and is no backup; it is not overwritten")


def _header_of(text: bytes) -> Header:
    try:
        found: dict[str, Any] = json.loads(text)
        tables = tuple(
            KeptTable(each["name"], each["rows"], tuple((name, kind) for name, kind in each["columns"]))
            for each in found.pop("tables")
        )
        galleries = tuple(KeptGallery(**each) for each in found.pop("galleries"))
        return Header(tables=tables, galleries=galleries, **found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupRefused("the backup is damaged") from error
