"""Encrypted connections: who gets in, what those learn who do not, and certificates that change while calls go on."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from cryptography import x509
from ersgallery_client import GalleryClient, RetryPolicy, TlsOptions, errors
from ersgallery_client.cli.app import app
from ersgallery_server.call import Behavior, Call
from ersgallery_server.service import Service
from ersgallery_server.transport.methods import Layer
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.certificates import DAY, Authority, server_files
from tests.support.clients import MakeClient
from tests.support.scraping import scrape, value
from tests.support.server import running_server, settings
from tests.support.wire_server import WireServer

TRUSTED, STRANGER = Authority("trusted"), Authority("stranger")
ONCE = RetryPolicy(attempts=1)
RENEWALS = int(os.environ.get("ERSGALLERY_TEST_RENEWALS", "5"))


class Names:
    """A layer that keeps the names of the callers' certificates."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def around(self, method: MethodDescriptor, behavior: Behavior) -> Behavior:  # noqa: ARG002 (of the protocol)
        def serve(request: Any, call: Call) -> Any:
            self.seen.append(call.peer_name)
            return behavior(request, call)

        return serve


class Watched(Service):
    """A server that tells who called."""

    names: Names

    def _layers(self) -> list[Layer]:
        self.names = Names()
        return [self.names, *super()._layers()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    TRUSTED.write(folder, "trusted")
    STRANGER.write(folder, "stranger")
    TRUSTED.issue("door-camera").write(folder, "client")
    TRUSTED.issue("", "gate.example").write(folder, "nameless")
    STRANGER.issue("door-camera").write(folder, "strange-client")
    return folder


@pytest.fixture(scope="module")
def tls_server(folder: Path) -> Iterator[str]:
    """Give the address of a server with TLS."""
    with Service(settings(folder / "tls", tls=server_files(folder / "tls", TRUSTED))) as service:
        yield service.address


@pytest.fixture(scope="module")
def mutual_server(folder: Path) -> Iterator[Watched]:
    """Give a server that asks for certificates."""
    files = server_files(folder / "mutual", TRUSTED, client_ca=TRUSTED)
    with Watched(settings(folder / "mutual", tls=files)) as service:
        yield service


def trusting(folder: Path, authority: str = "trusted", own: str | None = None, name: str | None = None) -> TlsOptions:
    cert, key = (None, None) if own is None else (folder / f"{own}.pem", folder / f"{own}.key")
    return TlsOptions(folder / f"{authority}.pem", cert, key, name)


def test_both_clients_talk_over_tls_and_know_the_server_by_any_of_its_names(
    make_client: MakeClient, tls_server: str, folder: Path
) -> None:
    assert list(make_client(tls_server, tls=trusting(folder)).list_galleries()) == []
    port = tls_server.rpartition(":")[2]
    assert list(make_client(f"localhost:{port}", tls=trusting(folder)).list_galleries()) == []
    assert list(make_client(tls_server, tls=trusting(folder, name="localhost")).list_galleries()) == []


def refusal(make_client: MakeClient, address: str, tls: TlsOptions | None) -> str:
    """Return what a client learns whose connection does not come about."""
    with pytest.raises(errors.HandshakeFailed) as caught:
        list(make_client(address, tls=tls, retry=ONCE).list_galleries())
    return caught.value.message


def test_a_client_that_is_not_let_in_or_does_not_trust_learns_what_to_change(
    make_client: MakeClient, tls_server: str, mutual_server: Watched, folder: Path
) -> None:
    assert "certificate is not accepted (unable to get local issuer" in refusal(
        make_client, tls_server, trusting(folder, "stranger")
    )
    assert "not accepted" in refusal(make_client, tls_server, TlsOptions())
    assert "for another name" in refusal(make_client, tls_server, trusting(folder, name="elsewhere.example"))
    assert "it may speak TLS (tls, --tls)" in refusal(make_client, tls_server, None)
    for own in (None, "strange-client"):
        assert "certificate of the client that it accepts" in refusal(
            make_client, mutual_server.address, trusting(folder, own=own)
        )
    assert mutual_server.names.seen == []


def test_what_has_expired_is_accepted_by_neither_side(
    make_client: MakeClient, mutual_server: Watched, folder: Path
) -> None:
    expired = TRUSTED.server(begun=2 * DAY, left=-DAY)
    careless = WireServer(grpc.ssl_server_credentials([(expired.key, expired.cert)]))
    assert "not accepted (certificate has expired)" in refusal(make_client, careless.address, trusting(folder))
    careless.stop()
    mutual_server.names.seen.clear()
    TRUSTED.issue("door-camera", begun=2 * DAY, left=-DAY).write(folder, "expired-client")
    assert "that it accepts" in refusal(make_client, mutual_server.address, trusting(folder, own="expired-client"))
    assert mutual_server.names.seen == []


def test_an_encrypting_client_at_a_plain_server_learns_what_to_change(
    make_client: MakeClient, folder: Path, tmp_path: Path
) -> None:
    with running_server(settings(tmp_path)) as plain:
        assert "does not speak TLS" in refusal(make_client, plain.address, trusting(folder))


def test_the_name_in_a_clients_certificate_reaches_the_call(
    make_client: MakeClient, mutual_server: Watched, folder: Path
) -> None:
    mutual_server.names.seen.clear()
    for own in ("client", "nameless"):
        assert list(make_client(mutual_server.address, tls=trusting(folder, own=own)).list_galleries()) == []
    assert mutual_server.names.seen == ["door-camera", "gate.example"]


def test_the_command_line_takes_options_and_environment(mutual_server: Watched, folder: Path) -> None:
    mutual_server.names.seen.clear()
    files = {name: str(folder / name) for name in ("trusted.pem", "client.pem", "client.key")}
    given = ["--tls-ca", files["trusted.pem"], "--tls-cert", files["client.pem"], "--tls-key", files["client.key"]]
    environment = {
        "ERSGALLERY_TLS_CA": files["trusted.pem"],
        "ERSGALLERY_CLIENT_CERT": files["client.pem"],
        "ERSGALLERY_CLIENT_KEY": files["client.key"],
        "ERSGALLERY_TLS_SERVER_NAME": "localhost",
    }
    base = ["--server", mutual_server.address]
    assert CliRunner().invoke(app, [*base, *given, "gallery", "list"]).exit_code == 0
    assert CliRunner().invoke(app, [*base, "gallery", "list"], env=environment).exit_code == 0
    assert mutual_server.names.seen == ["door-camera"] * 2
    untrusting = CliRunner().invoke(app, [*base, "--tls", "gallery", "list"])
    assert untrusting.exit_code == 1
    assert "give the authority that signed it (ca, --tls-ca)" in untrusting.stderr


def test_health_and_reflection_answer_over_tls_on_ipv6(folder: Path) -> None:
    if not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    files = server_files(folder / "v6", TRUSTED)
    with Service(settings(folder / "v6", host="::1", tls=files)) as service:
        assert service.address.startswith("[::1]:")
        with grpc.secure_channel(service.address, trusting(folder).credentials()) as channel:
            checked = _health(channel).Check(health_pb2.HealthCheckRequest())
            assert checked.status == health_pb2.HealthCheckResponse.SERVING
            assert "ersgallery.v1.GalleryService" in ProtoReflectionDescriptorDatabase(channel).get_services()


@pytest.mark.filterwarnings("ignore:.*TLSv1.* is deprecated")
def test_tls_older_than_1_2_is_refused(tls_server: str) -> None:
    assert handshake(tls_server, ssl.TLSVersion.TLSv1_2).version() == "TLSv1.2"
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(tls_server, ssl.TLSVersion.TLSv1_1)


def test_a_renewed_certificate_is_shown_to_new_connections_while_calls_go_on(folder: Path) -> None:
    files = server_files(folder / "renewed", TRUSTED)
    with Service(settings(folder / "renewed", tls=files)) as service:
        failures: list[Exception] = []
        done = threading.Event()
        callers = [threading.Thread(target=_call, args=(service.address, folder, done, failures)) for _ in range(3)]
        for caller in callers:
            caller.start()
        try:
            for _ in range(RENEWALS):
                renewed = TRUSTED.server()
                renewed.write(files.cert.parent, "server")
                assert shown(service.address) == renewed.serial
                # An old pair, as its renewal is half done, and a half-written file.
                files.key.write_bytes(TRUSTED.server().key)
                assert shown(service.address) == renewed.serial
                files.cert.write_bytes(renewed.cert[:100])
                assert shown(service.address) == renewed.serial
        finally:
            done.set()
            for caller in callers:
                caller.join()
        assert failures == []


def test_the_end_of_the_certificate_is_a_metric(folder: Path) -> None:
    files = server_files(folder / "told", TRUSTED)
    with running_server(settings(folder / "told", tls=files, metrics_port=0)) as server:
        for days in (20, 25):
            renewed = TRUSTED.server(left=days * DAY)
            renewed.write(files.cert.parent, "server")
            ends = x509.load_pem_x509_certificate(renewed.cert).not_valid_after_utc
            assert value(scrape(server), "ersgallery_certificate_expiry_timestamp_seconds") == ends.timestamp()


def test_authorities_of_clients_are_read_again_too(folder: Path) -> None:
    files = server_files(folder / "rotated", TRUSTED, client_ca=STRANGER)
    with Service(settings(folder / "rotated", tls=files)) as service:
        assert not lets_in(service.address, trusting(folder, own="client"))
        TRUSTED.write(folder / "rotated", "client-ca")
        assert lets_in(service.address, trusting(folder, own="client"))
        assert not lets_in(service.address, trusting(folder, own="strange-client"))


def lets_in(address: str, tls: TlsOptions) -> bool:
    """Tell whether a new connection comes about."""
    with GalleryClient(address, tls=tls, retry=ONCE) as client:
        try:
            list(client.list_galleries())
        except errors.HandshakeFailed:
            return False
        return True


def shown(address: str) -> int:
    """Return the serial number of the certificate that a new connection is shown."""
    with handshake(address) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"").serial_number


def handshake(address: str, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLSocket:
    """Connect as another TLS library does, up to a version of TLS."""
    context = ssl.create_default_context(cadata=TRUSTED.pem.decode())
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else this side would refuse old versions itself
    context.set_alpn_protocols(["h2"])
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = newest
    host, _, port = address.rpartition(":")
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=30), server_hostname=host)


def _call(address: str, folder: Path, done: threading.Event, failures: list[Exception]) -> None:
    """Call until told to stop, over one connection and again and again over new ones."""
    with GalleryClient(address, tls=trusting(folder), retry=ONCE) as lasting:
        while not done.is_set():
            try:
                list(lasting.list_galleries())
                with GalleryClient(address, tls=trusting(folder), retry=ONCE) as new:
                    list(new.list_galleries())
            except errors.GalleryError as error:
                failures.append(error)
                return


def _health(channel: grpc.Channel) -> Any:
    """Return the stub of health, whose methods the types do not know."""
    return health_pb2_grpc.HealthStub(channel)


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
