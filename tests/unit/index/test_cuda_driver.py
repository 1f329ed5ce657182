"""The calls to the CUDA driver, answered by a library of the same functions over host memory."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
from ersgallery_index import DeviceFull, DeviceUnavailable
from ersgallery_index.backends.cuda_driver import CudaDriver

COMPILER = shutil.which("cc")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")

# Two GPUs with the handles 40 and 41, and a context that must be current wherever the driver demands one.
SOURCE = r"""
#include <stdlib.h>
#include <string.h>
typedef unsigned long long Address;
static void *current; static char context; static size_t used;
#define DEMAND(condition) if (!(condition)) return 201
int cuInit(unsigned flags) { DEMAND(flags == 0); return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 40 + ordinal; return ordinal < 2 ? 0 : 101; }
int cuDevicePrimaryCtxRetain(void **found, int device) { DEMAND(device == 41); *found = &context; return 0; }
int cuCtxPushCurrent_v2(void *pushed) { DEMAND(pushed == &context && !current); current = pushed; return 0; }
int cuCtxPopCurrent_v2(void **popped) { DEMAND(current); *popped = current; current = 0; return 0; }
int cuCtxSynchronize(void) { DEMAND(current); return 0; }
int cuMemGetInfo_v2(size_t *unused, size_t *total) {
    DEMAND(current); *total = (size_t)80 << 30; *unused = *total - used; return 0;
}
int cuMemAlloc_v2(Address *address, size_t size) {
    DEMAND(current); if (size > (size_t)8 << 30) return 2;
    used += size; *address = (Address)(size_t)malloc(size); return 0;
}
int cuMemFree_v2(Address address) { DEMAND(current); free((void *)(size_t)address); return 0; }
int cuMemHostAlloc(void **address, size_t size, unsigned flags) {
    DEMAND(current && flags == 0); *address = malloc(size); return 0;
}
int cuMemcpyHtoD_v2(Address target, const void *source, size_t size) {
    DEMAND(current); memcpy((void *)(size_t)target, source, size); return 0;
}
int cuMemsetD8_v2(Address target, unsigned char value, size_t size) {
    DEMAND(current); memset((void *)(size_t)target, value, size); return 0;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("driver")
    (folder / "driver.c").write_text(SOURCE, encoding="ascii")
    built = folder / "libdriver.so"
    command = [str(COMPILER), "-shared", "-fPIC", "-o", str(built), str(folder / "driver.c")]
    subprocess.run(command, check=True, timeout=60)
    return str(built)


def test_bytes_are_written_and_cleared_where_they_belong(library: str) -> None:
    driver = CudaDriver(1, library)
    address = driver.allocate(4096)
    stored = np.ctypeslib.as_array((ctypes.c_uint8 * 4096).from_address(address))
    stored[:] = 9
    pinned = driver.pinned(1000)
    pinned[:] = np.arange(1000) % 250
    driver.write(address + 100, pinned[:500])
    driver.clear(address + 200, 50)
    driver.finish()
    assert set(stored[:100].tolist()) == set(stored[600:].tolist()) == {9}
    assert stored[100:200].tolist() == pinned[:100].tolist()
    assert not stored[200:250].any()
    assert stored[250:600].tolist() == pinned[150:500].tolist()
    driver.release(address)


def test_sizes_beyond_32_bits_are_told_in_full(library: str) -> None:
    driver = CudaDriver(1, library)
    free, total = driver.memory()
    address = driver.allocate(5 << 30)
    assert (total, free - driver.memory()[0]) == (80 << 30, 5 << 30)
    driver.release(address)


def test_a_lack_of_memory_is_told_from_other_errors(library: str) -> None:
    driver = CudaDriver(1, library)
    with pytest.raises(DeviceFull, match="cuMemAlloc"):
        driver.allocate(9 << 30)
    with pytest.raises(DeviceUnavailable, match="cuDeviceGet with error 101"):
        CudaDriver(2, library)


def test_a_driver_that_is_not_there_is_named() -> None:
    with pytest.raises(DeviceUnavailable, match=r"no NVIDIA driver \(libnone.so\)"):
        CudaDriver(0, "libnone.so")
