"""Galleries and requests for calibrations over the bare contract."""

import numpy as np
from ersgallery.v1 import calibration_service_pb2 as pb
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from numpy.typing import NDArray

from tests.support.requests import DIMENSION, create_gallery, embedding
from tests.support.server import RemoteServer

FloatRows = NDArray[np.float32]
WAIT_S = 60.0


def people(count: int, faces: int, *, seed: int = 0, spread: float = 0.15) -> tuple[FloatRows, NDArray[np.int64]]:
    """Draw `faces` faces of each of `count` people away from axis 0, and say who each shows."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, DIMENSION))
    centres[:, 0] = 0.0
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    who = np.repeat(np.arange(count), faces)
    rows = centres[who] + spread * rng.normal(size=(len(who), DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), who


def filled_gallery(server: RemoteServer, gallery_id: str, count: int, faces: int, **changes: object) -> None:
    """Make a gallery of so many people with so many faces each."""
    create_gallery(server, gallery_id, **changes)
    rows, who = people(count, faces)
    items = [
        enrollment.Enrollment(subject_id=f"p{number}", embedding=embedding(row))
        for row, number in zip(rows, who.tolist(), strict=True)
    ]
    for start in range(0, len(items), 256):
        server.enrollment.EnrollFaces(
            enrollment.EnrollFacesRequest(parent=f"galleries/{gallery_id}", enrollments=items[start : start + 256])
        )


def ended(server: RemoteServer, operation: pb.Operation) -> pb.Operation:
    """Wait until an operation has ended."""
    while not operation.HasField("end_time"):
        operation = server.calibration.WaitOperation(
            pb.WaitOperationRequest(name=operation.name), timeout=WAIT_S
        ).operation
    return operation
