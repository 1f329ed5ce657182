import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from ersgallery_client import Embedding
from ersgallery_client.cli.labelled import read_labelled
from ersgallery_client.cli.sources import Source, read_embeddings, read_source


def pairs(source: Source) -> list[tuple[str, str]]:
    return [(item.enrollment.subject_id, Path(item.label).name) for item in source.items]


def test_sub_folders_are_subjects_and_other_files_are_reported(photographs: Path) -> None:
    source = read_source(photographs)
    assert pairs(source) == [("ada", "1.jpg"), ("ada", "2.PNG"), ("bob", "1.webp")]
    assert sorted(path.name for path in source.ignored) == ["loose.jpg", "notes.txt"]


def test_without_sub_folders_the_file_names_are_subjects(photographs: Path) -> None:
    assert pairs(read_source(photographs / "ada")) == [("1", "1.jpg"), ("2", "2.PNG")]


def test_a_csv_names_subject_file_media_and_display_name(tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text("subject,file,media_id,display_name\nada,a/1.jpg,video-1,Ada Lovelace\nbob,2.jpg,,\n", "utf-8-sig")
    first, second = (item.enrollment for item in read_source(table).items)
    assert (first.subject_id, first.source, first.media_id, first.subject_display_name) == (
        "ada",
        tmp_path / "a/1.jpg",
        "video-1",
        "Ada Lovelace",
    )
    assert (second.subject_id, second.media_id) == ("bob", "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,file\nada,1.jpg\n", "no column subject"),
        ("subject,file\nada,1.jpg\n,2.jpg\n", "line 3"),
        ("subject,file\nada\n", "line 2"),
        ("subject,file\n", "nothing to enrol"),
        ("", "no column file and no column subject"),
    ],
)
def test_a_csv_that_cannot_be_used_says_why(tmp_path: Path, text: str, problem: str) -> None:
    table = tmp_path / "people.csv"
    table.write_text(text)
    with pytest.raises(click.ClickException, match=problem):
        read_source(table)


def test_an_npz_gives_an_embedding_per_row(tmp_path: Path) -> None:
    file = tmp_path / "faces.npz"
    np.savez(file, embedding=np.eye(2, dtype=np.float16), subject=np.array(["ada", "bob"]))
    first, second = read_source(file, "sface").items
    assert (first.label, first.enrollment.subject_id) == (f"{file}[0]", "ada")
    assert isinstance(second.enrollment.source, Embedding)
    assert second.enrollment.source.model == "sface"
    assert np.asarray(second.enrollment.source.values).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"embedding": np.eye(2)}, "no array subject"),
        ({"embedding": np.eye(2), "subject": np.array(["ada"])}, "2 embeddings and subjects of shape"),
        ({"embedding": np.array([["a"]]), "subject": np.array(["ada"])}, "must be floats"),
        ({"embedding": np.zeros((1, 1, 1)), "subject": np.array(["ada"])}, "must be floats"),
        ({"embedding": np.eye(1), "subject": np.array([object()])}, "Python objects"),
    ],
)
def test_an_npz_that_cannot_be_used_says_why(tmp_path: Path, arrays: dict[str, Any], problem: str) -> None:
    file = tmp_path / "faces.npz"
    np.savez(file, **arrays)
    with pytest.raises(click.ClickException, match=problem):
        read_source(file)


def test_a_damaged_npz_says_so(tmp_path: Path) -> None:
    file = tmp_path / "faces.npz"
    np.savez(file, embedding=np.eye(2), subject=np.array(["ada", "bob"]))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(click.ClickException, match="damaged"):
        read_source(file)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 3)])
def test_an_npy_holds_one_embedding_or_several(tmp_path: Path, shape: tuple[int, ...]) -> None:
    file = tmp_path / "probe.npy"
    np.save(file, np.ones(shape))
    assert read_embeddings(file).shape == (shape if len(shape) == 2 else (1, 3))


def test_another_kind_of_file_is_no_source(photographs: Path) -> None:
    with pytest.raises(click.ClickException, match="neither a folder"):
        read_source(photographs / "ada" / "1.jpg")


def archive(path: Path, name: str, body: bytes, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr(name, body)


def npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def test_damaged_arrays_are_refused_with_a_sentence_whatever_numpy_makes_of_them(tmp_path: Path) -> None:
    file = tmp_path / "faces.npz"
    for body in (
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1 << 40, 4), }\n"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776), }\n"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (274877906944, 64), }\n"),
        npy("{'descr': '<f4', 'fortran_order': ((("),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n") + pickle.dumps([1]),
        b"no array",
    ):
        archive(file, "embedding.npy", body)
        with pytest.raises(click.ClickException, match=r"cannot be read: it is damaged|has no array embedding"):
            read_embeddings(file)
    np.savez_compressed(file, embedding=np.arange(1000, dtype=np.float32).reshape(100, 10))
    whole = file.read_bytes()
    for cut in (
        whole[:60] + b"\xff\x00" * 20 + whole[100:],
        whole[:-1000],
        whole.replace(b"PK\x03\x04", b"PK\x03\x05", 1),
    ):
        file.write_bytes(cut)
        with pytest.raises(click.ClickException, match="cannot be read: it is damaged"):
            read_embeddings(file)


def test_labels_and_tables_that_are_no_utf_8_are_refused_with_a_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "faces.npz", embedding=np.eye(2, dtype=np.float32), subject=np.array([b"a", b"\xff"]))
    with pytest.raises(click.ClickException, match="`subject` is no UTF-8"):
        read_labelled(tmp_path / "faces.npz")
    (tmp_path / "people.csv").write_bytes(b"subject,file\n\xff,1.jpg\n")
    with pytest.raises(click.ClickException, match="is no CSV in UTF-8"):
        read_source(tmp_path / "people.csv")
