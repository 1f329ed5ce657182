"""Certificates are checked before they are used, and what changes for the worse changes nothing."""

import base64
import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from ersgallery_server.config import TlsFiles
from ersgallery_server.transport.certificates import Certificates, CertificateUnusable
from structlog.testing import capture_logs

from tests.support.certificates import DAY, Authority, server_files

AUTHORITY = Authority()
HOUR = dt.timedelta(hours=1)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_pair(files: TlsFiles) -> None:
    files.key.write_bytes(AUTHORITY.server().key)


def expired(files: TlsFiles) -> None:
    AUTHORITY.server(begun=2 * DAY, left=-HOUR).write(files.cert.parent, "server")


def not_yet(files: TlsFiles) -> None:
    AUTHORITY.server(begun=-HOUR).write(files.cert.parent, "server")


def passphrase(files: TlsFiles) -> None:
    AUTHORITY.issue("server", "localhost", passphrase=b"secret").write(files.cert.parent, "server")


def no_authority(files: TlsFiles) -> None:
    assert files.client_ca is not None
    files.client_ca.write_text("nobody")


def with_other_bytes(path: Path, before: bytes, after: bytes) -> None:
    pem = path.read_text().splitlines()
    whole = base64.b64decode("".join(pem[1:-1]))
    assert before in whole
    path.write_text(
        "\n".join([pem[0], base64.encodebytes(whole.replace(before, after, 1)).decode().strip(), pem[-1], ""])
    )


def strange_version(files: TlsFiles) -> None:
    with_other_bytes(files.cert, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x06")


def strange_kind_of_key(files: TlsFiles) -> None:
    with_other_bytes(files.cert, b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", b"\x06\x07\x26\x86\x48\xce\x3d\x02\x01")


def no_point_of_the_curve(files: TlsFiles) -> None:
    with_other_bytes(files.cert, b"\x03\x42\x00\x04", b"\x03\x42\x00\x09")


UNUSABLE: dict[str, tuple[Callable[[TlsFiles], object], str]] = {
    "a missing file": (lambda files: files.cert.unlink(), r"server\.pem cannot be read: No such file"),
    "half a certificate": (lambda files: half(files.cert), r"server\.pem has no PEM certificate"),
    "half a key": (lambda files: half(files.key), r"server\.key has no PEM private key"),
    "the key of another": (other_pair, r"server\.key is not that of the first certificate in .*server\.pem"),
    "a key with a passphrase": (passphrase, r"server\.key has a passphrase; give one without"),
    "an expired certificate": (expired, r"server\.pem holds from .* to .*, not now"),
    "a certificate of tomorrow": (not_yet, r"server\.pem holds from .* to .*, not now"),
    "a certificate of no version": (strange_version, r"server\.pem has no PEM certificate"),
    "a certificate of no kind of key": (strange_kind_of_key, r"certificate in .*server\.pem is damaged"),
    "a certificate with a damaged key": (no_point_of_the_curve, r"certificate in .*server\.pem is damaged"),
    "an authority that is none": (no_authority, r"client-ca\.pem has no PEM certificate"),
}


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return server_files(tmp_path, AUTHORITY, client_ca=AUTHORITY)


@pytest.mark.parametrize("problem", UNUSABLE)
def test_what_cannot_be_used_is_said_at_the_start(files: TlsFiles, problem: str) -> None:
    spoil, message = UNUSABLE[problem]
    spoil(files)
    with pytest.raises(CertificateUnusable, match=message):
        Certificates(files)


@pytest.mark.parametrize("problem", UNUSABLE)
def test_what_cannot_be_used_later_leaves_the_former_and_is_logged_once(files: TlsFiles, problem: str) -> None:
    certificates = Certificates(files)
    before = certificates.expires_at
    spoil, message = UNUSABLE[problem]
    spoil(files)
    with capture_logs() as logs:
        for _ in range(3):
            assert certificates.expires_at == before
    (line,) = logs
    assert (line["log_level"], line["event"]) == ("error", "kept the former certificate")
    assert re.search(message, line["problem"])
    assert "PRIVATE" not in str(logs)


def test_a_renewed_certificate_is_taken_also_after_a_broken_one(files: TlsFiles) -> None:
    certificates = Certificates(files)
    half(files.cert)
    certificates.refresh()
    AUTHORITY.server(left=25 * DAY).write(files.cert.parent, "server")
    with capture_logs() as logs:
        left = certificates.expires_at - dt.datetime.now(dt.UTC)
    assert 24 * DAY < left < 26 * DAY
    assert [line["event"] for line in logs] == ["took a changed certificate"]


@pytest.mark.parametrize(("begun", "left"), [(76 * DAY, 13 * DAY), (21 * HOUR, 3 * HOUR)], ids=["usual", "short-lived"])
def test_an_end_that_is_near_is_logged_once_in_a_while(
    files: TlsFiles, begun: dt.timedelta, left: dt.timedelta
) -> None:
    AUTHORITY.server(begun=begun, left=left).write(files.cert.parent, "server")
    with capture_logs() as logs:
        certificates = Certificates(files)
        for _ in range(3):
            certificates.refresh()
    assert [line["event"] for line in logs] == ["the certificate ends soon"]
    AUTHORITY.server(begun=DAY / 24, left=23 * HOUR).write(files.cert.parent, "server")
    with capture_logs() as logs:
        certificates.refresh()
    assert [line["event"] for line in logs] == ["took a changed certificate"]


def test_a_key_that_everybody_can_read_is_a_warning(files: TlsFiles) -> None:
    files.key.chmod(0o644)
    with capture_logs() as logs:
        Certificates(files)
    assert [(line["log_level"], line["mode"]) for line in logs] == [("warning", "644")]


def test_the_key_is_in_no_repr(files: TlsFiles) -> None:
    certificates = Certificates(files)
    assert "PRIVATE" not in repr(certificates._loaded)
