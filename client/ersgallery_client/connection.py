"""Where the server is, and the gRPC channel to it, opened at the first call."""

import ipaddress
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import grpc

from ersgallery_client.errors import ClientClosed
from ersgallery_client.options import Options, TlsOptions
from ersgallery_client.rpcs import Rpc

DEFAULT_ADDRESS = "127.0.0.1:50061"

ChannelT = TypeVar("ChannelT")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address with what is needed to open a channel to it."""

    address: str
    credentials: grpc.ChannelCredentials | None
    arguments: list[tuple[str, int | str]]
    token: str | None = field(default=None, repr=False)


def endpoint(
    address: str,
    tls: TlsOptions | None,
    credentials: grpc.ChannelCredentials | None,
    options: Options,
    *,
    token: str | None = None,
    allow_insecure: bool = False,
) -> Endpoint:
    """Read the certificates, if any.

    Raises ValueError where both tls and credentials are given, for a token that is none, and for one that others could
    read on its way unless allow_insecure; and OSError.
    """
    _check_token(token, address, safe=allow_insecure or tls is not None or credentials is not None)
    if tls is not None and credentials is not None:
        raise ValueError("give tls or credentials, not both")
    arguments: list[tuple[str, int | str]] = [*options.channel_arguments()]
    if tls is not None:
        credentials = tls.credentials()
        arguments += tls.channel_arguments()
    return Endpoint(address, credentials, arguments, token)


def _check_token(token: str | None, address: str, *, safe: bool) -> None:
    """Raise ValueError, without the token in its text."""
    if token is None:
        return
    if not re.fullmatch(r"[!-~]+", token):
        raise ValueError("a token has no spaces and nothing that is not ASCII")
    if not (safe or _is_local(address)):
        raise ValueError(
            f"the token would go to {address} unencrypted, where others could read it: give tls=TlsOptions(), or say "
            "allow_insecure=True"
        )


def _is_local(address: str) -> bool:
    """Tell whether a gRPC target is on this machine; a name other than localhost is taken not to be."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = re.sub(r"^(dns:///|ipv4:|ipv6:)", "", address)
    host = host.rpartition(":")[0].strip("[]") or host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Connection(Generic[ChannelT]):
    """A channel opened at the first call, shared by a client and its copies; safe to use from several threads.

    insecure, secure: `grpc.insecure_channel` and `grpc.secure_channel`, or those of `grpc.aio`.
    """

    def __init__(self, place: Endpoint, *, insecure: Callable[..., ChannelT], secure: Callable[..., ChannelT]) -> None:
        self._place = place
        self._insecure = insecure
        self._secure = secure
        self._metadata = () if place.token is None else (("authorization", f"Bearer {place.token}"),)
        self._lock = threading.Lock()
        self._channel: ChannelT | None = None
        self._callables: dict[str, Any] = {}
        self.closed = False
        self.answered = False
        """Whether a call over it had an answer."""

    def unary(self, rpc: Rpc[Any, Any]) -> Any:
        """Return what makes this unary RPC, from bytes to bytes; raises ClientClosed."""
        return self._callable(rpc, "unary_unary")

    def stream(self, rpc: Rpc[Any, Any]) -> Any:
        """Return what opens this bidirectional stream, from bytes to bytes; raises ClientClosed."""
        return self._callable(rpc, "stream_stream")

    def take_channel(self) -> ChannelT | None:
        """Refuse further calls and return the channel, if there is one, to be closed."""
        with self._lock:
            self.closed = True
            channel, self._channel = self._channel, None
            self._callables.clear()
        return channel

    def _callable(self, rpc: Rpc[Any, Any], arity: str) -> Any:
        with self._lock:
            if self.closed:
                raise ClientClosed("the client is closed")
            if self._channel is None:
                self._channel = self._open()
            if rpc.path not in self._callables:
                made = getattr(self._channel, arity)(rpc.path)
                self._callables[rpc.path] = partial(made, metadata=self._metadata) if self._metadata else made
            return self._callables[rpc.path]

    def _open(self) -> ChannelT:
        place = self._place
        if place.credentials is None:
            return self._insecure(place.address, options=place.arguments)
        return self._secure(place.address, place.credentials, options=place.arguments)
