"""A network that reads characters, used as an embedding network: what it knows before it says which of its classes."""

from collections.abc import Callable

import numpy as np
import onnx
from ersgallery_server.faces.sessions import Inference, Session
from numpy.typing import NDArray

DIMENSION = 120
MODEL = "pp-ocrv4-rec"

_FEATURES = "transpose_51.tmp_0"  # (n, steps, 120): the input of the last layer, whose rows are the classes
_BATCH = 64


class CharacterNetwork:
    """PP-OCRv4's recognizer without its last layer.

    classes: the characters it was trained to tell apart. Everything else is to it what an unseen person is to a face
    network.
    """

    def __init__(self, model: bytes) -> None:
        graph = onnx.load_from_string(model)
        names = next(entry.value for entry in graph.metadata_props if entry.key == "character")
        self.classes = frozenset(names.splitlines())
        del graph.graph.output[:]
        graph.graph.output.append(onnx.helper.make_tensor_value_info(_FEATURES, onnx.TensorProto.FLOAT, None))
        self._session = Session(graph.SerializeToString(), Inference())

    def embed(
        self, images: NDArray[np.uint8], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the mean over the reading direction of the features of (n, 48, 48) grey images: (n, 120), not unit."""
        embedded = np.empty((len(images), DIMENSION), np.float32)
        for start in range(0, len(images), _BATCH):
            block = images[start : start + _BATCH].astype(np.float32) / np.float32(127.5) - np.float32(1.0)
            features = self._session.run(np.repeat(block[:, None], 3, axis=1))[0]
            embedded[start : start + len(block)] = features.mean(axis=1)
            if progress:
                progress(start + len(block), len(images))
        return embedded
