"""Fixtures for tests that run with both clients; the asyncio one is driven from another thread."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
from ersgallery_client import AsyncGalleryClient, GalleryClient, RetryPolicy

from tests.support.clients import Driven, MakeClient

# Short waits, so that repetitions do not make the tests slow.
QUICK = RetryPolicy(attempts=4, stream_attempts=4, initial_backoff_s=0.01, max_backoff_s=0.02)


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(params=["blocking", "asyncio"])
def make_client(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Iterator[MakeClient]:
    """Give what makes a client of either kind and closes it after the test."""
    made: list[GalleryClient] = []

    def make(address: str, **options: Any) -> GalleryClient:
        options.setdefault("retry", QUICK)
        if request.param == "blocking":
            client = GalleryClient(address, **options)
        else:
            client = cast("GalleryClient", Driven(AsyncGalleryClient(address, **options), loop))
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
