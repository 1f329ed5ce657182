"""The implementations of VectorIndex."""

from ersgallery_index.backends.devices import Device, open_index, parse_device

__all__ = ["Device", "open_index", "parse_device"]
