"""The owner of a model: what waits together is embedded together, and nobody suffers from another's photograph."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any, cast

import numpy as np
import pytest
from ersgallery_server.errors import ModelNotInstalled, Overloaded, ShuttingDown
from ersgallery_server.faces import AcquiredFace, FacePipeline
from ersgallery_server.gallery.inference import InferenceWorker
from ersgallery_server.gallery.models import Models
from ersgallery_server.values import SeveralFaces

LARGEST, REJECT = SeveralFaces.LARGEST, SeveralFaces.REJECT


class Pipeline:
    """Stands still and fails on command, which the real one does not; a photograph's face is its length."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, SeveralFaces]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def acquire(self, images: Sequence[bytes], several: SeveralFaces) -> list[AcquiredFace]:
        self.begun.set()
        self.go_on.wait()
        self.calls.append((len(images), several))
        if b"poison" in images:
            raise MemoryError
        return [_face(len(image)) for image in images]


def _face(length: int) -> AcquiredFace:
    return AcquiredFace(
        embedding=np.full(2, length, np.float32),
        box_px=(0.0, 0.0, 9.0, 9.0),
        landmarks=np.zeros((5, 2), np.float32),
        detector_score=1.0,
        face_count=1,
        aligned=np.zeros((112, 112, 3), np.uint8),
    )


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


@pytest.fixture
def worker(pipeline: Pipeline) -> Iterator[InferenceWorker]:
    made = InferenceWorker("m", cast("FacePipeline", pipeline), max_waiting=4)
    made.acquire((b"first",), LARGEST)
    pipeline.begun.wait()
    yield made
    pipeline.go_on.set()
    made.close()


def lengths(answer: "Future[Any]") -> list[float]:
    return [face.embedding[0] for face in answer.result()]


def test_photographs_that_wait_together_are_one_batch_under_one_policy(
    worker: InferenceWorker, pipeline: Pipeline
) -> None:
    answers = [
        worker.acquire(images, policy)
        for images, policy in (((b"a", b"bb"), LARGEST), ((b"ccc",), LARGEST), ((b"dddd",), REJECT))
    ]
    pipeline.go_on.set()
    assert [lengths(answer) for answer in answers] == [[1, 2], [3], [4]]
    assert pipeline.calls == [(1, LARGEST), (3, LARGEST), (1, REJECT)]


def test_a_call_that_fails_fails_alone(worker: InferenceWorker, pipeline: Pipeline) -> None:
    good, bad, other = (worker.acquire(images, LARGEST) for images in ((b"a",), (b"poison",), (b"ccc",)))
    pipeline.go_on.set()
    assert (lengths(good), lengths(other)) == ([1], [3])
    with pytest.raises(MemoryError):
        bad.result()
    assert lengths(worker.acquire((b"still alive",), LARGEST)) == [11]


def test_a_full_queue_names_its_limit_and_what_was_cancelled_is_not_embedded(
    worker: InferenceWorker, pipeline: Pipeline
) -> None:
    waiting = [worker.acquire((b"a",), LARGEST) for _ in range(4)]
    with pytest.raises(Overloaded, match="photographs for model m is full \\(4 waiting\\)"):
        worker.acquire((b"a",), LARGEST)
    assert all(answer.cancel() for answer in waiting[1:])
    pipeline.go_on.set()
    waiting[0].result()
    assert pipeline.calls == [(1, LARGEST), (1, LARGEST)]


def test_photographs_that_would_be_late_are_refused_at_once_and_others_are_not(
    worker: InferenceWorker, pipeline: Pipeline
) -> None:
    time.sleep(0.5)
    pipeline.go_on.set()
    worker.acquire((b"a",), LARGEST).result()  # the first took half a second
    pipeline.begun.clear()
    pipeline.go_on.clear()
    worker.acquire((b"a",), LARGEST)
    pipeline.begun.wait()
    soon_s = time.monotonic() + 0.01
    with pytest.raises(Overloaded, match="photographs would wait") as caught:
        worker.acquire((b"a",), LARGEST, deadline_s=soon_s)
    assert 0.1 <= caught.value.retry_after_s <= 10.0
    assert not worker.acquire((b"a",), LARGEST, deadline_s=soon_s + 3600).done()
    assert not worker.acquire((b"a",), LARGEST).done(), "a call without a deadline is never late"


def test_a_closed_worker_finishes_what_waits_and_takes_no_more(worker: InferenceWorker, pipeline: Pipeline) -> None:
    waiting = worker.acquire((b"a",), LARGEST)
    pipeline.go_on.set()
    worker.close()
    assert lengths(waiting) == [1]
    with pytest.raises(ShuttingDown):
        worker.acquire((b"a",), LARGEST)


def test_a_model_is_opened_once_and_one_that_is_not_installed_says_so(pipeline: Pipeline) -> None:
    opened: list[str] = []

    def open_pipeline(model: str) -> FacePipeline | None:
        opened.append(model)
        return cast("FacePipeline", pipeline) if model == "m" else None

    models = Models(open_pipeline, max_waiting_images=4)
    assert models.worker("m") is models.worker("m")
    for _ in range(2):
        with pytest.raises(ModelNotInstalled, match="models install other"):
            models.worker("other")
    assert opened == ["m", "other", "other"]
    models.close()
