"""The text of a token: `ersg_` and 16 hex digits that find it, then 256 random bits that nobody can guess."""

import hashlib
import re
import secrets

PREFIX = "ersg_"
"""By it a scanner of repositories and logs recognizes a token that got where it must not be."""

_ID_BYTES = 8
_SECRET_BYTES = 32
_FORM = re.compile(rf"{PREFIX}([0-9a-f]{{{2 * _ID_BYTES}}})_[A-Za-z0-9_-]{{43}}")


def new_token() -> tuple[str, str]:
    """Return a new token's id and its whole text, which is not kept anywhere."""
    token_id = secrets.token_hex(_ID_BYTES)
    return token_id, f"{PREFIX}{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def id_of(text: str) -> str | None:
    """Return the id in the text of a token; None for a text that is none."""
    found = _FORM.fullmatch(text)
    return found[1] if found else None


def digest_of(text: str) -> bytes:
    """Return what is stored of a token, SHA-256: no slow hash is needed where nobody can try 2**256 texts."""
    return hashlib.sha256(text.encode()).digest()
