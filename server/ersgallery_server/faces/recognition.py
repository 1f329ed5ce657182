"""Turn aligned face crops into embeddings."""

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.faces.alignment import CROP_PX
from ersgallery_server.faces.graphs import open_batch
from ersgallery_server.faces.sessions import Inference, Session
from ersgallery_server.models.manifest import RecognizerInput

# Bounds the memory of one call (some 2 MB of activations a face) and the time a caller waits behind it.
_MAX_BATCH = 64


class Recognizer:
    """A face recognition model on ONNX Runtime; may be used from several threads at once."""

    def __init__(self, model: bytes, expected: RecognizerInput, dimension: int, inference: Inference) -> None:
        """Load the model file's bytes. Raises DeviceUnavailable."""
        self.dimension = dimension
        self._expected = expected
        self._session = Session(open_batch(model), inference)
        self.device = self._session.device

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed (n, 112, 112, 3) uint8 RGB crops: (n, d) float32, raw. Raises ValueError for another shape or type."""
        if crops.dtype != np.uint8 or crops.shape[1:] != (CROP_PX, CROP_PX, 3):
            raise ValueError(f"crops must be (n, {CROP_PX}, {CROP_PX}, 3) uint8, got {crops.shape} {crops.dtype}")
        embeddings = np.empty((len(crops), self.dimension), np.float32)
        for start in range(0, len(crops), _MAX_BATCH):
            batch = self._batch(crops[start : start + _MAX_BATCH])
            embeddings[start : start + _MAX_BATCH] = self._session.run(batch)[0]
        return embeddings

    def _batch(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        ordered = crops[..., ::-1] if self._expected.colour == "BGR" else crops
        planes = ordered.transpose(0, 3, 1, 2).astype(np.float32, order="C")
        planes -= np.float32(self._expected.mean)
        planes /= np.float32(self._expected.std)
        return planes
