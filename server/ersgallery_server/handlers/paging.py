"""Page sizes and page tokens. A token is bound to its list, so that one of another list is refused."""

import base64
import binascii

from ersgallery_server.errors import InvalidRequest, PageTokenInvalid

DEFAULT_PAGE = 50
MAX_PAGE = 1000


def page_size(requested: int) -> int:
    """Return how many items a page has; raises InvalidRequest out of 0..1000."""
    if not 0 <= requested <= MAX_PAGE:
        raise InvalidRequest.field("page_size", f"must lie in 0..{MAX_PAGE}")
    return requested or DEFAULT_PAGE


def page_token(listing: str, next_key: str | None) -> str:
    """Return the token of the page that follows a key, "" at the end."""
    if next_key is None:
        return ""
    return base64.urlsafe_b64encode(f"{listing}\n{next_key}".encode()).decode()


def page_key(listing: str, token: str) -> str | None:
    """Return the key a token stands for, None for the first page; raises PageTokenInvalid."""
    if not token:
        return None
    try:
        owner, newline, key = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode().partition("\n")
    except (binascii.Error, UnicodeError):
        raise PageTokenInvalid from None
    if owner != listing or not newline:
        raise PageTokenInvalid
    return key
