"""Devices by name, and the index that is opened on one."""

import re
from dataclasses import dataclass
from pathlib import Path

from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.faiss_library import gpu_count
from ersgallery_index.backends.gpu import GpuBackend
from ersgallery_index.backends.proposers import CpuBackend
from ersgallery_index.backends.self_test import prove
from ersgallery_index.errors import DeviceUnavailable
from ersgallery_index.interface import VectorIndex


@dataclass(frozen=True, slots=True)
class Device:
    """The CPU (ordinal None), or a GPU by its CUDA number."""

    ordinal: int | None

    def __str__(self) -> str:
        return "cpu" if self.ordinal is None else f"cuda:{self.ordinal}"


def parse_device(text: str) -> Device:
    """Return the device that `auto`, `cpu` or `cuda:N` means on this machine.

    auto is the first GPU where this FAISS build can use one, else the CPU. Raises DeviceUnavailable for anything else,
    and for a GPU that is not there: there is no fallback for a device that was asked for.
    """
    if text == "cpu":
        return Device(None)
    if text == "auto":
        return Device(0 if gpu_count() > 0 else None)
    match = re.fullmatch(r"cuda:(\d{1,3})", text)
    if match is None:
        raise DeviceUnavailable(f"device {text!r} is none of auto, cpu, cuda:N")
    ordinal, present = int(match.group(1)), gpu_count()
    if ordinal >= present:
        raise DeviceUnavailable(f"{text} was asked for, but this FAISS build sees {present} GPUs")
    return Device(ordinal)


def open_index(dimension: int, device: str = "auto", rows_folder: Path | None = None) -> VectorIndex:
    """Open an empty exact index for vectors of this dimension.

    rows_folder: on a CPU, where to keep the float32 rows in files instead of memory.
    On a GPU it first proves there, against the CPU, that removed faces and faces below a gate are kept out.
    Raises DeviceUnavailable when the device is not there or fails that test, DeviceFull when its memory is taken.
    """
    place = parse_device(device)
    if place.ordinal is None:
        return ExactIndex(dimension, CpuBackend(rows_folder=rows_folder))
    backend = GpuBackend(place.ordinal)
    prove(backend)
    return ExactIndex(dimension, backend)
