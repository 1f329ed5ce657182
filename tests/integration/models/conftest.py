"""The default model, and what it makes of LFW's photographs."""

from pathlib import Path

import numpy as np
import pytest
from ersgallery_server.faces import AcquiredFace, FacePipeline, load_pipeline
from ersgallery_server.faces.sessions import Inference
from ersgallery_server.models.catalogue import default_model
from numpy.typing import NDArray

from tests.support.models import installed_models_dir, lfw_dir


class Photographs:
    """The 300 photographs of lfw_small, acquired once: outcome i belongs to path i."""

    def __init__(self, pipeline: FacePipeline, folder: Path) -> None:
        self.paths = sorted((folder / "lfw_small").glob("*/*.jpg"))
        self.outcomes = pipeline.acquire([path.read_bytes() for path in self.paths])
        self.identities = np.array([path.parent.name for path in self.paths])
        names = (folder / "names.txt").read_text(encoding="utf-8").split()
        row = {name: i for i, name in enumerate(names)}
        self.rows = [row[f"{path.parent.name}/{path.stem}"] for path in self.paths]

    @property
    def faces(self) -> list[AcquiredFace]:
        """The outcomes, all of which must be faces."""
        faces = [outcome for outcome in self.outcomes if isinstance(outcome, AcquiredFace)]
        assert len(faces) == len(self.outcomes) == 300
        return faces

    @property
    def unit(self) -> NDArray[np.float32]:
        """The (300, d) embeddings at unit length."""
        return normalised(np.stack([face.embedding for face in self.faces]))


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="session")
def models_dir() -> Path:
    return installed_models_dir()


@pytest.fixture(scope="session")
def pipeline(models_dir: Path) -> FacePipeline:
    return load_pipeline(default_model(), models_dir, Inference("cpu", intra_op_threads=2))


@pytest.fixture(scope="session")
def photographs(pipeline: FacePipeline) -> Photographs:
    return Photographs(pipeline, lfw_dir())
