"""Bytes at the port that are no HTTP/2: before the preface, after it, and frames that make no sense."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from tests.fuzz.case import Case
from tests.fuzz.damage import damage
from tests.fuzz.world import World, running_world

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
READ_S = 0.05
CHECKED_EVERY = 20
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
_PATH = b"/ersgallery.v1.GalleryService/ListGalleries"
REQUEST = (  # POST, http, a path, an authority, and two headers, without Huffman's code
    b"\x83\x86\x44" + bytes([len(_PATH)]) + _PATH + b"\x41\x01x\x5f\x10application/grpc\x40\x02te\x08trailers"
)
_OTHERS = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /ersgallery.v1.GalleryService/ListGalleries HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32), b"SSH-2.0-x\r\n", b"\0" * 64,
)  # fmt: skip


class Http2Attack:
    """Writes to the port of a server, one connection for each case."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._checked = 0
        host, _, port = world.server.address.rpartition(":")
        self._address = (host, int(port))

    def draw(self, rng: Random) -> Case:
        """Return what is written on one connection."""
        match rng.randrange(6):
            case 0:
                return Case("noise", rng.randbytes(rng.choice((1, 24, 1000, 70_000))))
            case 1:
                return Case("other-protocol", damage(rng, rng.choice(_OTHERS), most=2))
            case 2:
                return Case("preface", damage(rng, PREFACE + frame(SETTINGS, 0, 0, b""), most=2))
            case 3:
                return Case("after-preface", PREFACE + rng.randbytes(rng.choice((9, 100, 20_000))))
            case _:
                frames = b"".join(_draw_frame(rng) for _ in range(rng.choice((1, 3, 10, 300))))
                sent = PREFACE + frame(SETTINGS, 0, 0, b"") + frames
                return Case("frames", damage(rng, sent, most=2) if rng.random() < 0.3 else sent)

    def check(self, case: Case) -> str:
        """Write it, read what comes at once, go away; now and then see whether others are still served."""
        outcome = "closed"
        try:
            with socket.create_connection(self._address, timeout=10) as connection:
                with suppress(ConnectionError):
                    connection.sendall(case.data)
                    connection.settimeout(READ_S)
                    with suppress(TimeoutError):
                        while connection.recv(65_536):
                            pass
                    outcome = "answered or ignored"
        except OSError:
            outcome = "not taken"
        self._world.check_alive()
        self._checked += 1
        self._world.watch.count()
        if self._checked % CHECKED_EVERY == 0:
            self._world.canary.check()
        return f"{case.kind} {outcome}"

    def settle(self) -> None:
        """Check that the server answers others as at the start and holds no more."""
        self._world.check_alive()
        self._world.canary.check()
        self._world.watch.check()


def frame(kind: int, flags: int, stream: int, body: bytes, claimed: int | None = None) -> bytes:
    """Return a frame, whose length is claimed to be another where one is given."""
    length = len(body) if claimed is None else claimed
    return struct.pack(">I", length & 0xFFFFFF)[1:] + struct.pack(">BBI", kind & 255, flags & 255, stream) + body


def _draw_frame(rng: Random) -> bytes:  # noqa: PLR0911 - one for each kind of frame
    """Return frames: a sound request, resets, settings, pings, windows of all sizes, or what is none of them."""
    stream = rng.choice((0, 1, 1, 3, 5, 2, 0x7FFFFFFF, 0x80000001))
    flags = rng.choice((0, 1, 4, 5, 0x24, 0xFF))
    match rng.randrange(10):
        case 0:
            return frame(HEADERS, 5, stream, REQUEST)
        case 1:
            return frame(HEADERS, flags, stream, damage(rng, REQUEST, most=2))
        case 2:  # headers that never end
            return frame(HEADERS, 0, stream, REQUEST) + frame(
                CONTINUATION, 0, stream, b"\x40\x01a\x7f\xff\x7f" * 50
            ) * rng.choice((1, 50))
        case 3:  # opened and taken back
            return b"".join(
                frame(HEADERS, 4, 2 * n + 1, REQUEST) + frame(RESET, 0, 2 * n + 1, bytes(4)) for n in range(50)
            )
        case 4:
            pairs = [
                struct.pack(
                    ">HI", rng.choice((1, 2, 3, 4, 5, 6, 99)), rng.choice((0, 1, 16383, 1 << 31, (1 << 32) - 1))
                )
                for _ in range(rng.choice((1, 8, 500)))
            ]
            return frame(SETTINGS, rng.choice((0, 0, 1)), 0, b"".join(pairs)[: rng.choice((5, 6, 4000))])
        case 5:
            return frame(PING, 0, 0, bytes(rng.choice((8, 8, 7, 0)))) * rng.choice((1, 1000))
        case 6:
            return frame(WINDOW, 0, stream, struct.pack(">I", rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF))))
        case 7:
            message = b"\0" + struct.pack(">I", rng.choice((0, 5, 1 << 31, (1 << 32) - 1))) + rng.randbytes(5)
            return frame(HEADERS, 4, 1, REQUEST) + frame(
                DATA, rng.choice((0, 1, 8)), 1, rng.choice((message, b"\1" + message, message * 9))
            )
        case 8:
            return frame(
                rng.choice((PRIORITY, PUSH, GOAWAY, 10, 255)),
                flags,
                stream,
                rng.randbytes(rng.choice((0, 4, 5, 8, 60))),
            )
        case _:
            return frame(
                rng.randrange(12), flags, stream, rng.randbytes(20), claimed=rng.choice((0, 1, 16384, 16385, 0xFFFFFF))
            )


@contextmanager
def opened(folder: Path) -> Iterator[Http2Attack]:
    """Start the server."""
    with running_world(folder, None) as world:
        yield Http2Attack(world)
