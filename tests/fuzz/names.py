"""The small languages inside requests: page tokens, etags, resource names, ids."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from ersgallery_server.errors import ServiceError
from ersgallery_server.handlers import checks, names, paging
from ersgallery_server.store import PageKeyInvalid
from ersgallery_server.store.reading import integer_page_key, text_page_key

from tests.fuzz.case import Case, Finding
from tests.fuzz.damage import BOUNDARIES, TEXTS, damage

_LISTING = "galleries/full"
_SOUND = (
    "galleries/full", "galleries/full/subjects/ann", "galleries/full/subjects/-",
    "galleries/full/subjects/e\u0301ve/faces/12",
    "profiles/sface", "profiles/sface@1", "operations/" + "0" * 32, "12", "9223372036854775807", "9223372036854775808",
    "x",
)  # fmt: skip


def _page_key(text: str) -> None:
    for read in (text_page_key, integer_page_key):
        key = paging.page_key(_LISTING, text)
        if key is not None and read(key) not in (key, _number(key)):
            raise Finding(f"the page key {key!r} is read as {read(key)!r}")


def _number(key: str) -> int | None:
    return int(key) if key.isdigit() else None


def _etag(text: str) -> None:
    version = checks.etag_version(text)
    if version is not None and not -1 <= version < 1 << 63:
        raise Finding(f"the etag {text!r} is the version {version}")


def _face(text: str) -> None:
    gallery, subject, face = names.parse_face("face", text)
    again = names.face_name(gallery, subject, face)
    if names.parse_face("face", again) != (gallery, subject, face) or face >= 1 << 63:
        raise Finding(f"{text!r} is read as {again!r}")


def _subject_id(text: str) -> None:
    subject = names.subject_id("subject_id", text)
    if names.parse_subject("name", names.subject_name("g", subject)) != ("g", subject):
        raise Finding(f"the subject {text!r} has a name that is not read as {subject!r}")


READERS: dict[str, Callable[[str], Any]] = {
    "page-token": _page_key,
    "etag": _etag,
    "gallery": lambda text: names.parse_gallery("gallery", text),
    "subject": lambda text: names.parse_subject("subject", text),
    "subject-id": _subject_id,
    "face": _face,
    "profile": lambda text: names.parse_profile("profile", text),
    "operation": lambda text: names.parse_operation("operation", text),
    "text": lambda text: checks.check_text("text", text, 128),
}


class NameAttack:
    """Draws texts that are nearly right."""

    def draw(self, rng: Random) -> Case:
        """Return a text; what protobuf would not let through is left out, for it never comes here."""
        kind = rng.choice(list(READERS))
        text = rng.choice((*_SOUND, *TEXTS, str(rng.choice(BOUNDARIES))))
        if rng.random() < 0.7:
            text = damage(rng, text.encode(), [sound.encode() for sound in _SOUND]).decode(errors="ignore")
        if rng.random() < 0.2:
            place = rng.randint(0, len(text))
            text = text[:place] + chr(rng.choice((0x300, 0x1161, 0x660, 0x2028, 0xAD, 0x1F600, 0x2F800))) + text[place:]
        if kind == "page-token" and rng.random() < 0.8:
            listing = rng.choice((_LISTING, _LISTING, _LISTING, "other", ""))
            text = base64.urlsafe_b64encode(f"{listing}\n{text}".encode()).decode()
        return Case(kind, text.encode())

    def check(self, case: Case) -> str:
        """Read it."""
        try:
            READERS[case.kind](case.data.decode())
        except (ServiceError, PageKeyInvalid) as error:
            if not str(error):
                raise Finding(f"{case.kind} refused without a word") from error
            return f"{case.kind} refused"
        return f"{case.kind} read"

    def settle(self) -> None:
        """Nothing is kept."""


@contextmanager
def opened(_folder: Path) -> Iterator[NameAttack]:
    """Attack the readers as functions; the target `rpcs` sends the like to a server."""
    yield NameAttack()
