"""The faces a profile is made from."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.profiling.aligned_faces import AlignedFaces

from tests.support.images import encode
from tests.support.package_index import sdist

FACES = AlignedFaces({"Ann/1.jpg": b"a", "Ann/2.jpg": b"b", "Bob/1.jpg": b"c"})


def test_somebody_left_out_is_left_out_with_every_photograph() -> None:
    assert FACES.without(["Ann"]).names == ("Bob/1.jpg",)
    assert FACES.without([]).names == FACES.names


def test_nobody_can_be_left_out_who_is_not_there() -> None:
    with pytest.raises(CalibrationFailed, match="nobody named Eve"):
        FACES.without(["Ann", "Eve"])


def test_faces_are_the_same_from_a_tar_file_and_from_a_folder(tmp_path: Path) -> None:
    images = {f"person{i}/{i}.png": encode(np.full((112, 112, 3), i, np.uint8), "PNG") for i in range(3)}
    (tmp_path / "faces.tar.gz").write_bytes(sdist({**images, "notes.txt": b"x"}))
    for name, data in images.items():
        (tmp_path / "faces" / name).parent.mkdir(parents=True)
        (tmp_path / "faces" / name).write_bytes(data)
    packed, unpacked = AlignedFaces.open(tmp_path / "faces.tar.gz"), AlignedFaces.open(tmp_path / "faces")
    assert packed.names == unpacked.names == tuple(images)
    assert packed.sha256 == unpacked.sha256 != packed.subset(packed.names[:2]).sha256
    assert np.array_equal(packed.crop("person2/2.png"), unpacked.crop("person2/2.png"))
    assert packed.by_identity()["person1"] == ["person1/1.png"]


@pytest.mark.parametrize("size", [(111, 112), (113, 113), (50, 50)])
def test_a_photograph_that_is_no_aligned_crop_is_an_error(size: tuple[int, int]) -> None:
    given = AlignedFaces({"p/a.png": encode(np.zeros((*size, 3), np.uint8), "PNG")})
    with pytest.raises(CalibrationFailed, match=r"p/a\.png"):
        given.crop("p/a.png")


def test_a_source_without_faces_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.tar").write_bytes(b"no tar file")
    for place in ("empty", "no.tar", "missing"):
        with pytest.raises(CalibrationFailed):
            AlignedFaces.open(tmp_path / place)


def test_a_tar_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "faces.tar"
    with tarfile.open(path, "w") as archive:
        for i in range(3):
            data = encode(np.full((112, 112, 3), i, np.uint8), "PNG")
            member = tarfile.TarInfo(f"person{i}/a.png")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        end = archive.offset
    whole = path.read_bytes()
    assert len(AlignedFaces.open(path).names) == 3
    for cut in range(0, end + 1, 128):
        path.write_bytes(whole[:cut])
        with pytest.raises(CalibrationFailed):
            AlignedFaces.open(path)


def test_a_tar_file_with_a_size_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "faces.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a/1.jpg")
        member.pax_headers = {"size": str(1 << 64)}
        archive.addfile(member)
    with pytest.raises(CalibrationFailed, match="cannot be read"):
        AlignedFaces.open(tmp_path / "faces.tar")
