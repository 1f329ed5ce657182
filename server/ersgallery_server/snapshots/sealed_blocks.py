"""Blocks of an encrypted snapshot: the columns under a key of the file's own, bound to the block's place and head."""

import os
import struct
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ersgallery_server.keys import NONCE_BYTES, TAG_BYTES, KeyRing
from ersgallery_server.snapshots.layout import Header, SnapshotRefused, block_bytes, pack_head, unpack_head

HEAD_BYTES = block_bytes(0, 0)
SALT_BYTES = 32

_CONTEXT = struct.Struct("<qIqq")


@dataclass(frozen=True, slots=True, eq=False)
class BlockSeal:
    """Encrypts and decrypts the blocks of one file, whose key comes from a server's key and the file's salt."""

    key_id: str
    salt: str
    _cipher: AESGCM = field(repr=False)

    @classmethod
    def new(cls, keys: KeyRing) -> Self | None:
        """Return the seal of a new file; None where nothing is to be encrypted."""
        if keys.current is None:
            return None
        salt = os.urandom(SALT_BYTES)
        return cls(keys.current.key_id, salt.hex(), keys.current.cipher("snapshot", salt))

    @classmethod
    def of(cls, header: Header, keys: KeyRing) -> Self | None:
        """Return the seal of a file; raises SnapshotRefused unless it is encrypted as new ones are."""
        key_id = "" if keys.current is None else keys.current.key_id
        if header.key_id != key_id:
            raise SnapshotRefused("is encrypted under another key" if key_id and header.key_id else _other(key_id))
        if keys.current is None:
            return None
        return cls(key_id, header.salt, keys.current.cipher("snapshot", bytes.fromhex(header.salt)))

    def close(self, block: memoryview, number: int) -> memoryview:
        """Return a block encrypted, in memory of its own."""
        rows, ends, _, _ = unpack_head(block)
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, block[HEAD_BYTES:], _CONTEXT.pack(number, rows, *ends))
        head = pack_head(rows, ends, nonce, sealed[-TAG_BYTES:])
        return memoryview(head + sealed[:-TAG_BYTES])

    def open(self, block: memoryview, number: int) -> None:
        """Decrypt a block in its place; raises SnapshotRefused."""
        rows, ends, nonce, tag = unpack_head(block)
        try:
            columns = self._cipher.decrypt(nonce, bytes(block[HEAD_BYTES:]) + tag, _CONTEXT.pack(number, rows, *ends))
        except InvalidTag:
            raise SnapshotRefused("has a damaged block") from None
        block[HEAD_BYTES:] = columns


def _other(key_id: str) -> str:
    return "is not encrypted" if key_id else "is encrypted"
