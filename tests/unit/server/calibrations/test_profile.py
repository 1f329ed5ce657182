"""A profile that is being built tells how far it is, and ends where it is told to."""

import pytest
from ersgallery_index.calibration import FaceSet
from ersgallery_server.calibrations import ProfileTask
from ersgallery_server.errors import OperationCancelled

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
