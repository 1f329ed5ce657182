"""A profile that is being built tells how far it is, and ends where it is told to."""

import pytest
from ersgallery_index.calibration import FaceSet
from ersgallery_server.calibrations import ProfileTask
from ersgallery_server.errors import OperationCancelled
from threadpoolctl import threadpool_info, threadpool_limits

from tests.support.calibration_faces import World


def task(*, given: bool) -> ProfileTask:
    faces = World().draw(range(600), images=2, degraded=300)
    poor = FaceSet.of_raw(faces.take(faces.degraded).rows, kind_names=faces.kind_names)
    return ProfileTask("toy", faces, poor if given else None, None, 1)


@pytest.mark.parametrize("given", [True, False], ids=["given", "clustered"])
def test_every_step_can_be_the_last(*, given: bool) -> None:
    told: list[tuple[int, int]] = []
    task(given=given).run(lambda done, total: told.append((done, total)))
    # With a given set nothing is clustered: the variants of the mean and of the number of centroids are the steps.
    assert len(told) >= 8
    for last in range(1, len(told) + 1):
        count = 0

        def cancel(_done: int, _total: int, last: int = last) -> None:
            nonlocal count
            count += 1
            if count == last:
                raise OperationCancelled

        with pytest.raises(OperationCancelled):
            task(given=given).run(cancel)
        assert count == last


@pytest.mark.parametrize("given", [True, False], ids=["given", "clustered"])
def test_blas_keeps_to_one_thread_until_it_is_built(*, given: bool) -> None:
    seen: set[int] = set()
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()  # a BLAS that follows OpenMP may stay at one
        assert 2 in before
        task(given=given).run(lambda _done, total: seen.update(threads()) if total else None)
        assert threads() == before
    assert seen == {1}


def threads() -> set[int]:
    """Return how many threads each BLAS of this process may use."""
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
