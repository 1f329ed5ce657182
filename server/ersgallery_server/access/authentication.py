"""Finds out who calls."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from ersgallery_server.access.directory import TokenDirectory
from ersgallery_server.call import Behavior, Call
from ersgallery_server.errors import Unauthenticated
from ersgallery_server.grants import TokenRecord

Metadata = Iterable[tuple[str, str | bytes]]

_KEY = "authorization"
_SCHEME = "bearer"


class Authentication:
    """Gives every call the name and the grant of its token.

    A token that is sent must be valid also where none is required.
    """

    def __init__(self, directory: TokenDirectory, *, required: bool) -> None:
        self._directory = directory
        self._required = required
        self._streams: dict[int, Call] = {}
        self._lock = threading.Lock()
        directory.looked = self.end_streams

    def identify(self, metadata: Metadata) -> TokenRecord | None:
        """Return the token that came with a call, None where none came and none is required; else Unauthenticated."""
        sent = [value for key, value in metadata if key == _KEY]
        if not sent and not self._required:
            return None
        record = self._directory.find(_token(sent[0])) if len(sent) == 1 else None
        if record is None:
            raise Unauthenticated
        return record

    def around(self, method: MethodDescriptor, behavior: Behavior) -> Behavior:
        """Return what serves a method once it is known who calls; a stream's requests are asked each."""
        if method.client_streaming:
            return lambda requests, call: self._stream(behavior, requests, call)
        return lambda request, call: behavior(request, self._known(call))

    def end_streams(self) -> None:
        """Hang up on open streams whose tokens are no longer valid: an idle one would keep its thread for ever."""
        with self._lock:
            streams = list(self._streams.values())
        for call in streams:
            try:
                self.identify(call.metadata)
            except Unauthenticated:
                call.hang_up()

    def _stream(self, behavior: Behavior, requests: Iterable[Any], call: Call) -> Iterator[Any]:
        known = self._known(call)
        with self._lock:
            self._streams[id(call)] = call
        try:
            yield from behavior(self._each(requests, call), known)
        finally:
            with self._lock:
                del self._streams[id(call)]

    def _known(self, call: Call) -> Call:
        record = self.identify(call.metadata)
        return call if record is None else replace(call, caller=record.name, grant=record.grant)

    def _each(self, requests: Iterable[Any], call: Call) -> Iterator[Any]:
        for request in requests:
            self.identify(call.metadata)
            yield request


def _token(value: str | bytes) -> str:
    scheme, _, token = str(value).partition(" ")
    return token.strip() if scheme.lower() == _SCHEME else ""
