"""Files that commands read: profiles, manifests, embeddings, corpora, tables of photographs, configurations."""

import io
import json
import tomllib
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any

import click
import numpy as np
from click.testing import CliRunner
from ersgallery_client.cli.commands.profile import read_profile_file
from ersgallery_client.cli.labelled import read_labelled
from ersgallery_client.cli.sources import read_embeddings as read_client_embeddings
from ersgallery_client.cli.sources import read_source
from ersgallery_index import ErsError, InvalidProfile
from ersgallery_server.cli import main as server_app
from ersgallery_server.evaluation.plan import CorpusPlan
from ersgallery_server.evaluation.preparing import read_corpus
from ersgallery_server.models.errors import ModelError
from ersgallery_server.models.manifest import parse_manifest
from ersgallery_server.models.profile_file import _checksum, parse_profile
from ersgallery_server.profiling.given_embeddings import read_embeddings
from ersgallery_server.thresholds.labelled_embeddings import LabelledEmbeddings
from numpy.typing import NDArray

from tests.fuzz.case import Case, Finding
from tests.fuzz.damage import BOUNDARIES, damage, damage_tree
from tests.fuzz.forms import Form
from tests.fuzz.server_files import SERVER_FORMS
from tests.fuzz.watch import Watch

_PACKAGE = resources.files("ersgallery_server.models")
PROFILE = (_PACKAGE / "profiles" / "sface.json").read_bytes()
MANIFESTS = [
    entry.read_bytes() for entry in sorted((_PACKAGE / "catalogue").iterdir(), key=str) if entry.name.endswith(".toml")
]
CONFIG = b"""data_dir = "/nowhere"
log_level = "info"
[serve]
port = 50061
drain_timeout_s = 3.5
rows_on_disk = true
[models.install]
accept_licence = true
"""
CSV = 'subject,file,media_id,display_name\nann,a.jpg,m,Ann\nb\u00e9a,"b,\n.png",,\n'.encode()


class FileAttack:
    """Draws files of all forms."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._watch = Watch()

    def draw(self, rng: Random) -> Case:
        """Return a damaged file."""
        kind = rng.choice(list(FORMS))
        return Case(kind, FORMS[kind].draw(rng))

    def check(self, case: Case) -> str:
        """Let it be read."""
        form = FORMS[case.kind]
        path = self._folder / f"case{form.suffix}"
        path.write_bytes(case.data)
        self._watch.count()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                form.use(path)
            except form.expected as error:
                said = error.message if isinstance(error, click.ClickException) else str(error)
                if not said:
                    raise Finding(f"{case.kind} refused without a word: {type(error).__name__}") from error
                return f"{case.kind} refused"
        return f"{case.kind} read"

    def settle(self) -> None:
        """Check that nothing grew."""
        self._watch.check(patience_s=1.0)


@contextmanager
def opened(folder: Path) -> Iterator[FileAttack]:
    """Attack them all."""
    yield FileAttack(folder)


def _profile(rng: Random) -> bytes:
    """Damage the bytes, or the values under a checksum that fits."""
    if rng.random() < 0.3:
        return damage(rng, PROFILE)
    content = json.loads(PROFILE)
    if rng.random() < 0.8:  # a small one: what it says is checked, not how long it is
        content |= {"dimension": 3, "mean": [0.1, 0.2, 0.3], "centroids": [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]}
    for _ in range(rng.choice((1, 1, 2, 4))):
        content = damage_tree(rng, content) if isinstance(content, dict) else content
    if isinstance(content, dict):
        content["sha256"] = _checksum(content)
    return json.dumps(content).encode()


def _use_profile(path: Path) -> None:
    parse_profile(path.read_bytes(), "the file").profile()


def _manifest(rng: Random) -> bytes:
    data = rng.choice(MANIFESTS)
    if rng.random() < 0.4:
        return damage(rng, data, MANIFESTS)
    tree = tomllib.loads(data.decode())
    for _ in range(rng.choice((1, 1, 2, 4))):
        tree = damage_tree(rng, tree) if isinstance(tree, dict) else tree
    return _toml(tree if isinstance(tree, dict) else {"all": tree})


def _config(rng: Random) -> bytes:
    if rng.random() < 0.5:
        return damage(rng, CONFIG)
    tree = tomllib.loads(CONFIG.decode())
    return _toml(damage_tree(rng, tree) if rng.random() < 0.9 else {})


def _toml(tree: dict[str, Any]) -> bytes:
    """Write values inline, which is TOML too."""

    def value(found: Any) -> str:
        match found:
            case bool():
                return str(found).lower()
            case dict():
                return "{" + ", ".join(f"{json.dumps(key)} = {value(each)}" for key, each in found.items()) + "}"
            case list():
                return "[" + ", ".join(map(value, found)) + "]"
            case str():
                return json.dumps(found, ensure_ascii=False)
            case float():
                return str(found)
            case _:
                return str(found)

    lines = [f"{json.dumps(key)} = {value(each)}\n" for key, each in tree.items()] if isinstance(tree, dict) else []
    return "".join(lines).encode("utf-8", "surrogatepass")


def _use_manifest(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeError:
        return
    parse_manifest(text, "the file")


def _use_config(path: Path) -> None:
    result = CliRunner().invoke(server_app, ["--config", str(path), "serve", "--help"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code not in (0, 2) or not result.output:
        raise Finding(f"exit status {result.exit_code} and {result.output!r}")


def _array(rng: Random) -> NDArray[Any]:
    rows, columns = rng.choice((0, 1, 4, 6)), rng.choice((0, 1, 8))
    values = np.array([rng.uniform(-1, 1) for _ in range(rows * columns)])
    match rng.randrange(6):
        case 0 if values.size:
            return np.full((rows, columns), rng.choice((np.nan, np.inf, 0.0, 1e300)))
        case 1:
            return np.asarray(
                values.astype(rng.choice((np.int32, np.complex64, np.uint8, ">f4", "<f8", "S3", "U2", "?")))
            )
        case 2:
            return values.reshape(-1)
        case 3:
            return np.zeros((2, 2, 2), np.float32)
        case _:
            pass
    return np.asarray(np.clip(values, -3e38, 3e38).reshape(rows, columns), np.float32)


def _npz(rng: Random) -> bytes:
    """Return an archive of arrays with sound and senseless labels, whole or damaged."""
    rows = _array(rng)
    count = len(rows) if rng.random() < 0.8 else rng.randint(0, 5)
    words = np.array(rng.choices(["ann", "b\u00e9a", "", "CLEAN", "BLUR", "UNKNOWN"], k=count), dtype="U8")
    columns: dict[str, Any] = {
        "embedding": rows,
        "subject": words,
        "identity": np.arange(count) % 2,
        "kind": words,
        "severity": np.linspace(0, 1, count),
        "about": np.frombuffer(b'{"model": "m", "names": [], "people": []}', np.uint8),
    }
    chosen = {name: value for name, value in columns.items() if rng.random() < (0.95 if name == "embedding" else 0.5)}
    for name in chosen:
        match rng.randrange(12):
            case 0:
                chosen[name] = _array(rng)
            case 1:
                chosen[name] = np.array([{"a": 1}] * 3, dtype=object)
            case 2:
                chosen[name] = np.array(rng.choice((["\ud800"], [b"\xff"], ["a\0b", "\0"])))
            case _:
                pass
    buffer = io.BytesIO()
    (np.savez if rng.random() < 0.5 else np.savez_compressed)(buffer, **chosen)
    data = buffer.getvalue()
    if rng.random() < 0.5:
        return damage(rng, data)
    return _rewritten(rng, data) if rng.random() < 0.5 else data


def _rewritten(rng: Random, data: bytes) -> bytes:
    """Damage a member of an archive whose checksums fit again."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        names = old.namelist()
        chosen = rng.choice(names) if names else ""
        for name in names:
            body = old.read(name)
            new.writestr(
                rng.choice((name, name, "other.npy", "../x.npy", "embedding")) if name == chosen else name,
                _npy_damage(rng, body) if name == chosen else body,
            )
    return buffer.getvalue()


def _npy_damage(rng: Random, data: bytes) -> bytes:
    """Damage an .npy file, above all its header: its shape, its type, its length."""
    head = data[10:128]
    claims = (
        b"(%d,)" % rng.choice(BOUNDARIES),
        b"(%d, %d)" % (rng.choice(BOUNDARIES), rng.choice(BOUNDARIES)),
        b"(-1, 4)",
        b"()",
    )
    match rng.randrange(5):
        case 0:
            begin, end = head.find(b"("), head.find(b")") + 1
            head = head[:begin] + rng.choice(claims) + head[end:]
            return data[:10] + head[:118].ljust(118) + data[128:]
        case 1:
            kind = rng.choice(
                (
                    b"'|O'",
                    b"'<f8'",
                    b"'V9'",
                    b"'<M8'",
                    b"[('a','<f4')]",
                    b"'<f4,<i8'",
                    b"'|S0'",
                    b"'<U0'",
                    b"__import__",
                )
            )
            begin = head.find(b"'<f4'")
            if begin >= 0:
                head = head[:begin] + kind + head[begin + 5 :]
            return data[:10] + head[:118].ljust(118) + data[128:]
        case _:
            return damage(rng, data)


def _npy(rng: Random) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, _array(rng))
    return _npy_damage(rng, buffer.getvalue())


def _csv(rng: Random) -> bytes:
    return damage(rng, CSV) if rng.random() < 0.9 else CSV


_SERVER_ERRORS = (ModelError, ErsError)
_CORPUS_PLAN = CorpusPlan()

FORMS: dict[str, Form] = {
    "profile": Form(".json", _profile, _use_profile, (ModelError, InvalidProfile)),
    "profile-of-client": Form(".json", _profile, read_profile_file, (click.ClickException,)),
    "manifest": Form(".toml", _manifest, _use_manifest, (ModelError,)),
    "config": Form(".toml", _config, _use_config, ()),
    "thresholds-npz": Form(".npz", _npz, LabelledEmbeddings.read, _SERVER_ERRORS),
    "calibrate-npz": Form(".npz", _npz, read_embeddings, _SERVER_ERRORS),
    "evaluate-npz": Form(".npz", _npz, lambda path: read_corpus(path, "m", _CORPUS_PLAN), _SERVER_ERRORS),
    "evaluate-npy": Form(".npz", _npy, lambda path: read_corpus(path, "m", _CORPUS_PLAN), _SERVER_ERRORS),
    "client-npy": Form(".npy", _npy, read_client_embeddings, (click.ClickException,)),
    "client-npz": Form(".npz", _npz, read_source, (click.ClickException,)),
    "client-labelled": Form(".npz", _npz, read_labelled, (click.ClickException,)),
    "client-csv": Form(".csv", _csv, read_source, (click.ClickException,)),
    **SERVER_FORMS,
}
