"""Authorities that make certificates for tests, and the files that servers and clients read."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from ersgallery_server.config import TlsFiles

DAY = dt.timedelta(days=1)

_SIGNING = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key, in PEM."""

    cert: bytes
    key: bytes
    serial: int

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write NAME.pem and NAME.key, the key for its owner alone, and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_bytes(self.cert)
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        return cert, key


class Authority:
    """Signs certificates with a key of its own; `pem` is what others trust."""

    def __init__(self, name: str = "tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        now = dt.datetime.now(dt.UTC)
        own = _builder(self._name, self._name, self._key, now - DAY, now + 30 * DAY)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        own = own.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        own = own.add_extension(_SIGNING, critical=True)
        self.pem = own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def issue(
        self,
        common_name: str,
        *names: str,
        left: dt.timedelta = 20 * DAY,
        begun: dt.timedelta = DAY,
        passphrase: bytes | None = None,
    ) -> Pair:
        """Return a certificate for DNS names and addresses that began `begun` ago and ends after `left`."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        builder = _builder(_named(common_name), self._name, key, now - begun, now + left)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_alternative, names))), critical=False)
        # Python verifies strictly from 3.13 on, and asks for it.
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        cert = builder.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())
        protection = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
        return Pair(cert.public_bytes(Encoding.PEM), pem, cert.serial_number)

    def server(self, left: dt.timedelta = 20 * DAY, begun: dt.timedelta = DAY) -> Pair:
        """Return a certificate for servers of this machine."""
        return self.issue("server", "localhost", "127.0.0.1", "::1", left=left, begun=begun)

    def write(self, folder: Path, name: str = "ca") -> Path:
        """Write what others trust and return the path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.pem"
        path.write_bytes(self.pem)
        return path


def server_files(folder: Path, authority: Authority, client_ca: Authority | None = None) -> TlsFiles:
    """Write what a server needs and return where it is."""
    cert, key = authority.server().write(folder, "server")
    return TlsFiles(cert, key, None if client_ca is None else client_ca.write(folder, "client-ca"))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: dt.datetime, ends: dt.datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
