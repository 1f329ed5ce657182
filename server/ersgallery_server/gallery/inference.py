"""The one thread that runs a model: photographs that wait together are embedded as one batch."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ersgallery_server.call import Trace
from ersgallery_server.faces import AcquiredFace, AcquisitionFailure, FacePipeline
from ersgallery_server.tallies import SIZES, Spread, Tally
from ersgallery_server.values import SeveralFaces
from ersgallery_server.work_queue import WorkQueue

MAX_BATCH_IMAGES = 64

Acquisition = AcquiredFace | AcquisitionFailure
FACE = "FACE"


@dataclass(frozen=True, slots=True, eq=False)
class ImageJob:
    """Photographs of one call that wait for the model."""

    images: tuple[bytes, ...] = field(repr=False)
    several: SeveralFaces
    answer: Future[list[Acquisition]] = field(default_factory=Future)
    trace: Trace | None = None
    queued_s: float = field(default_factory=time.monotonic)


class InferenceFigures:
    """Counts of one model since it was opened.

    waits: seconds in the queue. batches, seconds: the photographs and the time of each batch. outcomes: photographs by
    FACE or why there was none. cancelled: jobs whose caller went away before they were begun. queue: of the worker.
    """

    def __init__(self, queue: WorkQueue[Any]) -> None:
        self.queue = queue
        self.waits = Spread()
        self.batches = Spread(SIZES)
        self.seconds = Spread()
        self.outcomes: Tally[str] = Tally()
        self.cancelled = 0

    def embedded(self, faces: Sequence[Acquisition], seconds: float) -> None:
        """Count a batch."""
        self.batches.add(len(faces))
        self.seconds.add(seconds)
        for face in faces:
            self.outcomes.add(FACE if isinstance(face, AcquiredFace) else face.reason.value)


class InferenceWorker:
    """Owns a FacePipeline and batches what waits for it."""

    def __init__(self, model: str, pipeline: FacePipeline, *, max_waiting: int) -> None:
        self._pipeline = pipeline
        self._queue: WorkQueue[ImageJob] = WorkQueue(f"photographs for model {model}", max_waiting)
        self.figures = InferenceFigures(self._queue)
        self._thread = threading.Thread(target=self._run, name=f"model-{model}", daemon=True)
        self._thread.start()

    def acquire(
        self, images: tuple[bytes, ...], several: SeveralFaces, trace: Trace | None = None
    ) -> Future[list[Acquisition]]:
        """Queue photographs; the answer has one entry per photograph. Raises Overloaded at the limit."""
        job = ImageJob(images, several, trace=trace)
        self._queue.offer(job)
        return job.answer

    def close(self) -> None:
        """Embed what waits, then stop."""
        self._queue.close()
        self._thread.join()

    def _run(self) -> None:
        while jobs := self._queue.take(lambda job: len(job.images), MAX_BATCH_IMAGES, _same_policy):
            self._embed([job for job in jobs if self._begin(job)])

    def _begin(self, job: ImageJob) -> bool:
        if not job.answer.set_running_or_notify_cancel():
            self.figures.cancelled += 1
            return False
        begun_s = time.monotonic()
        self.figures.waits.add(begun_s - job.queued_s)
        if job.trace is not None:
            job.trace.add("model queue", job.queued_s, begun_s)
        return True

    def _embed(self, jobs: Sequence[ImageJob]) -> None:
        if not jobs:
            return
        begun_s = time.monotonic()
        try:
            faces = self._pipeline.acquire([image for job in jobs for image in job.images], jobs[0].several)
        except Exception as error:  # noqa: BLE001 - the waiting callers get it, the worker lives on
            self._failed(jobs, error)
            return
        ended_s = time.monotonic()
        self.figures.embedded(faces, ended_s - begun_s)
        start = 0
        for job in jobs:
            if job.trace is not None:
                job.trace.add("embed", begun_s, ended_s, batch_images=len(faces))
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
