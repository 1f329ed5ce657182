"""A client's token goes with every call, never where others could read it, and nothing that is printed tells it."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from click.testing import CliRunner
from ersgallery.v1.gallery_service_pb2 import GetGalleryResponse
from ersgallery.v1.identification_service_pb2 import StreamIdentifyResponse
from ersgallery_client import GalleryClient, TlsOptions, errors
from ersgallery_client.cli.app import app
from ersgallery_client.cli.session import Session

from tests.support.clients import MakeClient
from tests.support.wire_server import WireServer, status

TOKEN = "ersg_0123456789abcdef_" + "s" * 43


def keep_metadata(wire: WireServer, method: str, answer: Any) -> list[dict[str, Any]]:
    """Let a method answer, and return what the metadata of its calls will be."""
    seen: list[dict[str, Any]] = []

    def behaviour(requests: Any, context: grpc.ServicerContext) -> Any:
        seen.append(dict(context.invocation_metadata()))
        return answer(requests)

    wire.on(method, behaviour)
    return seen


def test_every_call_and_every_stream_carries_the_token(make_client: MakeClient, wire: WireServer) -> None:
    unary = keep_metadata(wire, "GetGallery", lambda _: GetGalleryResponse())
    streams = keep_metadata(
        wire, "StreamIdentify", lambda requests: (StreamIdentifyResponse(sequence=r.sequence) for r in requests)
    )
    client = make_client(wire.address, token=TOKEN)
    client.get_gallery("g")
    client.with_options().get_gallery("g")
    list(client.identify_stream("g", [np.ones((1, 4), np.float32)]))
    assert [seen["authorization"] for seen in unary + streams] == [f"Bearer {TOKEN}"] * 3


def test_without_a_token_none_is_sent(client: GalleryClient, wire: WireServer) -> None:
    seen = keep_metadata(wire, "GetGallery", lambda _: GetGalleryResponse())
    client.get_gallery("g")
    assert "authorization" not in seen[0]


@pytest.mark.parametrize("address", ["192.168.1.7:50061", "gallery.example.org:443", "[2001:db8::1]:1", "dns:///a.b:1"])
def test_a_token_is_not_sent_where_others_could_read_it(make_client: MakeClient, address: str) -> None:
    with pytest.raises(ValueError, match="unencrypted") as caught:
        make_client(address, token=TOKEN)
    assert TOKEN not in str(caught.value)
    make_client(address, token=TOKEN, tls=TlsOptions())
    make_client(address, token=TOKEN, credentials=grpc.ssl_channel_credentials())
    make_client(address, token=TOKEN, allow_insecure=True)
    make_client(address)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/run/e.sock", "dns:///localhost:1"])
def test_this_machine_is_trusted(make_client: MakeClient, address: str) -> None:
    make_client(address, token=TOKEN)


@pytest.mark.parametrize("token", ["", "two words", "line\n", "\u00fc"])
def test_what_cannot_be_a_token_is_refused_without_being_told(make_client: MakeClient, token: str) -> None:
    with pytest.raises(ValueError, match="no spaces") as caught:
        make_client("127.0.0.1:1", token=token)
    assert not token.strip() or token.strip() not in str(caught.value)


def test_nothing_printed_tells_the_token(make_client: MakeClient, wire: WireServer) -> None:
    wire.answer("GetGallery", status(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"))
    client = make_client(wire.address, token=TOKEN)
    with pytest.raises(errors.Unauthenticated) as caught:
        client.get_gallery("g")
    told = [repr(client), repr(vars(client)), repr(client.options), repr(caught.value), repr(caught.value.__cause__)]
    assert not any(TOKEN in text for text in told)
    assert TOKEN not in repr(Session("here", 1.0, None, json=False, token=TOKEN))


def test_a_rate_limit_is_waited_for_as_the_server_says(make_client: MakeClient, wire: WireServer) -> None:
    limited = status(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_after_s=0.02)
    wire.answer("GetGallery", limited, GetGalleryResponse())
    make_client(wire.address, token=TOKEN).get_gallery("g")
    assert len(wire.received) == 2


@pytest.mark.parametrize("reason", ["UNAUTHENTICATED", "PERMISSION_DENIED"])
def test_a_refusal_is_not_tried_again(make_client: MakeClient, wire: WireServer, reason: str) -> None:
    wire.answer("GetGallery", status(getattr(grpc.StatusCode, reason), reason))
    with pytest.raises(errors.AccessDenied):
        make_client(wire.address, token=TOKEN).get_gallery("g")
    assert len(wire.received) == 1


def test_the_command_line_takes_a_token_from_each_place(wire: WireServer, tmp_path: Path) -> None:
    seen = keep_metadata(wire, "GetGallery", lambda _: GetGalleryResponse())
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}-file\n")

    def run(*options: str, **env: str) -> str:
        done = CliRunner().invoke(app, ["--server", wire.address, *options, "gallery", "show", "g"], env=env)
        assert done.exit_code == 0, done.output
        return str(seen[-1].get("authorization"))

    assert run() == "None"
    assert run("--token-file", str(file)) == f"Bearer {TOKEN}-file"
    assert run(ERSGALLERY_TOKEN_FILE=str(file)) == f"Bearer {TOKEN}-file"
    assert run(ERSGALLERY_TOKEN=f"{TOKEN}-env", ERSGALLERY_TOKEN_FILE=str(file)) == f"Bearer {TOKEN}-env"
    assert run("--token", TOKEN, ERSGALLERY_TOKEN="other") == f"Bearer {TOKEN}"


def test_the_command_line_refuses_to_send_a_token_in_the_open() -> None:
    arguments = ["--server", "192.0.2.1:1", "--token", TOKEN, "--timeout", "0.1", "gallery", "show", "g"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "unencrypted" in done.output
    assert TOKEN not in done.output
    assert CliRunner().invoke(app, ["--allow-insecure", *arguments]).exit_code == 1
