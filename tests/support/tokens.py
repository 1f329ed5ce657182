"""Tokens of a running server, and calls of any method with one."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import grpc
from ersgallery_server.access.tokens import digest_of, new_token
from ersgallery_server.grants import Grant, Scope
from ersgallery_server.store import Store
from ersgallery_server.transport.methods import SERVICES
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc_status import rpc_status

from tests.support.server import RunningServer

METHODS = {f"{service.name}/{method.name}": method for service in SERVICES for method in service.methods}


def create_token(
    store: Store,
    name: str,
    scopes: Iterable[Scope] = Scope,
    galleries: Iterable[str] | None = None,
    *,
    expire_time: dt.datetime | None = None,
    max_calls_per_second: float | None = None,
) -> str:
    """Make a token and return its text."""
    grant = Grant(frozenset(scopes), None if galleries is None else frozenset(galleries), max_calls_per_second)
    token_id, text = new_token()
    store.submit(lambda t: t.create_token(name, token_id, digest_of(text), grant, expire_time)).result(60)
    return text


def issue(server: RunningServer, name: str, *scopes: Scope, **rest: Any) -> str:
    """Make a token that a running server knows at once, for all scopes where none is named."""
    text = create_token(server.service._store, name, scopes or Scope, **rest)
    server.service._tokens.refresh()
    return text


def revoke(server: RunningServer, name: str) -> None:
    """Revoke a token, of which a running server knows at once."""
    server.service._store.submit(lambda t: t.revoke_token(name)).result(60)
    server.service._tokens.refresh()


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that carry a token."""
    return (("authorization", f"Bearer {token}"),)


def new_request(method: MethodDescriptor) -> Any:
    """Return an empty request of a method."""
    return GetMessageClass(method.input_type)()


def ask(server: RunningServer, method: MethodDescriptor, request: Message, token: str | None) -> status_pb2.Status:
    """Make one call, with one request where it is a stream, and return its status: empty where it was answered."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    metadata = () if token is None else bearer(token)
    answer_type: Any = GetMessageClass(method.output_type)
    channel: Any = server.channel
    try:
        if method.client_streaming:
            stream = channel.stream_stream(path, lambda it: it.SerializeToString(), answer_type.FromString)
            for answer in stream(iter([request]), metadata=metadata, timeout=60):
                return answer.error if answer.HasField("error") else status_pb2.Status()
        else:
            unary = channel.unary_unary(path, lambda it: it.SerializeToString(), answer_type.FromString)
            unary(request, metadata=metadata, timeout=60)
    except grpc.RpcError as error:
        caught: Any = error
        status: status_pb2.Status | None = rpc_status.from_call(caught)
        assert status is not None, caught
        return status
    return status_pb2.Status()


def about(method: MethodDescriptor, gallery_id: str) -> Any:
    """Return a request of a method that names a gallery wherever it can."""
    request = new_request(method)
    _name_gallery(request, gallery_id)
    return request


def _name_gallery(message: Any, gallery_id: str) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.name == "gallery_id":
            message.gallery_id = gallery_id
        elif field.name in {"name", "parent", "gallery"} and field.message_type is None:
            setattr(message, field.name, f"galleries/{gallery_id}")
        elif field.name in {"gallery", "subject", "face", "batch"} and field.message_type is not None:
            _name_gallery(getattr(message, field.name), gallery_id)
