import asyncio
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from ersgallery.v1.gallery_service_pb2 import GetFaceImageResponse, GetGalleryResponse
from ersgallery.v1.identification_service_pb2 import IdentifyResponse
from ersgallery_client import AsyncGalleryClient, GalleryClient, Limits, TlsOptions, errors

from tests.support.clients import MakeClient
from tests.support.wire_server import WireServer


@pytest.fixture
def nobody() -> Iterator[str]:
    """Give an address that refuses connections: bound, so that nobody else takes it, and not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def test_nothing_is_connected_before_the_first_call(make_client: MakeClient, nobody: str) -> None:
    client = make_client(nobody)
    with pytest.raises(errors.ServerUnreachable):
        client.get_gallery("g")


def test_an_asyncio_client_can_be_made_outside_of_an_event_loop(wire: WireServer) -> None:
    wire.answer("GetGallery", GetGalleryResponse())
    client = AsyncGalleryClient(wire.address)

    async def use() -> int:
        async with client:
            return (await client.get_gallery("g")).revision

    assert asyncio.run(use()) == 0


def test_a_client_used_after_it_was_closed_says_so(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("GetGallery", GetGalleryResponse())
    copy = client.with_options()
    with client:
        client.get_gallery("g")
    for closed in (client, copy):
        with pytest.raises(errors.ClientClosed):
            closed.get_gallery("g")
    with pytest.raises(errors.ClientClosed):
        next(client.list_galleries())
    client.close()


def test_closing_ends_a_call_in_flight_with_the_clients_own_error(client: GalleryClient, wire: WireServer) -> None:
    arrived, release = threading.Event(), threading.Event()

    def hold(_: object, context: grpc.ServicerContext) -> GetGalleryResponse:
        context.add_callback(release.set)
        arrived.set()
        release.wait(10)
        return GetGalleryResponse()

    wire.on("GetGallery", hold)
    caught: list[Exception] = []

    def call() -> None:
        try:
            client.get_gallery("g")
        except errors.GalleryError as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert arrived.wait(10)
    client.close()
    thread.join(10)
    assert [type(error) for error in caught] == [errors.Cancelled]


def test_cancelling_a_task_cancels_its_call_and_stays_a_cancellation(wire: WireServer) -> None:
    arrived, cancelled = threading.Event(), threading.Event()

    def hold(_: object, context: grpc.ServicerContext) -> GetGalleryResponse:
        context.add_callback(cancelled.set)
        arrived.set()
        cancelled.wait(10)
        return GetGalleryResponse()

    wire.on("GetGallery", hold)

    async def cancel() -> None:
        async with AsyncGalleryClient(wire.address) as client:
            task = asyncio.create_task(client.get_gallery("g"))
            await asyncio.to_thread(arrived.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())
    assert cancelled.wait(10)


def test_a_request_larger_than_the_limit_is_refused_before_it_is_sent(
    make_client: MakeClient, wire: WireServer
) -> None:
    client = make_client(wire.address, limits=Limits(max_message_bytes=10_000))
    with pytest.raises(errors.MessageTooLarge, match="10000"):
        client.identify("g", bytes(10_001))
    assert wire.received == []


def test_messages_far_larger_than_grpcs_own_limit_pass_both_ways(client: GalleryClient, wire: WireServer) -> None:
    content = bytes(20 * 1024 * 1024)
    wire.answer("GetFaceImage", GetFaceImageResponse(content=content))
    assert client.get_face_image("g", "ada", 1) == content
    wire.answer("Identify", IdentifyResponse())
    client.identify("g", content)
    assert wire.received[-1].ByteSize() > len(content)


def test_tls_and_credentials_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="not both"):
        GalleryClient("localhost:1", tls=TlsOptions(), credentials=grpc.ssl_channel_credentials())


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1 that also serves as its authority."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    return key, cert


@pytest.mark.parametrize("mutual", [False, True], ids=["tls", "mutual tls"])
def test_a_connection_is_encrypted_with_the_given_certificates(
    make_client: MakeClient, certificate: tuple[Path, Path], mutual: bool
) -> None:
    key, cert = certificate
    server = WireServer(
        grpc.ssl_server_credentials(
            [(key.read_bytes(), cert.read_bytes())],
            root_certificates=cert.read_bytes() if mutual else None,
            require_client_auth=mutual,
        )
    )
    server.answer("GetGallery", GetGalleryResponse())
    try:
        tls = TlsOptions(ca=cert, cert=cert, key=key) if mutual else TlsOptions(ca=cert)
        assert make_client(server.address, tls=tls).get_gallery("g").id == ""
        with pytest.raises(errors.ServerUnreachable):
            make_client(server.address, tls=TlsOptions()).get_gallery("g")
    finally:
        server.stop()


def test_a_certificate_without_its_key_and_a_file_that_is_no_certificate_are_refused_before_any_call(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    key, cert = certificate
    with pytest.raises(ValueError, match="cert and key belong together"):
        TlsOptions(ca=cert, key=key)
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    with pytest.raises(ValueError, match=r"text\.pem is no PEM file"):
        GalleryClient("localhost:1", tls=TlsOptions(ca=text))


def test_a_certificate_that_is_not_there_is_an_error_of_the_file_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        GalleryClient("localhost:1", tls=TlsOptions(ca=tmp_path / "none.pem"))
