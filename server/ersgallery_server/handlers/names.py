"""Resource names: galleries/{g}/subjects/{s}/faces/{f} and profiles/{p}@{version}.

Subjects are called as people are, so their ids are Unicode. They are taken in its normal form C, whichever a caller
types: macOS writes the names of files in another.
"""

import re
import unicodedata

from ersgallery_server.errors import InvalidRequest

GALLERY_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
SUBJECT_ID = re.compile(r"[^/\x00-\x1f\x7f-\x9f]{1,128}")
OPERATION_ID = re.compile(r"[0-9a-f]{32}")
FACE_ID = re.compile(r"[0-9]{1,18}")
GALLERY_RULE = 'must be 1 to 63 of a-z, 0-9 and "-", beginning with a letter'
SUBJECT_RULE = 'must be 1 to 128 characters without "/" and control characters, and not "-"'
ANY_SUBJECT = "-"


def gallery_name(gallery_id: str) -> str:
    """Return the name of a gallery."""
    return f"galleries/{gallery_id}"


def subject_name(gallery_id: str, subject_id: str) -> str:
    """Return the name of a subject."""
    return f"galleries/{gallery_id}/subjects/{subject_id}"


def face_name(gallery_id: str, subject_id: str, face_id: int) -> str:
    """Return the name of a face."""
    return face_of(subject_name(gallery_id, subject_id), face_id)


def face_of(subject: str, face_id: int) -> str:
    """Return the name of a face of a subject that is given by its name."""
    return f"{subject}/faces/{face_id}"


def parse_gallery(field: str, name: str) -> str:
    """Return the gallery's id; raises InvalidRequest naming the field."""
    (gallery_id,) = _parse(field, name, "galleries/{gallery}")
    return gallery_id


def gallery_of(name: str) -> str:
    """Return the id of the gallery that a name lies in or is of, empty for another name; whether it exists is open."""
    collection, _, rest = unicodedata.normalize("NFC", name).partition("/")
    return rest.partition("/")[0] if collection == "galleries" else ""


def subject_id(field: str, text: str) -> str:
    """Return the id of one subject, in normal form C; raises InvalidRequest naming the field."""
    normal = unicodedata.normalize("NFC", text)
    if not SUBJECT_ID.fullmatch(normal) or normal == ANY_SUBJECT:
        raise InvalidRequest.field(field, SUBJECT_RULE)
    return normal


def parse_subject(field: str, name: str) -> tuple[str, str]:
    """Return the gallery's and the subject's id, which may be ANY_SUBJECT; raises InvalidRequest naming the field."""
    gallery_id, subject = _parse(field, name, "galleries/{gallery}/subjects/{subject}")
    return gallery_id, subject


def parse_operation(field: str, name: str) -> str:
    """Return the operation's id; raises InvalidRequest naming the field."""
    collection, _, operation_id = name.partition("/")
    if collection != "operations" or not OPERATION_ID.fullmatch(operation_id):
        raise InvalidRequest.field(field, "must be operations/{operation}, as the call that began it said")
    return operation_id


def parse_face(field: str, name: str) -> tuple[str, str, int]:
    """Return the gallery's, the subject's and the face's id; raises InvalidRequest naming the field."""
    gallery_id, subject, face_id = _parse(field, name, "galleries/{gallery}/subjects/{subject}/faces/{face}")
    return gallery_id, subject, int(face_id)


def parse_profile(field: str, name: str) -> tuple[str, int | None]:
    """Return a profile's id and version, None for the newest; raises InvalidRequest naming the field."""
    (reference,) = _parse(field, name, "profiles/{profile}")
    profile_id, at, version = reference.partition("@")
    if not GALLERY_ID.fullmatch(profile_id) or (at and not re.fullmatch(r"[1-9][0-9]{0,8}", version)):
        raise InvalidRequest.field(field, "must be profiles/{profile} or profiles/{profile}@{version}")
    return profile_id, int(version) if at else None


_RULES = {
    "{gallery}": (GALLERY_ID, GALLERY_RULE),
    "{subject}": (SUBJECT_ID, SUBJECT_RULE),
    "{face}": (FACE_ID, "must be 1 to 18 digits"),
    "{profile}": (re.compile(r"[^/]+"), GALLERY_RULE),
}


def _parse(field: str, name: str, form: str) -> list[str]:
    """Return the parts of a name that its form has in braces."""
    parts, wanted = unicodedata.normalize("NFC", name).split("/"), form.split("/")
    pairs = list(zip(wanted, parts, strict=False))
    if len(parts) != len(wanted) or any(part != want for want, part in pairs if want not in _RULES):
        raise InvalidRequest.field(field, f"must be {form}")
    given = [(want, part) for want, part in pairs if want in _RULES]
    for want, part in given:
        pattern, rule = _RULES[want]
        if not pattern.fullmatch(part):
            raise InvalidRequest.field(field, f"must be {form}; {want} {rule}")
    return [part for _, part in given]
