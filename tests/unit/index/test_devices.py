"""Devices by name, and the proof at start-up."""

import sys

import numpy as np
import pytest
from ersgallery_index import Device, DeviceUnavailable, open_index, parse_device
from ersgallery_index.backends import devices
from ersgallery_index.backends.accelerator import Proposed
from ersgallery_index.backends.cuda_driver import CudaDriver
from ersgallery_index.backends.faiss_library import faiss_module, gpu_count
from ersgallery_index.backends.gpu import GpuBackend
from ersgallery_index.backends.lanes import Lane
from ersgallery_index.backends.proposers import Backend, CpuBackend, HostProposer, Proposer
from ersgallery_index.backends.selection import PARTS
from ersgallery_index.backends.self_test import prove
from ersgallery_index.interface import FloatRows, IndexKind
from ersgallery_index.sums import score_error

from tests.support.accelerators import HostAccelerator

without_gpu = pytest.mark.skipif(gpu_count() > 0, reason="this machine has a GPU")


def test_the_cpu_is_always_there() -> None:
    assert parse_device("cpu") == Device()
    assert str(Device()) == open_index(8, "cpu").device == "cpu"


@without_gpu
def test_auto_is_the_cpu_where_there_is_no_gpu() -> None:
    assert open_index(8).device == "cpu"


@without_gpu
def test_asking_for_a_gpu_that_is_not_there_is_an_error() -> None:
    for device in ("cuda:0", "cuda:0,1", "cuda:all"):
        with pytest.raises(DeviceUnavailable, match=f"{device} was asked for"):
            open_index(8, device)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for libcuda.so.1")
@without_gpu
def test_a_machine_without_a_driver_says_so() -> None:
    with pytest.raises(DeviceUnavailable, match="NVIDIA driver"):
        CudaDriver(0)


@pytest.mark.parametrize(
    "text", ["", "gpu", "cuda", "cuda:", "cuda:-1", "cuda:x", "CPU", "cuda:0 ", "cuda:0,", "cuda:,1", "cuda:all,0"]
)
def test_other_names_are_refused_with_the_ones_there_are(text: str) -> None:
    with pytest.raises(DeviceUnavailable, match="none of auto, cpu, cuda:N"):
        parse_device(text)


@pytest.mark.gpu
@pytest.mark.skipif(gpu_count() == 0, reason="this FAISS build sees no GPU")
def test_auto_and_cuda_0_open_the_first_gpu() -> None:
    assert open_index(8).device == open_index(8, "cuda:0").device == "cuda:0"


def test_opening_an_index_tunes_faiss_for_small_batches() -> None:
    faiss_module().cvar.distance_compute_blas_threshold = 128_000
    open_index(8, "cpu")
    assert faiss_module().cvar.distance_compute_blas_threshold == 2560


def test_the_self_test_accepts_a_backend_that_keeps_to_the_contract(backend: Backend) -> None:
    prove(backend)


class HalfPrecisionProposer(HostProposer):
    def propose(self, probes: FloatRows, rows: FloatRows, width: int, start: int = 0) -> Proposed:
        return super().propose(probes, rows.astype(np.float16).astype(np.float32), width, start)


class HalfPrecisionBackend(CpuBackend):
    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:  # noqa: ARG002  (the protocol's)
        return HalfPrecisionProposer()


def test_the_self_test_refuses_a_device_of_less_than_float32_precision() -> None:
    with pytest.raises(DeviceUnavailable, match="float32 precision"):
        prove(HalfPrecisionBackend())


class LosingProposer(HostProposer):
    """Never proposes what was appended last, as a device would that lost track of its rows."""

    def propose(self, probes: FloatRows, rows: FloatRows, width: int, start: int = 0) -> Proposed:
        return super().propose(probes, rows[:-20], width, start)


class LosingBackend(CpuBackend):
    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:  # noqa: ARG002  (the protocol's)
        return LosingProposer()


def test_the_self_test_refuses_a_device_that_loses_rows() -> None:
    with pytest.raises(DeviceUnavailable, match="does not propose the best rows"):
        prove(LosingBackend())


class StaleProposer(HostProposer):
    """Knows the rows that were appended first, and none that came later."""

    def __init__(self) -> None:
        self._first: int | None = None

    def append(self, rows: FloatRows) -> None:
        self._first = self._first or len(rows)

    def propose(self, probes: FloatRows, rows: FloatRows, width: int, start: int = 0) -> Proposed:
        return super().propose(probes, rows[: self._first], width, start)


class StaleBackend(CpuBackend):
    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:  # noqa: ARG002  (the protocol's)
        return StaleProposer()


def test_the_self_test_refuses_a_device_whose_answers_do_not_follow_changes() -> None:
    with pytest.raises(DeviceUnavailable, match="does not filter"):
        prove(StaleBackend())


class CoarseBackend(GpuBackend):
    """Says that its float16 rows are as good as float32."""

    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:
        proposer = super().open_proposer(dimension, rows, kind)
        proposer.error = score_error  # type: ignore[method-assign]  # a lie
        return proposer


def test_the_self_test_refuses_a_device_of_less_than_float16_precision() -> None:
    with pytest.raises(DeviceUnavailable, match="float16 precision"):
        prove(CoarseBackend(Lane(HostAccelerator(), spare_bytes=0), 64, 1024))


def test_the_self_test_accepts_selection_in_parts() -> None:
    card = HostAccelerator()
    prove(GpuBackend(Lane(card, spare_bytes=0, scores_bytes=4 * 8 * 70_000), 64, 1024))
    assert (PARTS, 70_000 // PARTS) in card.calls


@pytest.mark.parametrize("text", ["cuda:0,0", "cuda:1,0,1"])
def test_a_gpu_named_twice_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpu_count", lambda: 2)
    with pytest.raises(DeviceUnavailable, match="twice"):
        parse_device(text)


@pytest.mark.parametrize(
    ("text", "device"),
    [("cuda:all", "cuda:0,1,2"), ("cuda:2,0", "cuda:2,0"), ("cuda:1", "cuda:1"), ("auto", "cuda:0")],
)
def test_gpus_are_named_one_by_one_or_all(text: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpu_count", lambda: 3)
    assert str(parse_device(text)) == device
    assert parse_device(device) == parse_device(text)
