"""What only a GPU can show: the calls to CUDA and to FAISS."""

import gc

import numpy as np
import pytest
from ersgallery_index import By, IndexKind, open_index
from ersgallery_index.backends.accelerator import Matrix
from ersgallery_index.backends.devices import lane_of
from ersgallery_index.backends.faiss_library import gpu_count
from ersgallery_index.backends.gpu import GpuBackend, row_bytes

from tests.support.indexes import ask, put, rows_of, tidied, unit_rows

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(gpu_count() == 0, reason="this FAISS build sees no GPU"),
]


@pytest.mark.parametrize("kind", [IndexKind.EXACT, IndexKind.FAST])
@pytest.mark.parametrize(("dimension", "probes"), [(512, 1), (512, 700), (128, 1500), (24, 1100)])
def test_a_gpu_answers_as_the_cpu(kind: IndexKind, dimension: int, probes: int) -> None:
    random = np.random.default_rng(dimension)
    faces = unit_rows(random.standard_normal((30_000, dimension)))
    faces[1000:1020] = faces[1000]
    asked = unit_rows(faces[:probes] + 0.1 * random.standard_normal((probes, dimension)))
    on_gpu, on_cpu = open_index(dimension, "cuda:0"), open_index(dimension, "cpu")
    for index in (on_gpu, on_cpu):
        index.set_kind(kind)
        put(index, [(i, i // 2, (i % 100) / 100) for i in range(len(faces))], faces)
        index.set_gate(0.3)
        put(index, [], [], removed=list(range(0, 30_000, 3)))
        tidied(index)
    assert on_gpu.kind is kind
    for by in By:
        found, expected = (ask(index, asked, k=10, gate=0.3, by=by) for index in (on_gpu, on_cpu))
        np.testing.assert_array_equal(found.face_ids, expected.face_ids)
        np.testing.assert_array_equal(found.scores, expected.scores)


def test_a_gallery_that_is_given_up_gives_its_memory_back() -> None:
    accelerator = lane_of(0).accelerator
    index = open_index(512, "cuda:0")
    put(index, [(1, 1, 1.0)], np.ones((1, 512)))
    taken = accelerator.free_bytes()
    del index
    gc.collect()
    assert accelerator.free_bytes() - taken >= 16_384 * row_bytes(512, IndexKind.EXACT)


def test_rows_are_cleared_on_the_gpu() -> None:
    lane = lane_of(0)
    proposer = GpuBackend(lane, 16, 16).open_proposer(8, 16, IndexKind.EXACT)
    rows = unit_rows(np.eye(8))
    proposer.append(rows)
    proposer.wipe(np.array([2, 3, 7]))
    scores, _ = proposer.propose(np.ones((1, 8), dtype=np.float32), rows, 8)
    assert sorted(scores[0].tolist()) == [0, 0, 0, 1, 1, 1, 1, 1]


def test_what_is_known_of_the_memory_follows_what_is_taken() -> None:
    accelerator = lane_of(0).accelerator
    before = accelerator.free_bytes()
    address = accelerator.allocate(256 << 20)
    assert before - accelerator.free_bytes() >= 256 << 20
    accelerator.release(address)
    assert abs(accelerator.free_bytes() - before) < 64 << 20
    assert Matrix(address, 4, 8, half=True).part(2, 1).address == address + 2 * 8 * 2


@pytest.mark.skipif(gpu_count() < 2, reason="this machine has fewer than two GPUs")
def test_an_index_over_all_gpus_answers_as_the_cpu() -> None:
    faces = unit_rows(np.random.default_rng(0).standard_normal((40_000, 64)))
    indexes = [open_index(64, device) for device in ("cuda:all", "cpu")]
    for index in indexes:
        put(index, [(i, i, 1.0) for i in range(len(faces))], faces)
    found, expected = (rows_of(ask(index, faces[7:8], k=50)) for index in indexes)
    assert found == expected
