"""Snapshots on the disk: at the start of a gallery a damaged one is refused or right, never wrong."""

import json
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random

import numpy as np
import structlog
from ersgallery_server.keys import NO_KEYS, Key, KeyRing
from ersgallery_server.snapshots import RowFile, SnapshotRefused, read_rows

from tests.fuzz.case import Case, Finding
from tests.fuzz.damage import damage, damage_tree
from tests.fuzz.watch import Watch
from tests.support.cores import Core, assert_same_rows, enroll, rows_of, save
from tests.support.stores import unit_rows

DIMENSION, FACES = 16, 48
_PREFIX = struct.Struct("<8sIII")
_HEADER_BYTES = 4096
_RESTART, _SEALED = "restart", "sealed"


class SnapshotAttack:
    """A gallery that is started again and again from damaged snapshots.

    `restart`: damage by accident, which checksums must tell. `sealed`: checksums that fit, as no accident makes them;
    then the file is only read: there must be an error that the start knows, and no endless work.
    """

    def __init__(self, folder: Path, keys: KeyRing = NO_KEYS) -> None:
        self._folder = folder
        self._keys = keys
        self._core = Core(self._url, folder, keys=keys)
        vectors = unit_rows(FACES, 3, DIMENSION)
        profile = self._core.profile("p", unit_rows(1, 4, DIMENSION))
        for name in ("g", "h"):
            gallery = self._core.create(name, profile)
            enroll(gallery, [f"s{number % 20}" for number in range(FACES)], vectors if name == "g" else vectors[::-1])
            save(gallery)
        self._path = self._core.gallery("g").saved.path
        self._seeds = (self._path.read_bytes(), self._core.gallery("h").saved.path.read_bytes())
        self._wanted = rows_of(self._core.gallery("g"))
        self._watch = Watch()

    @property
    def _url(self) -> str:
        return f"sqlite:///{self._folder / 'gallery.db'}"

    def draw(self, rng: Random) -> Case:
        """Return a damaged snapshot, of this gallery or of another."""
        data = rng.choice((self._seeds[0], self._seeds[0], self._seeds[1]))
        if rng.random() < 0.4:
            return Case(_SEALED, _sealed(rng, data))
        if rng.random() < 0.1:
            return Case(_RESTART, data)
        header, rest = data[:_HEADER_BYTES], data[_HEADER_BYTES:]
        match rng.randrange(4):
            case 0:
                return Case(_RESTART, damage(rng, header[:600], most=2) + header[600:] + rest)
            case 1:
                return Case(_RESTART, header + damage(rng, rest, self._seeds, most=2))
            case 2:
                return Case(_RESTART, header[:8] + struct.pack("<I", rng.choice((0, 2, 1 << 31))) + header[12:] + rest)
            case _:
                return Case(_RESTART, damage(rng, data, self._seeds))

    def check(self, case: Case) -> str:
        """Start from it, or read it."""
        self._watch.count()
        return self._restart(case.data) if case.kind == _RESTART else self._read(case.data)

    def settle(self) -> None:
        """Check that nothing grew."""
        self._watch.check(patience_s=1.0)

    def close(self) -> None:
        """Close the gallery."""
        self._core.close()

    def _restart(self, data: bytes) -> str:
        self._core.close()
        self._path.write_bytes(data)
        self._core = Core(self._url, self._folder, keys=self._keys)
        gallery = self._core.gallery("g")
        try:
            assert_same_rows(rows_of(gallery), self._wanted)
        except AssertionError as error:
            raise Finding("a damaged snapshot gave other rows than the store has") from error
        if data == self._seeds[0] and not self._path.exists():
            raise Finding("a sound snapshot was refused")
        return "started from it" if self._path.exists() else "refused"

    def _read(self, data: bytes) -> str:
        path = self._folder / "sealed"
        path.write_bytes(data)
        try:
            file, header = RowFile.open(path, self._keys)
            try:
                rows = sum(len(block.face_ids) for block in read_rows(file))
                file.erase(np.arange(5, dtype=np.int64))
            finally:
                file.close()
        except (SnapshotRefused, OSError, ValueError):  # what the start takes for a refusal
            return "sealed, refused"
        if rows > header.rows:
            raise Finding(f"{rows} rows of {header.rows}")
        return "sealed, read"


@contextmanager
def opened(folder: Path, keys: KeyRing = NO_KEYS) -> Iterator[SnapshotAttack]:
    """Make the gallery; its warnings about refused snapshots are not shown."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    attack = SnapshotAttack(folder, keys)
    try:
        yield attack
    finally:
        attack.close()
        structlog.reset_defaults()


def opened_encrypted(folder: Path) -> AbstractContextManager[SnapshotAttack]:
    """Make the gallery with a key: its snapshots are encrypted."""
    return opened(folder, KeyRing([Key.generate("fuzz")]))


def _sealed(rng: Random, data: bytes) -> bytes:
    """Change what the header says, or a block, under checksums that fit."""
    magic, version, length, _ = _PREFIX.unpack_from(data)
    text, rest = data[_PREFIX.size : _PREFIX.size + length], data[_HEADER_BYTES:]
    if rng.random() < 0.7:
        said = damage_tree(rng, json.loads(text))
        if rng.random() < 0.5 and isinstance(said, dict):
            said[rng.choice(("rows", "block_rows", "revision"))] = rng.choice(
                (0, -1, 1, 1 << 31, 1 << 63, 1e308, "1", None)
            )
        text = json.dumps(said).encode()
    else:
        rows, _, first, last = struct.unpack_from("<IIqq", rest)
        body = bytearray(damage(rng, rest[32:], most=2)[: len(rest) - 32].ljust(len(rest) - 32, b"\0"))
        crc = zlib.crc32(bytes(body), zlib.crc32(struct.pack("<IIqq8x", rows, 0, first, last)))
        rest = struct.pack("<IIqq8x", rows, crc, first, last) + bytes(body)
    packed = _PREFIX.pack(magic, version, len(text), zlib.crc32(text)) + text
    return packed[:_HEADER_BYTES].ljust(_HEADER_BYTES, b"\0") + rest
