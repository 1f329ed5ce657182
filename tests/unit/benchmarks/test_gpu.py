"""What of the benchmark of GPUs needs no GPU."""

import pytest
from ersgallery_index.backends.faiss_library import gpu_count

from tests.benchmarks.command import Options
from tests.benchmarks.cuda import CublasFailed, GpuLimits, cublas_path
from tests.benchmarks.gpu import measure, sizes

without_gpu = pytest.mark.skipif(gpu_count() > 0, reason="there is a GPU here")


def test_the_limit_is_the_bandwidth_for_few_probes_and_the_arithmetic_for_many() -> None:
    limits = GpuLimits(4e12, 50e12, 500e12)
    assert limits.search_s(10_000_000, 1, 512, 2) == pytest.approx(10.24e9 / 4e12)
    assert limits.search_s(10_000_000, 1024, 512, 2) == pytest.approx(1024 * 10.24e9 / 500e12)
    assert limits.search_s(10_000_000, 1024, 512, 4) == pytest.approx(1024 * 10.24e9 / 50e12)


def test_zero_faces_are_as_many_as_fit_in_round_numbers() -> None:
    assert sizes((1_000_000, 0), 40_123_456) == [1_000_000, 36_100_000]
    assert sizes((1_000_000, 0), None) == [1_000_000]


@without_gpu
def test_a_machine_without_a_gpu_says_so() -> None:
    (result,) = measure(Options((1000,), 1, 0.01))
    assert result.note == "left out: this FAISS build sees no GPU"


def test_the_cublas_that_is_loaded_is_taken() -> None:
    maps = "7f00-7f01 r-xp 0 08:01 1 /lib/libm.so.6\n7f02-7f03 r-xp 0 08:01 2 /venv/nvidia/lib/libcublas.so.12\n"
    assert cublas_path(maps) == "/venv/nvidia/lib/libcublas.so.12"


@without_gpu
def test_a_missing_cublas_is_named() -> None:
    with pytest.raises(CublasFailed, match="libcublas"):
        cublas_path("")
