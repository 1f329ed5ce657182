"""What can be wrong with a model package, a download or a profile file. `reason` is stable; the text is for people.

ModelError
 +- UnknownModel          the catalogue has no such model
 +- InvalidManifest       a manifest in the catalogue cannot be used
 +- LicenceNotAccepted    a non-commercial licence was not accepted
 +- ModelNotInstalled     a file of the model is missing
 +- HashMismatch          bytes are not those that were pinned
 +- TooLarge              a download or an archive member is larger than allowed
 +- InvalidArchive        an archive is corrupt, unsafe, or lacks a member
 +- SourceUnavailable     no network, or the source does not have the file
 +- StorageFailed         the disk is full or the folder cannot be written
 +- InvalidProfileFile    a profile file is truncated, corrupt, or of another schema
 +- ProfileNotFound       no profile under that name
 +- CalibrationFailed     the faces given do not yield a sound profile
"""

from typing import ClassVar


class ModelError(Exception):
    """Base of every error this package raises on purpose."""

    reason: ClassVar[str] = "MODEL_ERROR"


class UnknownModel(ModelError):
    """The catalogue has no model of this name."""

    reason = "MODEL_UNKNOWN"

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no model {name!r}; known models: {', '.join(known)}")
        self.name = name
        self.known = known


class InvalidManifest(ModelError):
    """A model manifest cannot be used."""

    reason = "MODEL_MANIFEST_INVALID"


class LicenceNotAccepted(ModelError):
    """The model's licence forbids commercial use and was not accepted; `licences` are their ids."""

    reason = "MODEL_LICENCE_NOT_ACCEPTED"

    def __init__(self, name: str, licences: tuple[str, ...]) -> None:
        super().__init__(
            f"model {name} is for non-commercial use only ({', '.join(licences)}); accept its licence to install it"
        )
        self.name = name
        self.licences = licences


class ModelNotInstalled(ModelError):
    """A file of the model is missing from the models directory."""

    reason = "MODEL_NOT_INSTALLED"


class HashMismatch(ModelError):
    """Bytes have another SHA-256 than the one pinned for them."""

    reason = "MODEL_HASH_MISMATCH"

    def __init__(self, what: str, expected: str, found: str) -> None:
        super().__init__(f"{what} has SHA-256 {found}, expected {expected}")
        self.expected = expected
        self.found = found


class TooLarge(ModelError):
    """A download or an archive member is larger than allowed."""

    reason = "DOWNLOAD_TOO_LARGE"


class InvalidArchive(ModelError):
    """An archive is corrupt, unsafe to unpack, or lacks the member wanted."""

    reason = "ARCHIVE_INVALID"


class SourceUnavailable(ModelError):
    """A source cannot be reached or does not have the file."""

    reason = "SOURCE_UNAVAILABLE"


class StorageFailed(ModelError):
    """The disk is full or the folder cannot be written."""

    reason = "STORAGE_FAILED"


class InvalidProfileFile(ModelError):
    """A profile file is truncated, corrupt, or of another schema."""

    reason = "PROFILE_FILE_INVALID"


class ProfileNotFound(ModelError):
    """There is no profile under that name."""

    reason = "PROFILE_NOT_FOUND"


class CalibrationFailed(ModelError):
    """The faces given do not yield a sound profile."""

    reason = "CALIBRATION_FAILED"
