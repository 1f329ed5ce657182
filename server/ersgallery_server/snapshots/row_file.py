"""A file of rows that grows block by block and in which single rows can be erased."""

import os
import threading
from pathlib import Path
from typing import Self

import numpy as np
from ersgallery_index import IndexRows
from numpy.typing import NDArray

from ersgallery_server.keys import NO_KEYS, KeyRing
from ersgallery_server.snapshots.layout import (
    HEADER_BYTES,
    Block,
    Header,
    SnapshotRefused,
    block_bytes,
    block_offset,
    empty_buffer,
    first_face_id,
    pack_header,
    unpack_header,
)
from ersgallery_server.snapshots.sealed_blocks import BlockSeal

SYNCED_BYTES = 32 << 20
"""So much is written at a time: no commit of the database shall wait for gigabytes that are not on the disk yet."""

Ids = NDArray[np.int64]


class RowFile:
    """An open snapshot, complete or growing; safe for concurrent use.

    Rows that are erased while it grows are also left out of the blocks that come later, for those may have been copied
    before. `revision`: that at which the walk over the index began.
    """

    def __init__(
        self, descriptor: int, revision: int, block_rows: int, dimension: int, seal: BlockSeal | None = None
    ) -> None:
        self._descriptor = descriptor
        self._block_rows = block_rows
        self._dimension = dimension
        self._firsts: list[int] = []
        self._counts: list[int] = []
        self._gone: set[int] = set()
        self._unsynced_bytes = 0
        self._lock = threading.Lock()
        self.revision = revision
        self.seal = seal

    @classmethod
    def create(cls, path: Path, revision: int, block_rows: int, dimension: int, seal: BlockSeal | None = None) -> Self:
        """Make a new file that only its owner may read; raises FileExistsError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return cls(os.open(path, flags, 0o600), revision, block_rows, dimension, seal)

    @classmethod
    def open(cls, path: Path, keys: KeyRing = NO_KEYS) -> tuple[Self, Header]:
        """Open a complete file; raises FileNotFoundError, and SnapshotRefused for a damaged or shortened one.

        One that is not encrypted as a new one would be is refused, too.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            header = _read_header(descriptor)
            seal = BlockSeal.of(header, keys)
            file = cls(descriptor, header.revision, header.block_rows, header.origin.dimension, seal)
            file._counts = [header.rows_of(block) for block in range(header.blocks)]
        except BaseException:
            os.close(descriptor)
            raise
        return file, header

    @property
    def rows(self) -> int:
        """Return the number of rows, the erased ones included."""
        return sum(self._counts)

    @property
    def blocks(self) -> int:
        """Return the number of blocks."""
        return len(self._counts)

    def append(self, rows: IndexRows) -> bool:
        """Write a block of rows by face id, all above those before; False where the file was closed meanwhile.

        Raises ValueError after a block that was not full, and OSError, for instance where the disk is full.
        """
        with self._lock:
            if self._descriptor < 0:
                return False
            if self._counts and self._counts[-1] != self._block_rows:
                raise ValueError("only the last block may be short")
            block = Block.of(rows, np.isin(rows.face_ids, np.fromiter(self._gone, np.int64, len(self._gone))))
            self._write_block(block, len(self._counts))
            self._firsts.append(block.first_face_id)
            self._counts.append(len(rows.face_ids))
            self._unsynced_bytes += len(block.buffer)
            if self._unsynced_bytes >= SYNCED_BYTES:
                self._sync()
            return True

    def erase(self, face_ids: Ids) -> int:
        """Make rows zero and return how many there were, once that is on the disk.

        Raises SnapshotRefused where a block is damaged already, and OSError.
        """
        erased = 0
        with self._lock:
            if self._descriptor < 0:  # another has taken its place, or it was dropped
                return 0
            self._gone.update(face_ids.tolist())
            blocks = np.searchsorted(self._first_face_ids(), face_ids, side="right") - 1
            for number in np.unique(blocks[blocks >= 0]).tolist():
                erased += self._erase_in(number, face_ids[blocks == number])
            if erased:
                _to_disk(self._descriptor)
        return erased

    def read(self, number: int) -> Block:
        """Read a block; raises SnapshotRefused for a damaged one."""
        count = self._counts[number]
        buffer = empty_buffer(block_bytes(count, self._dimension))
        if _read(self._descriptor, buffer, self._offset(number)) != len(buffer):
            raise SnapshotRefused("is cut short")
        block = Block(buffer, count, self._dimension)
        if self.seal is None:
            block.check()
        else:
            self.seal.open(buffer, number)
        return block

    def complete(self, header: Header) -> bool:
        """Write the header and return once all is on the disk; False where the file was closed meanwhile."""
        with self._lock:
            if self._descriptor < 0:
                return False
            _write(self._descriptor, memoryview(pack_header(header)), 0)
            os.fsync(self._descriptor)
            return True

    def close(self) -> None:
        """Close the file; nothing may be asked of it any more."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def _first_face_ids(self) -> Ids:
        """Return the first face id of every block; those of a file that was opened are read when they are needed."""
        for number in range(len(self._firsts), len(self._counts)):
            head = empty_buffer(block_bytes(0, self._dimension))
            _read(self._descriptor, head, self._offset(number))
            self._firsts.append(first_face_id(head))
        return np.array(self._firsts, np.int64)

    def _erase_in(self, number: int, face_ids: Ids) -> int:
        block = self.read(number)
        rows = np.isin(block.face_ids, face_ids) & (block.ers >= 0.0)
        if not rows.any():
            return 0
        block.erase(rows)
        if self.seal is not None:  # under another nonce, all of the block is another
            self._write_block(block, number)
            return int(np.count_nonzero(rows))
        offset = self._offset(number)
        for row in np.flatnonzero(rows).tolist():
            for start, piece in block.pieces(row):
                _write(self._descriptor, piece, offset + start)
        _write(self._descriptor, block.head, offset)
        return int(np.count_nonzero(rows))

    def _write_block(self, block: Block, number: int) -> None:
        written = block.buffer if self.seal is None else self.seal.close(block.buffer, number)
        _write(self._descriptor, written, self._offset(number))

    def _sync(self) -> None:
        """Bring what was written to the disk and out of the cache, where the next start alone needs it."""
        _to_disk(self._descriptor)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        self._unsynced_bytes = 0

    def _offset(self, number: int) -> int:
        return block_offset(number, self._block_rows, self._dimension)


def _read_header(descriptor: int) -> Header:
    header = unpack_header(os.pread(descriptor, HEADER_BYTES, 0))
    if os.fstat(descriptor).st_size != header.file_bytes:
        raise SnapshotRefused("is cut short")
    return header


def _write(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _to_disk(descriptor: int) -> None:
    """Bring what was written to the disk; systems without a call for the data alone write all."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def _read(descriptor: int, view: memoryview, offset: int) -> int:
    read = 0
    while read < len(view) and (more := os.preadv(descriptor, [view[read:]], offset + read)):
        read += more
    return read
