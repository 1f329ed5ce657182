"""Results as JSON documents: the field names of the client's values are the keys."""

import dataclasses
import enum
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from ersgallery_client.errors import GalleryError


def plain(value: Any) -> Any:  # noqa: PLR0911 (one per kind of value)
    """Return what json.dumps takes; numbers that are none become null, errors {reason, message}."""
    match value:
        case enum.Enum():
            return value.value
        case None | str() | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return value.isoformat()
        case np.ndarray() | np.generic():
            return plain(value.tolist())
        case GalleryError():
            return {"reason": value.reason, "message": value.message}
        case Mapping():
            return {str(key): plain(entry) for key, entry in value.items()}
        case _ if dataclasses.is_dataclass(value):
            return {entry.name: plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    return [plain(entry) for entry in value]
