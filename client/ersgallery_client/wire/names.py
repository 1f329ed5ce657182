"""Resource names of the contract, made from ids and taken apart again."""

from ersgallery_client.errors import FieldViolation, InvalidRequest

ALL_SUBJECTS = "-"


def gallery_name(gallery_id: str) -> str:
    """Return galleries/{gallery}."""
    return f"galleries/{_part('gallery', gallery_id)}"


def subject_name(gallery_id: str, subject_id: str) -> str:
    """Return galleries/{gallery}/subjects/{subject}."""
    return f"{gallery_name(gallery_id)}/subjects/{_part('subject', subject_id)}"


def face_name(gallery_id: str, subject_id: str, face_id: int) -> str:
    """Return galleries/{gallery}/subjects/{subject}/faces/{face}."""
    return f"{subject_name(gallery_id, subject_id)}/faces/{face_id}"


def profile_name(profile: str) -> str:
    """Return profiles/{profile}, with @{version} where it is given."""
    return f"profiles/{_part('profile', profile)}"


def operation_name(operation_id: str) -> str:
    """Return operations/{operation}."""
    return f"operations/{_part('operation', operation_id)}"


def split_face(name: str) -> tuple[str, str, int]:
    """Return the gallery, the subject and the face of a face's name."""
    parts = name.split("/")
    return parts[1], parts[3], int(parts[5])


def split_subject(name: str) -> tuple[str, str]:
    """Return the gallery and the subject of a subject's or face's name."""
    parts = name.split("/")
    return parts[1], parts[3]


def last_part(name: str) -> str:
    """Return the id at the end of a name; empty for an empty name."""
    return name.rpartition("/")[2]


def _part(field: str, identifier: str) -> str:
    """Refuse an id that would make the name of something else."""
    if not identifier or "/" in identifier:
        problem = 'must not be empty and must not contain "/"'
        raise InvalidRequest(f"{field} {problem}", violations=(FieldViolation(field, problem),))
    return identifier
