"""Every index backend runs through the same contract."""

import pytest
from ersgallery_index.backends.faiss_library import gpu_count
from ersgallery_index.backends.gpu import GpuBackend
from ersgallery_index.backends.proposers import Backend, CpuBackend

from tests.support.indexes import SMALL_SEGMENTS, SMALL_WIDEST, AddOnlyBackend, CodedBackend


@pytest.fixture(params=["cpu", "coded", "add-only", pytest.param("gpu", marks=pytest.mark.gpu)])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Give a backend with small segments."""
    if request.param == "gpu":
        if gpu_count() == 0:
            pytest.skip("this FAISS build sees no GPU")
        return GpuBackend(0, segment_rows=SMALL_SEGMENTS)
    if request.param == "add-only":
        return AddOnlyBackend()
    if request.param == "coded":
        return CodedBackend()
    return CpuBackend(SMALL_SEGMENTS, SMALL_WIDEST)
