"""The one thread that runs a model: photographs that wait together are embedded as one batch."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ersgallery_server.call import Trace
from ersgallery_server.errors import Overloaded
from ersgallery_server.faces import AcquiredFace, AcquisitionFailure, FacePipeline
from ersgallery_server.tallies import SIZES, Spread, Tally
from ersgallery_server.values import SeveralFaces
from ersgallery_server.work_queue import WorkQueue

MAX_BATCH_IMAGES = 64
_WEIGHT = 1 / 4
"""Of the latest batch in the mean time of a photograph."""

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
        self._image_s = 0.0
        self._under_way = 0
        self._thread = threading.Thread(target=self._run, name=f"model-{model}", daemon=True)
        self._thread.start()

    def acquire(
        self,
        images: tuple[bytes, ...],
        several: SeveralFaces,
        trace: Trace | None = None,
        deadline_s: float | None = None,
    ) -> Future[list[Acquisition]]:
        """Queue photographs; the answer has one entry per photograph.

        Raises Overloaded at the limit, and where the deadline would pass before they are embedded: to embed them late
        would take the model's time from those that can still be in time, and make them late too.
        """
        job = ImageJob(images, several, trace=trace)
        if deadline_s is not None:
            self._require_time(deadline_s, len(images))
        self._queue.offer(job)
        return job.answer

    def _require_time(self, deadline_s: float, images: int) -> None:
        ahead = self._queue.weighed(_count) + self._under_way
        remaining_s = deadline_s - time.monotonic()
        # Where nothing is ahead they are begun at once, which is also how a pace that was wrong is corrected.
        if ahead and (ahead + images) * self._image_s > remaining_s:
            self._queue.refused += 1
            raise Overloaded.too_slow("photographs", (ahead + images) * self._image_s, remaining_s)

    def close(self) -> None:
        """Embed what waits, then stop."""
        self._queue.close()
        self._thread.join()

    def _run(self) -> None:
        while jobs := self._queue.take(_count, MAX_BATCH_IMAGES, _same_policy):
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
        images = [image for job in jobs for image in job.images]
        begun_s = time.monotonic()
        self._under_way = len(images)
        try:
            faces = self._pipeline.acquire(images, jobs[0].several)
        except Exception as error:  # noqa: BLE001 - the waiting callers get it, the worker lives on
            self._failed(jobs, error)
            return
        finally:
            self._under_way = 0
        ended_s = time.monotonic()
        self.figures.embedded(faces, ended_s - begun_s)
        self._image_s += ((ended_s - begun_s) / len(images) - self._image_s) * (_WEIGHT if self._image_s else 1.0)
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


def _count(job: ImageJob) -> int:
    return len(job.images)


def _same_policy(job: ImageJob, other: ImageJob) -> bool:
    return job.several is other.several
