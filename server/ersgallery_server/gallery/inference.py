"""The one thread that runs a model: photographs that wait together are embedded as one batch."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from ersgallery_server.faces import AcquiredFace, AcquisitionFailure, FacePipeline
from ersgallery_server.values import SeveralFaces
from ersgallery_server.work_queue import WorkQueue

MAX_BATCH_IMAGES = 64

Acquisition = AcquiredFace | AcquisitionFailure


@dataclass(frozen=True, slots=True, eq=False)
class ImageJob:
    """Photographs of one call that wait for the model."""

    images: tuple[bytes, ...] = field(repr=False)
    several: SeveralFaces
    answer: Future[list[Acquisition]] = field(default_factory=Future)


class InferenceWorker:
    """Owns a FacePipeline and batches what waits for it."""

    def __init__(self, model: str, pipeline: FacePipeline, *, max_waiting: int) -> None:
        self._pipeline = pipeline
        self._queue: WorkQueue[ImageJob] = WorkQueue(f"photographs for model {model}", max_waiting)
        self._thread = threading.Thread(target=self._run, name=f"model-{model}", daemon=True)
        self._thread.start()

    def acquire(self, images: tuple[bytes, ...], several: SeveralFaces) -> Future[list[Acquisition]]:
        """Queue photographs; the answer has one entry per photograph. Raises Overloaded at the limit."""
        job = ImageJob(images, several)
        self._queue.offer(job)
        return job.answer

    def close(self) -> None:
        """Embed what waits, then stop."""
        self._queue.close()
        self._thread.join()

    def _run(self) -> None:
        while jobs := self._queue.take(lambda job: len(job.images), MAX_BATCH_IMAGES, _same_policy):
            self._embed([job for job in jobs if job.answer.set_running_or_notify_cancel()])

    def _embed(self, jobs: Sequence[ImageJob]) -> None:
        if not jobs:
            return
        try:
            faces = self._pipeline.acquire([image for job in jobs for image in job.images], jobs[0].several)
        except Exception as error:  # noqa: BLE001 - the waiting callers get it, the worker lives on
            self._failed(jobs, error)
            return
        start = 0
        for job in jobs:
            job.answer.set_result(faces[start : start + len(job.images)])
            start += len(job.images)

    def _failed(self, jobs: Sequence[ImageJob], error: Exception) -> None:
        """Let no job suffer from another that happened to wait with it."""
        if len(jobs) == 1:
            jobs[0].answer.set_exception(error)
            return
        for job in jobs:
            self._embed([job])


def _same_policy(job: ImageJob, other: ImageJob) -> bool:
    return job.several is other.several
