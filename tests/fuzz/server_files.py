"""Further files that the server's commands read: audit logs, keys, backups, certificates, crops, archives, tables."""

import functools
import hashlib
import io
import json
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from random import Random

from ersgallery_index import ErsError
from ersgallery_server.audit.chain import START, verify_files
from ersgallery_server.audit.line_file import LineFile
from ersgallery_server.backups.backing_up import back_up
from ersgallery_server.backups.file import BackupRefused, verify
from ersgallery_server.config import TlsFiles
from ersgallery_server.evaluation.groups import Groups
from ersgallery_server.evaluation.sizes import read_sizes
from ersgallery_server.keys import Key, KeyProblem, KeyRing
from ersgallery_server.models.archives import extract_members
from ersgallery_server.models.errors import ModelError
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from ersgallery_server.store import Store
from ersgallery_server.transport.certificates import Certificates, CertificateUnusable

from tests.fuzz.damage import BOUNDARIES, TEXTS, damage, damage_tree
from tests.fuzz.forms import Form
from tests.fuzz.image_cases import made_images
from tests.support.certificates import Authority

_NAMES = ("a/1.jpg", "a/2.jpg", "b/1.jpg")
_GROUPS = 'identity,age,sex\na,30,f\nb,,m\nc,"4,0",f\n'.encode("utf-8-sig")
_SIZES = (b"photograph,face_px\na/1.jpg,30\na/2.jpg,40.5\nb/1.jpg,1e3\n", b"30\n40.5\n1000\n")
_BACKUP_TAIL = 32
_MEMBERS = (tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
_ERRORS = (ModelError, ErsError)


@functools.cache
def _audit_log() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = LineFile(Path(folder, "log"))
        for number in range(4):
            file.append({"time": "2026-01-01T00:00:00Z", "method": "GetGallery", "counts": {"faces": number}})
        return Path(folder, "log").read_bytes()


def _draw_audit(rng: Random) -> bytes:
    if rng.random() < 0.7:
        return damage(rng, _audit_log())
    deep = rng.choice((b"[", b'{"a":')) * rng.choice((10, 5000))
    end = b'"previous":"' + START.encode() + b'"}\n'
    return _audit_log() + deep + end


def _use_audit(path: Path) -> None:
    """Verify a log and go on writing it, as a start does."""
    verify_files([path])
    file = LineFile(path)
    file.append({"more": 1})
    file.require()
    file.close()


def _draw_keys(rng: Random) -> bytes:
    keys = [_key(name) for name in ("one", "two")]
    text = rng.choice(("\n", ",", "\r\n", "\x85")).join([*keys, rng.choice(("", "# why", keys[0], *TEXTS))])
    return damage(rng, text.encode()) if rng.random() < 0.7 else text.encode()


@functools.cache
def _key(name: str) -> str:
    return Key(name, hashlib.sha256(name.encode()).digest()).text


def _use_keys(path: Path) -> None:
    path.chmod(0o600)
    KeyRing.of_file(path)


@functools.cache
def _backup() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/gallery.db"
        Store.open(url).close()
        back_up(url, Path(folder, "backup"), lambda _header: lambda _bytes: None)
        return Path(folder, "backup").read_bytes()


def _draw_backup(rng: Random) -> bytes:
    """Damage a backup, or what it says of itself under a digest that fits."""
    data = _backup()
    if rng.random() < 0.5:
        return damage(rng, data)
    length = int.from_bytes(data[12:16], "little")
    said = json.dumps(damage_tree(rng, json.loads(data[16 : 16 + length]))).encode()
    if rng.random() < 0.1:
        said = b"[" * 5000
    body = data[:12] + len(said).to_bytes(4, "little") + said + data[16 + length : -_BACKUP_TAIL]
    if rng.random() < 0.3:
        body = damage(rng, body, most=1)
    return body + hashlib.sha256(body).digest()


def _draw_crops(rng: Random) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=rng.choice(("w", "w:gz", "w:xz", "w:bz2"))) as archive:
        for name in rng.sample((*_NAMES, "../x.jpg", "/abs.png", "c/\udcff.jpg", "x" * 300 + ".png"), k=3):
            member = tarfile.TarInfo(name)
            data = rng.choice(made_images())
            member.size = len(data)
            member.type = rng.choice(_MEMBERS)
            member.linkname = rng.choice(("", "a/1.jpg", name))
            member.pax_headers = rng.choice(({}, {"size": str(rng.choice(BOUNDARIES))}, {"GNU.sparse.major": "1"}))
            archive.addfile(member, io.BytesIO(data))
    return damage(rng, buffer.getvalue()) if rng.random() < 0.7 else buffer.getvalue()


def _use_crops(path: Path) -> None:
    faces = AlignedFaces.open(path)
    for name in faces.names:
        faces.crop(name)


def _draw_archive(rng: Random) -> bytes:
    if rng.random() < 0.5:
        return _draw_crops(rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice(_METHODS)) as archive:
        for name in rng.sample((*_NAMES, "../x.jpg", "/abs", "c:\\x", "dir/", " "), k=3):
            archive.writestr(name, bytes(rng.choice((0, 10, 100_000))))
    return damage(rng, buffer.getvalue())


def _use_archive(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder, "inside")
        with suppress(IsADirectoryError, NotADirectoryError):
            extract_members(path, inside, lambda _: True, max_member_bytes=1 << 20, max_total_bytes=1 << 21)
        if found := [entry for entry in Path(folder).iterdir() if entry != inside]:
            raise AssertionError(f"written outside: {found}")


@functools.cache
def _pair() -> tuple[bytes, bytes, bytes]:
    authority = Authority()
    pair = authority.issue("server", "localhost")
    return pair.cert, pair.key, authority.pem


def _draw_certificates(rng: Random) -> bytes:
    """Return certificate, key and authorities, between NULs; any of them damaged or in another's place."""
    parts = list(_pair())
    place = rng.randrange(3)
    parts[place] = rng.choice((damage(rng, parts[place]), parts[place - 1], b"", parts[place] * 2))
    return b"\0\0".join(parts)


def _use_certificates(path: Path) -> None:
    parts = [*path.read_bytes().split(b"\0\0"), b"", b"", b""][:3]
    files = [path.with_name(name) for name in ("cert", "key", "ca")]
    for file, part in zip(files, parts, strict=True):
        file.touch(mode=0o600)
        file.write_bytes(part)
    Certificates(TlsFiles(*files))


SERVER_FORMS: dict[str, Form] = {
    "audit-log": Form(".log", _draw_audit, _use_audit, ()),
    "keys": Form(".keys", _draw_keys, _use_keys, (KeyProblem,)),
    "backup": Form(".backup", _draw_backup, verify, (BackupRefused,)),
    "certificates": Form(".pem", _draw_certificates, _use_certificates, (CertificateUnusable,)),
    "crops": Form(".tar", _draw_crops, _use_crops, (ModelError,)),
    "archive": Form(".whl", _draw_archive, _use_archive, (ModelError,)),
    "groups": Form(".csv", lambda rng: damage(rng, _GROUPS), Groups.read, _ERRORS),
    "sizes": Form(
        ".csv",
        lambda rng: damage(rng, rng.choice(_SIZES)),
        lambda path: read_sizes(path, _NAMES),
        (ModelError, ErsError),
    ),
}
