"""Callers who send nothing, half a message, or read nothing: what others notice of them, and what they cost."""

import socket
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_client import GalleryClient

from tests.fuzz.http2 import DATA, HEADERS, PREFACE, SETTINGS, frame
from tests.load.broken import require
from tests.load.gallery import GALLERY, make_gallery
from tests.load.process import LoadedServer
from tests.support.requests import matrix

COUNT = 1_000
CALLS = 100
RSS_MIB = 512.0
THREADS = 20
"""May come on top of those of a server whose threads have all been used: one for each stream that reads ahead."""

_HALF = b"\0" + (1 << 20).to_bytes(4, "big") + b"half"
"""The first bytes of a message of a MiB."""


def slow(folder: Path, *, connections: int = 1000, streams: int = 16, halves: int = 80) -> dict[str, Any]:
    """Measure what unary callers notice of idle connections, unread and idle streams and halves of messages.

    By default as many of each as the server takes. Raises Broken.
    """
    with _server(folder / "data", streams) as server, GalleryClient(server.address) as client:
        rows = make_gallery(client, COUNT)
        alone_s = [_latencies(client, rows), _latencies(client, rows)][1]
        before = server.vitals()
        with ExitStack() as opened:
            for _ in range(connections):
                opened.enter_context(_connect(server)).sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
            idle_s = _latencies(client, rows)
            channel = opened.enter_context(grpc.insecure_channel(server.address))
            unread = [_unread(channel, rows) for _ in range(streams)]
            unread_s = _latencies(client, rows)
            waiting_s = _wait_for_stream(client, rows)
            for _ in range(4):
                opened.enter_context(_connect(server)).sendall(_halves(halves // 4))
            begun_s = time.monotonic()
            halves_s = _latencies(client, rows)
            halves_first_s = halves_s[0]
            during = server.vitals()
            for stream in unread:
                stream.cancel()
        figures = {
            "median_ms": {
                name: round(1000 * statistics.median(values), 2)
                for name, values in (
                    ("alone", alone_s),
                    ("beside idle connections", idle_s),
                    ("beside unread streams", unread_s),
                    ("beside halves of messages", halves_s),
                )
            },
            "first_beside_halves_s": round(halves_first_s, 2),
            "all_beside_halves_s": round(time.monotonic() - begun_s, 2),
            "stream_found_a_place_after_s": round(waiting_s, 2),
            "rss_mib": [round(before.rss_mib, 1), round(during.rss_mib, 1)],
            "threads": [before.threads, during.threads],
        }
        _check(figures)
        return figures


def _server(folder: Path, streams: int) -> LoadedServer:
    return LoadedServer(folder, "--stream-idle-s", "2", "--max-streams", str(streams))


def _latencies(client: GalleryClient, rows: Any) -> list[float]:
    taken_s = []
    for number in range(CALLS):
        begun_s = time.monotonic()
        client.identify(GALLERY, rows[number])
        taken_s.append(time.monotonic() - begun_s)
    return taken_s


def _connect(server: LoadedServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def _halves(count: int) -> bytes:
    """Return the frames of calls whose messages stop after their first bytes."""
    path = b"/ersgallery.v1.IdentificationService/Identify"
    headers = b"\x83\x86\x44" + bytes([len(path)]) + path + b"\x41\x01x\x5f\x10application/grpc\x40\x02te\x08trailers"
    calls = (
        frame(HEADERS, 4, 2 * number + 1, headers) + frame(DATA, 0, 2 * number + 1, _HALF) for number in range(count)
    )
    return PREFACE + frame(SETTINGS, 0, 0, b"") + b"".join(calls)


def _unread(channel: grpc.Channel, rows: Any) -> Any:
    """Open a stream that asks for more than its connection holds, and read nothing of it."""
    policy = pb.SearchPolicy(max_candidates=100)
    batch = pb.BatchIdentifyRequest(gallery=f"galleries/{GALLERY}", matrix=matrix(rows[:500]), policy=policy)
    requests = (pb.StreamIdentifyRequest(sequence=n, batch=batch) for n in range(50))
    return channel.stream_stream(
        "/ersgallery.v1.IdentificationService/StreamIdentify",
        request_serializer=pb.StreamIdentifyRequest.SerializeToString,
    )(requests)


def _wait_for_stream(client: GalleryClient, rows: Any) -> float:
    """Return how long a stream is refused, repeated by the client, until one that is not read gives way."""
    begun_s = time.monotonic()
    batches = list(client.identify_stream(GALLERY, [np.asarray(rows[:2])]))
    require(len(batches) == 1, "a stream is answered")
    return time.monotonic() - begun_s


def _check(figures: dict[str, Any]) -> None:
    alone_ms, *others_ms = figures["median_ms"].values()
    require(all(ms <= 5 * alone_ms + 20 for ms in others_ms), "the others notice little", figures)
    require(figures["rss_mib"][1] <= figures["rss_mib"][0] + RSS_MIB, "memory is bounded", figures)
    require(figures["threads"][1] <= max(figures["threads"][0], 80 + 40) + THREADS, "threads are bounded", figures)
    require(figures["stream_found_a_place_after_s"] < 30, "streams that do not read give way", figures)
    require(figures["first_beside_halves_s"] < 10, "messages that do not come keep no thread for long", figures)
