"""A TCP proxy that can cut all its connections, as a bad network does."""

import socket
import threading
from contextlib import suppress

_CHUNK_BYTES = 65536


class Proxy:
    """Listens on a free port and passes everything on to a server.

    limits_bytes: each cuts a connection after so many. silent: while it is set, nothing comes back from the server.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.limits_bytes: list[int] = []
        self.silent = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                far = socket.create_connection(self._target)
                limit = self.limits_bytes.pop(0) if self.limits_bytes else None
                for arguments in ((near, far, limit, threading.Event()), (far, near, None, self.silent)):
                    threading.Thread(target=_copy, args=arguments, daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket, limit_bytes: int | None, silent: threading.Event) -> None:
    passed = 0
    with suppress(OSError):
        while data := source.recv(_CHUNK_BYTES):
            passed += len(data)
            if limit_bytes is not None and passed > limit_bytes:
                break
            if not silent.is_set():
                sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
