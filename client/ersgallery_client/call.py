"""Calls as values: what to send and how to read the answer, made by pure functions and run by a transport."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from ersgallery_client.errors import GalleryError, MessageTooLarge, UnexpectedAnswer
from ersgallery_client.options import Limits
from ersgallery_client.rpcs import RequestT, ResponseT, Rpc

T = TypeVar("T")
PartT = TypeVar("PartT")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One unary RPC that gives a T. Made by `call`, which checks that request and reader belong to the RPC."""

    rpc: Rpc[Any, Any]
    request: Message
    read: Callable[[Any], T]


def call(rpc: Rpc[RequestT, ResponseT], request: RequestT, read: Callable[[ResponseT], T]) -> Call[T]:
    """Describe one unary RPC: its request, and the function that reads its answer."""
    return Call(rpc, request, read)


@dataclass(frozen=True, slots=True)
class Plan(Generic[T]):
    """Several calls, made one after the other, whose answers become one T. Made by `plan`."""

    calls: Iterable[Call[Any]]
    combine: Callable[[list[Any]], T]


def plan(calls: Iterable[Call[PartT]], combine: Callable[[list[PartT]], T]) -> Plan[T]:
    """Describe a call that is too large for one message."""
    return Plan(calls, combine)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; an empty token ends it."""

    items: tuple[T, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class Paging(Generic[T]):
    """A list, page by page: the call for the page that a token names (empty: the first)."""

    page: Callable[[str], Call[Page[T]]]


@dataclass(frozen=True, slots=True)
class Stream(Generic[T]):
    """A bidirectional stream in which every message is answered by one, in the same order.

    read: gives an answer, or the error with which the server refused one message as a whole.
    window: how many messages may be unanswered.
    """

    rpc: Rpc[Any, Any]
    read: Callable[[Any], T | GalleryError]
    window: int

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError("window must be at least 1")


def stream(rpc: Rpc[RequestT, ResponseT], read: Callable[[ResponseT], T | GalleryError], window: int) -> Stream[T]:
    """Describe a bidirectional stream."""
    return Stream(rpc, read, window)


def read_answer(action: Call[Any] | Stream[Any], payload: bytes) -> tuple[Any, Any]:
    """Return an answer as a message and as what it is read as; raises UnexpectedAnswer where it is neither.

    gRPC is not left to do this: its asyncio part gives None for a message that cannot be decoded.
    """
    try:
        message = action.rpc.response.FromString(payload)
        return message, action.read(message)
    except (DecodeError, ValueError, IndexError) as error:
        raise UnexpectedAnswer(f"the answer to {action.rpc.method} is not what the contract says") from error


def serialize(request: Message, limits: Limits) -> bytes:
    """Return the message as it is sent; raises MessageTooLarge, which gRPC would report as RESOURCE_EXHAUSTED."""
    payload = request.SerializeToString()
    if len(payload) > limits.max_message_bytes:
        raise MessageTooLarge(
            f"the request has {len(payload)} bytes and Limits.max_message_bytes is {limits.max_message_bytes}"
        )
    return payload
