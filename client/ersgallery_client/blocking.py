"""The blocking transport: runs calls, pages and streams over a grpc channel."""

import copy
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, cast

import grpc

from ersgallery_client.attempts import attempts_of_call, attempts_of_stream
from ersgallery_client.blocking_outbox import Outbox
from ersgallery_client.call import Call, Paging, Plan, Stream, T, read_answer, serialize
from ersgallery_client.connection import DEFAULT_ADDRESS, Connection, endpoint
from ersgallery_client.errors import GalleryError, ServerUnreachable
from ersgallery_client.options import KeepAlive, Limits, Options, RetryPolicy, Timeout, TlsOptions
from ersgallery_client.statuses import error_from_rpc


class BlockingTransport:
    """Connects at the first call and closes with `close` or a `with` block; safe to use from several threads.

    address: `HOST:PORT`, or any other gRPC target such as `unix:/run/ersgallery.sock`.
    tls: certificates; credentials: ready-made ones instead. Without either the connection is not encrypted.
    token: by which the server knows the caller. allow_insecure: send it unencrypted, also to another machine.
    Raises ValueError where a token would be sent so and that was not said.
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
        self._connection: Connection[grpc.Channel] = Connection(
            endpoint(address, tls, credentials, self.options, token=token, allow_insecure=allow_insecure),
            insecure=grpc.insecure_channel,
            secure=grpc.secure_channel,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, also that of every copy made by `with_options`."""
        channel = self._connection.take_channel()
        if channel is not None:
            channel.close()

    def with_options(self, *, timeout: Timeout | None = None, retry: RetryPolicy | None = None) -> Self:
        """Return a client on the same connection with other timeouts or retries."""
        other = copy.copy(self)
        other.options = self.options.replaced(timeout=timeout, retry=retry)
        return other

    def run(self, action: Call[T] | Plan[T]) -> T:
        """Make a call, or the calls of a plan, and read the answer; raises GalleryError."""
        if isinstance(action, Plan):
            return action.combine([self.run(part) for part in action.calls])
        payload = serialize(action.request, self.options.limits)
        attempts = attempts_of_call(self.options, action.rpc, answered=self._connection.answered)
        while True:
            try:
                answer = self._connection.unary(action.rpc)(payload, timeout=attempts.remaining_s())
            except grpc.RpcError as error:
                time.sleep(attempts.wait_s(error_from_rpc(error)))
            else:
                self._connection.answered = True
                return cast("T", read_answer(action, answer)[1])

    def pages(self, paging: Paging[T]) -> Iterator[T]:
        """Give the items of a list, fetching each page when it is reached; raises GalleryError."""
        token = ""
        while True:
            page = self.run(paging.page(token))
            yield from page.items
            token = page.next_page_token
            if not token:
                return

    def answers(self, stream: Stream[T], messages: Iterator[bytes]) -> Iterator[T]:
        """Send messages and give their answers in the same order; raises GalleryError.

        A broken connection is opened again and what was not answered is sent again, so messages must be repeatable.
        """
        outbox = Outbox(messages, stream.window)
        attempts = attempts_of_stream(self.options, stream.rpc)
        try:
            while not outbox.is_done():
                try:
                    for answer in self._connect(stream, outbox):
                        attempts.progress()
                        yield answer
                except GalleryError as error:
                    time.sleep(attempts.wait_s(error))
            outbox.raise_failure()
        finally:
            outbox.close()

    def _connect(self, stream: Stream[T], outbox: Outbox) -> Iterator[T]:
        open_stream = self._connection.stream(stream.rpc)
        responses: Any = open_stream(outbox.connect(), timeout=self.options.timeout.stream_s)
        try:
            for response in responses:
                message, answer = read_answer(stream, response)
                if isinstance(answer, GalleryError):
                    raise answer
                outbox.acknowledge(message.sequence)
                yield answer
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error
        finally:
            responses.cancel()
        if not outbox.is_done():
            raise ServerUnreachable("the server ended the stream before it had answered everything", code="UNAVAILABLE")
