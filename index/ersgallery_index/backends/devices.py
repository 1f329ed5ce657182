"""Devices by name, and the index that is opened on them."""

import functools
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.faiss_library import gpu_count
from ersgallery_index.backends.gpu import FEW_SCORES_BYTES, SPARE_BYTES, CudaGpu, GpuBackend
from ersgallery_index.backends.lanes import Lane
from ersgallery_index.backends.proposers import Backend, CpuBackend
from ersgallery_index.backends.self_test import prove
from ersgallery_index.backends.sharding import ShardedBackend
from ersgallery_index.errors import DeviceUnavailable
from ersgallery_index.interface import VectorIndex

_OPENING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Device:
    """The CPU (no ordinals), or GPUs by their CUDA numbers, over which an index is spread."""

    ordinals: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"cuda:{','.join(map(str, self.ordinals))}" if self.ordinals else "cpu"


def parse_device(text: str) -> Device:
    """Return the device that `auto`, `cpu`, `cuda:N`, `cuda:N,M` or `cuda:all` means on this machine.

    auto is the first GPU where this FAISS build can use one, else the CPU. Raises DeviceUnavailable for anything else,
    and for a GPU that is not there or named twice: there is no fallback for a device that was asked for.
    """
    if text == "cpu":
        return Device()
    if text == "auto":
        return Device((0,) if gpu_count() > 0 else ())
    if re.fullmatch(r"cuda:(all|\d{1,3}(,\d{1,3})*)", text) is None:
        raise DeviceUnavailable(f"device {text!r} is none of auto, cpu, cuda:N, cuda:N,M and cuda:all")
    present = gpu_count()
    named = range(present) if text == "cuda:all" else map(int, text.removeprefix("cuda:").split(","))
    ordinals = tuple(named)
    if not ordinals or max(ordinals) >= present:
        raise DeviceUnavailable(f"{text} was asked for, but this FAISS build sees {present} GPUs")
    if len(set(ordinals)) < len(ordinals):
        raise DeviceUnavailable(f"{text} names a GPU twice")
    return Device(ordinals)


def open_index(dimension: int, device: str = "auto", rows_folder: Path | None = None) -> VectorIndex:
    """Open an empty exact index for vectors of this dimension.

    rows_folder: where to keep the host's float32 rows in files instead of memory.
    A GPU that is opened for the first time proves, against the CPU, that removed faces and faces below a gate are kept
    out, and that its scores are as precise as the search takes them to be.
    Raises DeviceUnavailable when the device is not there or fails that test, DeviceFull when its memory is taken.
    """
    place = parse_device(device)
    host = CpuBackend(rows_folder=rows_folder)
    if not place.ordinals:
        return ExactIndex(dimension, host)
    shards: list[Backend] = [GpuBackend(lane_of(ordinal), rows_folder=rows_folder) for ordinal in place.ordinals]
    if len(shards) == 1:
        return ExactIndex(dimension, shards[0])
    return ExactIndex(
        dimension, ShardedBackend(str(place), shards, CpuBackend(code_rows=None, rows_folder=rows_folder))
    )


def lane_of(ordinal: int) -> Lane:
    """Return the lane of a GPU, which all indexes on it share. Raises as open_index does."""
    with _OPENING:
        return _proven_lane(ordinal)


@functools.cache
def _proven_lane(ordinal: int) -> Lane:
    lane = Lane(CudaGpu(ordinal), SPARE_BYTES, FEW_SCORES_BYTES)
    prove(GpuBackend(lane))
    return lane
