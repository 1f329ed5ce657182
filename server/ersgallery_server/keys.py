"""The keys that embeddings and photographs are encrypted under at rest: AES-256-GCM.

A sealed content is 4 bytes magic, 16 bytes key id, 12 bytes nonce, the ciphertext and its tag of 16 bytes. The magic
begins nothing that is stored plainly: it is NaN as a float32, and no photograph begins with a zero.

Each purpose has a key of its own, derived by HKDF, and every sealing a random nonce of 96 bits. NIST SP 800-38D allows
2^32 of them for one key; a face is sealed once, so that is four billion enrolments between two rotations.
"""

import base64
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ENVIRONMENT = "ERSGALLERY_ENCRYPTION_KEYS"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

MAGIC = b"\x00E\xff\x7f"
ID_BYTES = 16
PREFIX_BYTES = len(MAGIC) + ID_BYTES
OVERHEAD_BYTES = PREFIX_BYTES + NONCE_BYTES + TAG_BYTES

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,15}")


class KeyProblem(Exception):
    """Something is wrong with a key; the text never has one, only its id."""


class KeysUnusable(KeyProblem):
    """Keys were given in a way that cannot be used."""


class KeyMissing(KeyProblem):
    """Something is encrypted under a key that was not given."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"the database is encrypted under the key {key_id!r}, which was not given: see --encryption-key-file"
        )


class KeyWrong(KeyProblem):
    """A key has the id of another one."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key {key_id!r} that was given is not the one that the database is encrypted under")


class SealBroken(KeyProblem):
    """A sealed content is not what was sealed, or not at the place for which it was."""

    def __init__(self, key_id: str, what: str) -> None:
        super().__init__(
            f"{what} does not open with the key {key_id!r}: it was changed or moved, or the key is another"
        )
        self.key_id = key_id


@dataclass(frozen=True, slots=True)
class Key:
    """A key of 32 random bytes with its id, 1 to 16 characters of a-z, 0-9, ".", "_" and "-"."""

    key_id: str
    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key of `ID:BASE64`; raises KeysUnusable."""
        key_id, _, encoded = text.strip().partition(":")
        if not _ID.fullmatch(key_id):
            raise KeysUnusable(
                "a key is written ID:BASE64, with an id of 1 to 16 characters a-z, 0-9, '.', '_' and '-'"
            )
        try:
            secret = base64.b64decode(encoded.strip(), validate=True)
        except ValueError:
            secret = b""
        if len(secret) != KEY_BYTES:
            raise KeysUnusable(f"the key {key_id!r} is not {KEY_BYTES} bytes in base64")
        return cls(key_id, secret)

    @classmethod
    def generate(cls, key_id: str) -> Self:
        """Return a new key; raises KeysUnusable for an impossible id."""
        return cls.parse(f"{key_id}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}")

    @property
    def text(self) -> str:
        """Return the key as it is written in a file."""
        return f"{self.key_id}:{base64.b64encode(self.secret).decode()}"

    @property
    def prefix(self) -> bytes:
        """Return what every content begins with that is sealed under it."""
        return MAGIC + self.key_id.encode().ljust(ID_BYTES, b"\0")

    def cipher(self, purpose: str, salt: bytes = b"") -> AESGCM:
        """Return the cipher of one purpose."""
        return _cipher(self.secret, purpose, salt)


class KeyRing:
    """Keys by id: the first seals, all open; without any nothing is sealed."""

    def __init__(self, keys: Sequence[Key] = ()) -> None:
        """Keep keys; raises KeysUnusable where two have one id."""
        self._keys = {key.key_id: key for key in keys}
        if len(self._keys) != len(keys):
            raise KeysUnusable("two keys have the same id")
        self.current = keys[0] if keys else None

    def __repr__(self) -> str:
        return f"KeyRing({list(self._keys)})"

    def without_sealing(self) -> "KeyRing":
        """Return a ring that opens what these keys seal, and seals nothing."""
        ring = KeyRing(list(self._keys.values()))
        ring.current = None
        return ring

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the keys of lines, or of a list with commas; raises KeysUnusable."""
        lines = (line.strip() for line in text.replace(",", "\n").splitlines())
        return cls([Key.parse(line) for line in lines if line and not line.startswith("#")])

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Read a file that nobody but its owner may read; raises KeysUnusable and OSError."""
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise KeysUnusable(f"{path} can be read by others than its owner; chmod 600 it")
        try:
            ring = cls.parse(path.read_text(encoding="utf-8"))
        except UnicodeError:  # whose text would show some of the file
            raise KeysUnusable(f"{path} is no text in UTF-8") from None
        if ring.current is None:
            raise KeysUnusable(f"{path} has no key")
        return ring

    def key(self, key_id: str) -> Key:
        """Return a key; raises KeyMissing."""
        found = self._keys.get(key_id)
        if found is None:
            raise KeyMissing(key_id)
        return found

    def seal(self, purpose: str, contexts: Iterable[bytes], contents: Sequence[bytes]) -> list[bytes]:
        """Encrypt contents, each bound to its context: it opens with no other."""
        if self.current is None:
            return list(contents)
        prefix, encrypt = self.current.prefix, self.current.cipher(purpose).encrypt
        random = os.urandom(NONCE_BYTES * len(contents))
        nonces = (random[start : start + NONCE_BYTES] for start in range(0, len(random), NONCE_BYTES))
        return [
            prefix + nonce + encrypt(nonce, content, context)
            for nonce, context, content in zip(nonces, contexts, contents, strict=True)
        ]

    def open(self, purpose: str, contexts: Iterable[bytes], stored: Sequence[bytes]) -> list[bytes]:
        """Decrypt what is sealed and return the rest as it is; raises KeyMissing and SealBroken."""
        return [
            content if content[:4] != MAGIC else self._open(purpose, context, content)
            for context, content in zip(contexts, stored, strict=True)
        ]

    def _open(self, purpose: str, context: bytes, sealed: bytes) -> bytes:
        key_id = sealing_key_id(sealed)
        nonce = sealed[PREFIX_BYTES : PREFIX_BYTES + NONCE_BYTES]
        try:
            return self.key(key_id).cipher(purpose).decrypt(nonce, sealed[PREFIX_BYTES + NONCE_BYTES :], context)
        except InvalidTag:
            raise SealBroken(key_id, "a stored row") from None


NO_KEYS = KeyRing()


def sealing_key_id(sealed: bytes) -> str:
    """Return the id of the key that something is sealed under."""
    return sealed[len(MAGIC) : PREFIX_BYTES].rstrip(b"\0").decode("ascii", "replace")


@cache
def _cipher(secret: bytes, purpose: str, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt or None, f"ersgallery {purpose}".encode()).derive(secret))
