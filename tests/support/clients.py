"""An AsyncGalleryClient that can be used like a GalleryClient, so that one test serves both."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Self, cast

from click.testing import Result
from ersgallery_client import AsyncGalleryClient, GalleryClient

MakeClient = Callable[..., GalleryClient]
Invoke = Callable[..., Result]


class Driven:
    """Makes an AsyncGalleryClient look like a GalleryClient."""

    def __init__(self, client: AsyncGalleryClient, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        return attribute if not callable(attribute) else lambda *args, **kwargs: self._drive(attribute, args, kwargs)

    def __enter__(self) -> Self:
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
