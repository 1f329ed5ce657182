"""Apply what a calibration found, where nothing has changed since it was asked for."""

from dataclasses import dataclass
from typing import Any

from ersgallery_index.errors import CalibrationFailed

from ersgallery_server.call import Call
from ersgallery_server.gallery.galleries import Galleries, GalleryChange
from ersgallery_server.gallery.gallery import Gallery


@dataclass(frozen=True, slots=True, eq=False)
class Application:
    """Whether a setting was applied: the gallery's version since then, or why it was not."""

    version: int | None = None
    error: Exception | None = None


def apply_setting(
    galleries: Galleries, gallery: Gallery, version: int, fields: dict[str, Any], *, supported: bool
) -> Application:
    """Update a gallery whose settings are still of this version; what forbids it is in the result and not raised."""
    if not supported:
        return Application(error=CalibrationFailed("UNSUPPORTED", "the data does not support it, so it is not applied"))
    try:
        record = galleries.update(gallery, GalleryChange(fields), version, Call())
    except Exception as error:  # noqa: BLE001 - what was measured must not be lost because it cannot be applied
        return Application(error=error)
    return Application(version=record.version)
