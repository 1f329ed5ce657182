"""The asyncio transport: runs calls, pages and streams over a grpc.aio channel."""

import asyncio
import copy
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from types import TracebackType
from typing import Any, Self, cast

import grpc
import grpc.aio

from ersgallery_client.async_outbox import AsyncOutbox
from ersgallery_client.attempts import attempts_of_call, attempts_of_stream
from ersgallery_client.call import Call, Paging, Plan, Stream, T, read_answer, serialize
from ersgallery_client.connection import DEFAULT_ADDRESS, Connection, endpoint
from ersgallery_client.errors import Cancelled, GalleryError, ServerUnreachable
from ersgallery_client.options import KeepAlive, Limits, Options, RetryPolicy, Timeout, TlsOptions
from ersgallery_client.statuses import error_from_rpc


class AsyncTransport:
    """Connects at the first call, in the event loop that makes it, and closes with `close` or an `async with` block.

    The arguments are those of BlockingTransport.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tls: TlsOptions | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        token: str | None = None,
        allow_insecure: bool = False,
        timeout: Timeout | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        keepalive: KeepAlive | None = None,
    ) -> None:
        self.options = Options().replaced(timeout=timeout, retry=retry, limits=limits, keepalive=keepalive)
        self._connection: Connection[grpc.aio.Channel] = Connection(
            endpoint(address, tls, credentials, self.options, token=token, allow_insecure=allow_insecure),
            insecure=grpc.aio.insecure_channel,
            secure=grpc.aio.secure_channel,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection, also that of every copy made by `with_options`."""
        channel = self._connection.take_channel()
        if channel is not None:
            await channel.close()

    def with_options(self, *, timeout: Timeout | None = None, retry: RetryPolicy | None = None) -> Self:
        """Return a client on the same connection with other timeouts or retries."""
        other = copy.copy(self)
        other.options = self.options.replaced(timeout=timeout, retry=retry)
        return other

    async def run(self, action: Call[T] | Plan[T]) -> T:
        """Make a call, or the calls of a plan, and read the answer; raises GalleryError."""
        if isinstance(action, Plan):
            return action.combine([await self.run(part) for part in action.calls])
        payload = serialize(action.request, self.options.limits)
        attempts = attempts_of_call(self.options, action.rpc, answered=self._connection.answered)
        while True:
            try:
                with self._errors():
                    answer = await self._connection.unary(action.rpc)(payload, timeout=attempts.remaining_s())
            except GalleryError as error:
                await asyncio.sleep(attempts.wait_s(error))
            else:
                self._connection.answered = True
                return cast("T", read_answer(action, answer)[1])

    async def pages(self, paging: Paging[T]) -> AsyncIterator[T]:
        """Give the items of a list, fetching each page when it is reached; raises GalleryError."""
        token = ""
        while True:
            page = await self.run(paging.page(token))
            for item in page.items:
                yield item
            token = page.next_page_token
            if not token:
                return

    async def answers(self, stream: Stream[T], messages: AsyncIterator[bytes]) -> AsyncGenerator[T, None]:
        """Send messages and give their answers in the same order; raises GalleryError.

        A broken connection is opened again and what was not answered is sent again, so messages must be repeatable.
        """
        outbox = AsyncOutbox(messages, stream.window)
        attempts = attempts_of_stream(self.options, stream.rpc)
        try:
            while not outbox.is_done():
                try:
                    async with aclosing(self._connect(stream, outbox)) as answers:
                        async for answer in answers:
                            attempts.progress()
                            yield answer
                except GalleryError as error:
                    await asyncio.sleep(attempts.wait_s(error))
            outbox.raise_failure()
        finally:
            await outbox.close()

    async def _connect(self, stream: Stream[T], outbox: AsyncOutbox) -> AsyncGenerator[T, None]:
        open_stream = self._connection.stream(stream.rpc)
        responses: Any = open_stream(outbox.connect(), timeout=self.options.timeout.stream_s)
        try:
            with self._errors():
                async for response in responses:
                    message, answer = read_answer(stream, response)
                    if isinstance(answer, GalleryError):
                        raise answer
                    await outbox.acknowledge(message.sequence)
                    yield answer
        finally:
            responses.cancel()
        if not outbox.is_done():
            raise ServerUnreachable("the server ended the stream before it had answered everything", code="UNAVAILABLE")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what grpc.aio raises into the client's errors."""
        try:
            yield
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error
        except asyncio.CancelledError:
            # grpc.aio tells of a channel closed by another task as if this task had been cancelled.
            task = asyncio.current_task()
            if self._connection.closed and task is not None and not task.cancelling():
                raise Cancelled("the client was closed during the call") from None
            raise
