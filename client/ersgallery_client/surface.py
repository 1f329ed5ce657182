"""Decorators that give one description of a call to both clients.

A method under `@Unary` or `@Paged` only describes its call: it returns a Call, a Plan or a Paging. The client that has
the method runs it: `GalleryClient.identify(...)` gives an Identification, `AsyncGalleryClient.identify(...)` is awaited
for one; a paged list is iterated with `for` or with `async for`.
"""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, overload

from ersgallery_client.awaiting import AsyncTransport
from ersgallery_client.blocking import BlockingTransport
from ersgallery_client.call import Call, Paging, Plan, T
from ersgallery_client.options import Options

P = ParamSpec("P")


class Calls:
    """Base of the descriptions: what they may look at in the client that runs them."""

    options: Options


class Unary(Generic[P, T]):
    """Makes a method that describes a call into one that makes it."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[T] | Plan[T]]) -> None:
        self._describe = describe

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Call[T] | Plan[T]]: ...

    @overload
    def __get__(self, client: BlockingTransport, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: AsyncTransport, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: BlockingTransport | AsyncTransport | None, owner: type) -> Callable[..., Any]:
        if client is None:
            return self._describe
        describe = functools.partial(self._describe, client)

        def make(*args: P.args, **kwargs: P.kwargs) -> T | Coroutine[Any, Any, T]:
            return client.run(describe(*args, **kwargs))

        return functools.update_wrapper(make, self._describe.__get__(client, owner))


class Paged(Generic[P, T]):
    """Makes a method that describes a list into one that iterates it."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Paging[T]]) -> None:
        self._describe = describe

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Paging[T]]: ...

    @overload
    def __get__(self, client: BlockingTransport, owner: type) -> Callable[P, Iterator[T]]: ...

    @overload
    def __get__(self, client: AsyncTransport, owner: type) -> Callable[P, AsyncIterator[T]]: ...

    def __get__(self, client: BlockingTransport | AsyncTransport | None, owner: type) -> Callable[..., Any]:
        if client is None:
            return self._describe
        describe = functools.partial(self._describe, client)

        def make(*args: P.args, **kwargs: P.kwargs) -> Iterator[T] | AsyncIterator[T]:
            return client.pages(describe(*args, **kwargs))

        return functools.update_wrapper(make, self._describe.__get__(client, owner))
