"""The same tests for both clients: the asyncio one is driven from a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, cast

import pytest

from ersgallery_client import AsyncGalleryClient, GalleryClient, RetryPolicy
from tests.support.wire_server import WireServer

# Short waits, so that repetitions do not make the tests slow.
QUICK = RetryPolicy(attempts=4, initial_backoff_s=0.01, max_backoff_s=0.02)

MakeClient = Callable[..., GalleryClient]


class Driven:
    """Makes an AsyncGalleryClient look like a GalleryClient."""

    def __init__(self, client: AsyncGalleryClient, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        return attribute if not callable(attribute) else lambda *args, **kwargs: self._drive(attribute, args, kwargs)

    def __enter__(self) -> "Driven":
        self._wait(self._client.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._wait(self._client.__aexit__(None, None, None))

    def _drive(self, method: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        if asyncio.iscoroutine(result):
            return self._wait(result)
        if isinstance(result, AsyncIterator):
            return self._iterate(result)
        return Driven(result, self._loop) if isinstance(result, AsyncGalleryClient) else result

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        async def advance() -> tuple[Any, ...]:
            try:
                return (await anext(items),)
            except StopAsyncIteration:
                return ()

        try:
            while item := self._wait(advance()):
                yield item[0]
        finally:
            self._wait(cast("Any", items).aclose())


@pytest.fixture
def wire() -> Iterator[WireServer]:
    server = WireServer()
    yield server
    server.stop()


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


@pytest.fixture
def client(make_client: MakeClient, wire: WireServer) -> GalleryClient:
    """Give a client of either kind, connected to the wire server."""
    return make_client(wire.address)
