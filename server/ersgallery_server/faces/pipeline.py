"""The whole path from photographs to embeddings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.faces.alignment import CROP_PX, align
from ersgallery_server.faces.detection import Detection, DetectorSettings, FaceDetector
from ersgallery_server.faces.images import ImageLimits, ImageRejected, decode_image
from ersgallery_server.faces.outcomes import AcquiredFace, AcquisitionFailure, FailureReason, SeveralFaces
from ersgallery_server.faces.recognition import Recognizer
from ersgallery_server.faces.sessions import Inference
from ersgallery_server.models.installed import read_model_file
from ersgallery_server.models.manifest import ModelPackage, Role

_Located = tuple[Detection, int, NDArray[np.uint8]]


class FacePipeline:
    """Decode, detect, align and embed; may be used from several threads at once.

    Detection runs image by image (a batch of 640 x 640 images was slower on a CPU than one after the other), the
    recognizer on all faces of a call together. A decoded photograph is dropped before the next is decoded.
    """

    def __init__(self, detector: FaceDetector, recognizer: Recognizer, limits: ImageLimits | None = None) -> None:
        self._detector = detector
        self._recognizer = recognizer
        self._limits = limits or ImageLimits()

    @property
    def dimension(self) -> int:
        """Length d of an embedding."""
        return self._recognizer.dimension

    @property
    def device(self) -> str:
        """Where the recognizer really runs: `cpu` or `cuda:N`."""
        return self._recognizer.device

    def acquire(
        self, images: Sequence[bytes], several: SeveralFaces = SeveralFaces.LARGEST
    ) -> list[AcquiredFace | AcquisitionFailure]:
        """Embed the face of each encoded photograph; outcome i belongs to image i, and none stops the others."""
        located = [self._locate(data, several) for data in images]
        crops = [found[2] for found in located if not isinstance(found, AcquisitionFailure)]
        embeddings = iter(self.embed_aligned(np.stack(crops)) if crops else ())
        return [
            found if isinstance(found, AcquisitionFailure) else _acquired(found, next(embeddings)) for found in located
        ]

    def embed_aligned(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed (n, 112, 112, 3) uint8 RGB crops that are aligned already: (n, d) float32, raw."""
        return self._recognizer.embed(crops)

    def _locate(self, data: bytes, several: SeveralFaces) -> _Located | AcquisitionFailure:
        try:
            image = decode_image(data, self._limits)
        except ImageRejected as rejected:
            return AcquisitionFailure(rejected.reason, rejected.detail)
        faces = self._detector.detect(image)
        if not faces:
            threshold = self._detector.settings.score_threshold
            return AcquisitionFailure(
                FailureReason.NO_FACE, f"no face was found with a detector score of {threshold:g} or more"
            )
        if len(faces) > 1 and several is SeveralFaces.REJECT:
            detail = f"{len(faces)} faces were found; exactly 1 is allowed"
            return AcquisitionFailure(FailureReason.SEVERAL_FACES, detail, len(faces))
        return faces[0], len(faces), align(image, faces[0].landmarks)


def load_pipeline(
    package: ModelPackage,
    models_dir: Path,
    inference: Inference | None = None,
    *,
    limits: ImageLimits | None = None,
    detector: DetectorSettings | None = None,
) -> FacePipeline:
    """Load an installed model package; every file's SHA-256 is checked on the bytes that are then run.

    Raises ModelNotInstalled, HashMismatch, DeviceUnavailable.
    """
    where = inference or Inference()
    if package.input.size_px != CROP_PX:
        raise ValueError(f"model {package.name} wants crops of {package.input.size_px} px; only {CROP_PX} are made")
    finder = FaceDetector(read_model_file(package, Role.DETECTOR, models_dir), where, detector)
    weights = read_model_file(package, Role.RECOGNIZER, models_dir)
    return FacePipeline(finder, Recognizer(weights, package.input, package.dimension, where), limits)


def _acquired(found: _Located, embedding: NDArray[np.float32]) -> AcquiredFace:
    face, count, crop = found
    return AcquiredFace(embedding.copy(), face.box_px, face.landmarks, face.score, count, crop)
