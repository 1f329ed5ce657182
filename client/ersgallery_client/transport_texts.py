"""What gRPC itself says in words alone: sizes that are too large, and connections that do not come about.

Neither side's code is reached then, so there is no reason to read. A text that is not known here, as a later gRPC may
have it, leaves the error of its code.
"""

import re
from typing import Final

from ersgallery_client.errors import GalleryError, HandshakeFailed, MessageTooLarge, ServerUnreachable

_TOO_LARGE: Final = re.compile(r"(SERVER: |CLIENT: )?(Received|Sent) message larger than max \((\d+) vs\. (\d+)\)")
_UNVERIFIED: Final = re.compile(r"CERTIFICATE_VERIFY_FAILED(?:: (?P<why>[a-z -]+))?")
_HANDSHAKES: Final = {
    re.compile(
        r"WRONG_VERSION_NUMBER"
    ): "the server does not speak TLS: connect without it (no tls, no --tls options), "
    "or start the server with --tls-cert and --tls-key",
    re.compile(r"Hostname Verification Check failed|Peer name \S+ is not in peer certificate"): "the server's "
    "certificate is for another name than the address: connect to the name that it has, or give that name "
    "(server_name, --tls-server-name)",
    re.compile(r"failed to connect.*(Socket closed|Connection reset|Broken pipe)", re.DOTALL): "the server closed the "
    "connection at once: it may speak TLS (tls, --tls), want a certificate of the client that it accepts "
    "(cert and key, --tls-cert and --tls-key), or have as many connections as it takes",
}


def error_from_text(code: str, text: str) -> GalleryError | None:
    """Return the error that a text of gRPC's means, None for every other."""
    if code == "RESOURCE_EXHAUSTED" and (found := _TOO_LARGE.search(text)):
        return _too_large(code, found)
    if code == "CANCELLED" and text in {"", "CANCELLED"}:
        # Whoever cancels a call here gets other words: the server reset it, as one does that stops before it took it.
        return ServerUnreachable("the server broke the call off", code=code)
    if code != "UNAVAILABLE":
        return None
    if found := _UNVERIFIED.search(text):
        why = found["why"] or "it cannot be verified"
        return HandshakeFailed(
            f"the server's certificate is not accepted ({why}): give the authority that signed it (ca, --tls-ca)",
            code=code,
        )
    advice = next((advice for pattern, advice in _HANDSHAKES.items() if pattern.search(text)), None)
    return None if advice is None else HandshakeFailed(advice, code=code)


def _too_large(code: str, found: re.Match[str]) -> MessageTooLarge:
    side, way, size_bytes, limit_bytes = found.groups()
    what = "the request" if (side == "SERVER: ") == (way == "Received") else "the answer"
    whose = "server" if side == "SERVER: " else "client"
    return MessageTooLarge(
        f"{what} has {size_bytes} bytes; the {whose}'s limit is {limit_bytes}: send or ask for less at a time, "
        "or raise it (server: --max-message-mib, client: Limits.max_message_bytes)",
        code=code,
        metadata={"bytes": size_bytes, "limit_bytes": limit_bytes, "whose": whose},
    )
