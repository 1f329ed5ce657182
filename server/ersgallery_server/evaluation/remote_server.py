"""Where a running server is, and how it is reached: encrypted or not, with a token or without."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import grpc


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """An address HOST:PORT; authorities: PEM of those that its certificate is trusted for, None for no TLS."""

    address: str
    authorities: bytes | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def channel(self) -> grpc.Channel:
        """Open a channel whose calls carry the token."""
        if self.authorities is None:
            channel = grpc.insecure_channel(self.address)
        else:
            channel = grpc.secure_channel(self.address, grpc.ssl_channel_credentials(self.authorities))
        return channel if self.token is None else grpc.intercept_channel(channel, _WithToken(self.token))


class _WithToken(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        """Send the token along."""
        details = client_call_details
        metadata = [*(details.metadata or ()), self._header]
        return continuation(_Details(details.method, details.timeout, metadata, details.credentials), request)


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: list[tuple[str, str]]
    credentials: Any
    wait_for_ready: bool | None = None
    compression: Any = None
