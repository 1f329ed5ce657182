"""The embedding models of a server, each opened when it is first needed."""

import threading
from collections.abc import Callable

from ersgallery_server.errors import ModelNotInstalled
from ersgallery_server.faces import FacePipeline
from ersgallery_server.gallery.inference import InferenceWorker


class Models:
    """Workers by model name. `open_pipeline` returns None for a model that is not installed."""

    def __init__(self, open_pipeline: Callable[[str], FacePipeline | None], *, max_waiting_images: int) -> None:
        self._open_pipeline = open_pipeline
        self._max_waiting_images = max_waiting_images
        self._workers: dict[str, InferenceWorker] = {}
        self._opening = threading.Lock()

    def worker(self, model: str) -> InferenceWorker:
        """Return the worker of a model; raises ModelNotInstalled."""
        with self._opening:
            if model not in self._workers:
                pipeline = self._open_pipeline(model)
                if pipeline is None:
                    raise ModelNotInstalled(model)
                self._workers[model] = InferenceWorker(model, pipeline, max_waiting=self._max_waiting_images)
            return self._workers[model]

    def open(self) -> dict[str, InferenceWorker]:
        """Return the workers of the models in use, by name; never waits for one that is being opened."""
        return dict(self._workers)

    def close(self) -> None:
        """Finish what waits and stop all workers."""
        with self._opening:
            for worker in self._workers.values():
                worker.close()
            self._workers.clear()
