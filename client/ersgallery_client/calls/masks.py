"""The fields that an update changes."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from ersgallery_client.values.policies import Unset


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that were given, None among them."""
    return {name: value for name, value in fields.items() if not isinstance(value, Unset)}


def mask(fields: Mapping[str, Any]) -> FieldMask:
    """Return the mask of the given fields; raises ValueError without any, which would mean all that are set."""
    if not fields:
        raise ValueError("an update must name at least one field")
    return FieldMask(paths=sorted(fields))
