"""Find faces and their five landmarks with YuNet (Wu, Peng, Yu 2023)."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ersgallery_server.faces.graphs import open_batch
from ersgallery_server.faces.sessions import Inference, Session

_STRIDES_PX = (8, 16, 32)
_LARGEST_STRIDE_PX = 32
_MAX_BOXES = 5000


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """What counts as a face, and at which size photographs are searched.

    score_threshold: least score; at 0.7 all of 300 LFW photographs have a face, and 97 % of them after a Gaussian blur
        of 8 px, so that bad faces reach the recognizability gate instead of vanishing here.
    overlap: greatest intersection over union of two faces.
    longest_side_px: larger photographs are shrunk to it. shortest_search_px: smaller ones are enlarged to it.
    """

    score_threshold: float = 0.7
    overlap: float = 0.3
    longest_side_px: int = 640
    shortest_search_px: int = 112


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One face: box (x, y, width, height) and (5, 2) float32 landmarks in pixels of the image, score 0..1."""

    box_px: tuple[float, float, float, float]
    landmarks: NDArray[np.float32]
    score: float


class FaceDetector:
    """YuNet on ONNX Runtime; may be used from several threads at once."""

    def __init__(self, model: bytes, inference: Inference, settings: DetectorSettings | None = None) -> None:
        """Load the YuNet file's bytes. Raises DeviceUnavailable."""
        self.settings = settings or DetectorSettings()
        self._session = Session(open_batch(model, dynamic_size=True), inference)
        self.device = self._session.device

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of a (h, w, 3) uint8 RGB image, the largest first."""
        found = self._search(image, self._scale(image), border=False)
        if not found:
            # A face that fills the frame is outside what YuNet was trained on: look again from further away.
            found = self._search(image, self._scale(image, self.settings.longest_side_px // 2), border=True)
        return sorted(found, key=lambda face: face.box_px[2] * face.box_px[3], reverse=True)

    def _scale(self, image: NDArray[np.uint8], longest_px: int | None = None) -> float:
        side: int = max(image.shape[:2])
        longest = longest_px or self.settings.longest_side_px
        return min(max(side, self.settings.shortest_search_px), longest) / side

    def _search(self, image: NDArray[np.uint8], scale: float, *, border: bool) -> list[Detection]:
        height, width = image.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if size != (width, height):
            image = np.asarray(
                cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
            )
        margin = max(size) // 2 if border else 0
        boxes, landmarks, scores = self._infer(_canvas(image, margin))
        kept = cv2.dnn.NMSBoxes(
            boxes.tolist(), scores.tolist(), self.settings.score_threshold, self.settings.overlap, top_k=_MAX_BOXES
        )
        ratio = np.array([width / size[0], height / size[1]], np.float32)
        return [_detection(boxes[row], landmarks[row], scores[row], margin, ratio) for row in kept]

    def _infer(self, canvas: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        bgr = np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1)[None], np.float32)
        outputs = dict(zip(self._session.output_names, self._session.run(bgr), strict=True))
        parts = [_decode(outputs, stride, canvas.shape[1] // stride) for stride in _STRIDES_PX]
        boxes, landmarks, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
        passed = scores >= self.settings.score_threshold
        return boxes[passed], landmarks[passed], scores[passed]


def _canvas(image: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    """Lay the image on black: `margin` on each side, then up to a multiple of the largest stride."""
    height, width = image.shape[:2]
    rows, columns = (-(-(side + 2 * margin) // _LARGEST_STRIDE_PX) * _LARGEST_STRIDE_PX for side in (height, width))
    canvas = np.zeros((rows, columns, 3), np.uint8)
    canvas[margin : margin + height, margin : margin + width] = image
    return canvas


def _decode(outputs: dict[str, NDArray[np.float32]], stride: int, columns: int) -> tuple[NDArray[np.float32], ...]:
    """Turn one stride's raw outputs into (n, 4) boxes, (n, 5, 2) landmarks and (n,) scores, in canvas pixels."""
    kind, face, box, points = (outputs[f"{name}_{stride}"][0] for name in ("cls", "obj", "bbox", "kps"))
    cell = np.arange(len(box))
    origin = np.stack([cell % columns, cell // columns], axis=1).astype(np.float32)
    size = np.exp(box[:, 2:]) * stride
    corner = (origin + box[:, :2]) * stride - size / 2
    landmarks = (origin[:, None, :] + points.reshape(-1, 5, 2)) * stride
    scores = np.sqrt(np.clip(kind[:, 0], 0, 1) * np.clip(face[:, 0], 0, 1))
    return np.concatenate([corner, size], axis=1), landmarks, scores


def _detection(
    box: NDArray[np.float32], landmarks: NDArray[np.float32], score: np.float32, margin: int, ratio: NDArray[np.float32]
) -> Detection:
    x, y = ((box[:2] - margin) * ratio).tolist()
    width, height = (box[2:] * ratio).tolist()
    return Detection((x, y, width, height), (landmarks - margin) * ratio, float(score))
