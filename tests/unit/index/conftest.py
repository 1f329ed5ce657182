"""Every index backend runs through the same contract."""

import pytest
from ersgallery_index.backends.devices import lane_of
from ersgallery_index.backends.faiss_library import gpu_count
from ersgallery_index.backends.gpu import GpuBackend
from ersgallery_index.backends.proposers import Backend, CpuBackend

from tests.support.accelerators import FAST_FROM, LARGEST, SMALLEST, small_gpu, two_small_gpus
from tests.support.indexes import SMALL_SEGMENTS, SMALL_WIDEST, AddOnlyBackend, CodedBackend, MultiplyingBackend

REAL_GPUS = [pytest.param(name, marks=pytest.mark.gpu) for name in ("gpu", "gpu-float16")]


@pytest.fixture(params=["cpu", "multiplying", "coded", "add-only", "host", "host-float16", "host-sharded", *REAL_GPUS])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Give a backend with small segments."""
    name, float16 = request.param.removesuffix("-float16"), request.param.endswith("-float16")
    if name == "gpu":
        if gpu_count() == 0:
            pytest.skip("this FAISS build sees no GPU")
        return GpuBackend(lane_of(0), SMALLEST, LARGEST, 0 if float16 else FAST_FROM, SMALL_WIDEST)
    if name == "host":
        return small_gpu(fast_from=0 if float16 else FAST_FROM)
    if name == "host-sharded":
        return two_small_gpus()
    ours: dict[str, type[CpuBackend]] = {
        "multiplying": MultiplyingBackend,
        "add-only": AddOnlyBackend,
        "coded": CodedBackend,
    }
    if name in ours:
        return ours[name]()
    return CpuBackend(SMALL_SEGMENTS, SMALL_WIDEST)
