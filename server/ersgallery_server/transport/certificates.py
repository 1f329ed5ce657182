"""The server's certificate, key and authorities: checked before they are used, read again when they change."""

import datetime as dt
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ersgallery_server.config import TlsFiles

SOON = dt.timedelta(days=14)
"""Left of a certificate's time when a warning is due; a third of the whole for those that live shortly."""

REMIND_EVERY = dt.timedelta(hours=6)


log = structlog.get_logger(__name__)


class CertificateUnusable(Exception):
    """A certificate, key or authority cannot be used; the text names the file and says why."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Files as they were read together, and what gRPC makes of them. `contents` has the key and stays out of repr."""

    contents: tuple[bytes, ...]
    configuration: grpc.ServerCertificateConfiguration
    begins_at: dt.datetime
    expires_at: dt.datetime
    serial: int

    def __repr__(self) -> str:
        return f"Loaded(serial={self.serial:x}, expires_at={self.expires_at.isoformat()})"


class Certificates:
    """What every new connection is shown. gRPC asks before each handshake, and the files are read each time.

    A file that is half written, broken, expired or of another pair changes nothing: the last good ones stay, and the
    log says why. Connections that are open keep what they began with.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read the files; raises CertificateUnusable."""
        self._files = files
        self._lock = threading.Lock()
        self._loaded = self._shown = _load(files, _read(files))
        self._problem = ""
        self._reminded_at: dt.datetime | None = None
        _warn_if_readable_by_others(files.key)
        self._remind()

    @property
    def expires_at(self) -> dt.datetime:
        """Return when the certificate that new connections are shown ends, in UTC."""
        self.refresh()
        return self._loaded.expires_at

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a port is opened with: TLS 1.2 or newer, and with authorities nobody without a certificate."""
        return grpc.dynamic_ssl_server_credentials(
            self._loaded.configuration,
            self._fetch,  # type: ignore[arg-type]  # the stubs do not know that None means: no change
            require_client_authentication=self._files.client_ca is not None,
        )

    def refresh(self) -> None:
        """Read the files again and take them where they changed and are good; never raises for what is in them."""
        with self._lock:
            try:
                self._take(_read(self._files))
            except CertificateUnusable as error:
                self._report(str(error))
            self._remind()

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what changed since gRPC last asked; called before every handshake."""
        self.refresh()
        with self._lock:
            changed = self._loaded is not self._shown
            self._shown = self._loaded
            return self._loaded.configuration if changed else None

    def _take(self, contents: tuple[bytes, ...]) -> None:
        if contents != self._loaded.contents:
            self._loaded = _load(self._files, contents)
            self._reminded_at = None
            _warn_if_readable_by_others(self._files.key)
            log.info("took a changed certificate", serial=f"{self._loaded.serial:x}", expires_at=self._expiry())
        self._problem = ""

    def _report(self, problem: str) -> None:
        """Log a problem once, however many connections meet it."""
        if problem != self._problem:
            log.error("kept the former certificate", problem=problem, expires_at=self._expiry())
        self._problem = problem

    def _remind(self) -> None:
        now = dt.datetime.now(dt.UTC)
        left, whole = self._loaded.expires_at - now, self._loaded.expires_at - self._loaded.begins_at
        due = self._reminded_at is None or now - self._reminded_at >= REMIND_EVERY
        if left < min(SOON, whole / 3) and due:
            self._reminded_at = now
            log.warning(
                "the certificate ends soon", expires_at=self._expiry(), days_left=round(left / dt.timedelta(1), 2)
            )

    def _expiry(self) -> str:
        return self._loaded.expires_at.isoformat()


def _read(files: TlsFiles) -> tuple[bytes, ...]:
    paths = [files.cert, files.key] if files.client_ca is None else [files.cert, files.key, files.client_ca]
    try:
        return tuple(path.read_bytes() for path in paths)
    except OSError as error:
        raise CertificateUnusable(f"{error.filename} cannot be read: {error.strerror}") from error


def _load(files: TlsFiles, contents: tuple[bytes, ...]) -> Loaded:
    """Check what was read; raises CertificateUnusable."""
    try:
        return _checked(files, contents)
    except CertificateUnusable:
        raise
    except Exception as error:  # parts of a damaged certificate are read late, and fail in several ways
        raise CertificateUnusable(f"the certificate in {files.cert} is damaged") from error


def _checked(files: TlsFiles, contents: tuple[bytes, ...]) -> Loaded:
    cert, key, *authorities = contents
    chain = _certificates(files.cert, cert)
    if _public_key(files, key) != chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise CertificateUnusable(f"the key in {files.key} is not that of the first certificate in {files.cert}")
    begins_at, expires_at = chain[0].not_valid_before_utc, chain[0].not_valid_after_utc
    if not begins_at <= dt.datetime.now(dt.UTC) < expires_at:
        raise CertificateUnusable(
            f"the certificate in {files.cert} holds from {begins_at.isoformat()} to {expires_at.isoformat()}, not now"
        )
    if files.client_ca is not None:
        _certificates(files.client_ca, authorities[0])
    configuration = grpc.ssl_server_certificate_configuration([(key, cert)], *authorities)
    return Loaded(contents, configuration, begins_at, expires_at, chain[0].serial_number)


def _certificates(path: Path, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion) as error:
        raise CertificateUnusable(f"{path} has no PEM certificate that can be read") from error


def _public_key(files: TlsFiles, pem: bytes) -> bytes:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise CertificateUnusable(f"the key in {files.key} has a passphrase; give one without") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateUnusable(f"{files.key} has no PEM private key that can be read") from error
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _warn_if_readable_by_others(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError:  # gone since it was read
        return
    if mode & stat.S_IRWXO:
        log.warning("the private key is open to every user of this machine", file=str(key), mode=f"{mode & 0o777:o}")
