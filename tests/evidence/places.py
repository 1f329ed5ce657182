"""Where the evidence takes its faces and models from, and where it leaves what it finds."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ersgallery_server.evaluation.bench import Bench, make_bench
from ersgallery_server.evaluation.corpus import Corpus
from ersgallery_server.evaluation.plan import CorpusPlan, EvaluationPlan
from ersgallery_server.evaluation.preparing import FaceFiles, Progress, embed_corpora
from ersgallery_server.evaluation.sizes import read_sizes
from ersgallery_server.faces.pipeline import load_pipeline
from ersgallery_server.faces.sessions import Inference
from ersgallery_server.models.catalogue import find_model
from ersgallery_server.models.install import install
from ersgallery_server.models.installed import is_installed
from ersgallery_server.models.manifest import ModelPackage
from ersgallery_server.models.manifest import Role as FileRole
from ersgallery_server.models.storage import atomic_write
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from numpy.typing import NDArray

DATA_VARIABLE = "ERSGALLERY_TEST_DATA"
_FILES = ("lfw_aligned112.tar", "lfw_background112.tar")
_SIZES = "background_face_px.txt"
_PAIRS = "pairs.txt"
_BATCH = 64


class MissingData(Exception):
    """The faces are not there; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """folder: everything that is written. models_dir: installed models. corpora: kept embeddings to take instead."""

    folder: Path
    models_dir: Path
    corpora: Path | None = None

    @property
    def faces(self) -> Path:
        """The labelled faces. Raises MissingData."""
        return data_folder() / _FILES[0]

    def bench(self, model: str, resamples: int, progress: Progress | None = None) -> Bench:
        """Make the bench of a model, with bystanders' sizes. Raises MissingData, ModelError, CalibrationFailed."""
        corpus, wild = self._corpora(model, progress)
        bench = make_bench(corpus, wild, EvaluationPlan(resamples=resamples))
        return bench if wild is None else replace(bench, wild_px=read_sizes(data_folder() / _SIZES, wild.names))

    @property
    def pairs(self) -> Path:
        """The official pairs of the labelled faces. Raises MissingData."""
        return data_folder() / _PAIRS

    def embed(self, model: str, names: tuple[str, ...]) -> NDArray[np.float32]:
        """Embed labelled faces as they are, raw (n, d); kept for the next call. Raises MissingData, ModelError."""
        faces, package = AlignedFaces.open(self.faces).subset(names), self._installed(model)
        digest = hashlib.sha256(f"{faces.sha256} {package.file(FileRole.RECOGNIZER).sha256}".encode()).hexdigest()
        kept = self.folder / "corpora" / f"{model}-further-{digest[:16]}.npz"
        if not kept.is_file():
            embed = load_pipeline(package, self.models_dir, Inference("cpu", os.cpu_count() or 1)).embed_aligned
            parts = [
                embed(np.stack([faces.crop(name) for name in names[at : at + _BATCH]]))
                for at in range(0, len(names), _BATCH)
            ]
            with atomic_write(kept) as stream:
                np.savez(stream, allow_pickle=False, raw=np.concatenate(parts))
        with np.load(kept, allow_pickle=False) as archive:
            return np.asarray(archive["raw"], np.float32)

    def _installed(self, model: str) -> ModelPackage:
        package = find_model(model)
        if not is_installed(package, self.models_dir):
            install(package, self.models_dir)
        return package

    def _corpora(self, model: str, progress: Progress | None) -> tuple[Corpus, Corpus | None]:
        if self.corpora:
            wild = self.corpora / f"{model}_wild.npz"
            return Corpus.load(self.corpora / f"{model}.npz"), Corpus.load(wild) if wild.is_file() else None
        faces, wild_faces = (data_folder() / name for name in _FILES)
        self._installed(model)
        files = FaceFiles(faces, wild_faces, self.folder / "corpora")
        return embed_corpora(model, self.models_dir, files, CorpusPlan(), progress=progress)


def data_folder() -> Path:
    """Return the folder with the faces. Raises MissingData."""
    named = os.environ.get(DATA_VARIABLE)
    folder = Path(named) / "lfw" if named else None
    if folder is None:
        raise MissingData(f"set {DATA_VARIABLE} to the folder that has lfw/{_FILES[0]} and lfw/{_FILES[1]}")
    if missing := [name for name in (*_FILES, _SIZES, _PAIRS) if not (folder / name).is_file()]:
        raise MissingData(f"{folder} lacks {' and '.join(missing)}")
    return folder
