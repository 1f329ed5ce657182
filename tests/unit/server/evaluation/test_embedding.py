"""Views are embedded one apart from the other, and kept with what was measured beside it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from ersgallery_server.evaluation.corpus import CLEAN, KINDS, UNKNOWN, Corpus
from ersgallery_server.evaluation.drawing import View
from ersgallery_server.evaluation.embedding import embed_views, embed_wild, sharpness
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.faces.degrade import Degradation
from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from numpy.typing import NDArray

VIEWS = [
    View("ann/1.png", 0, Part.MAKING),
    View("ann/1.png", 0, Part.MAKING, Role.SINGLE, Degradation.NOISE, 0.5),
    View("bob/1.png", 1, Part.TEST, Role.LEVEL, Degradation.GAUSSIAN_BLUR, 0.8),
]


def embed(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of each colour, and how the grey values spread."""
    flat = crops.reshape(len(crops), -1, 3).astype(np.float32)
    return np.concatenate([flat.mean(axis=1), flat.std(axis=1)], axis=1)


@pytest.fixture(scope="module")
def faces() -> AlignedFaces:
    rng = np.random.default_rng(0)
    crops = {name: rng.integers(0, 256, (112, 112, 3), np.uint8) for name in ("ann/1.png", "bob/1.png")}
    return AlignedFaces({name: cv2.imencode(".png", crop)[1].tobytes() for name, crop in crops.items()})


def corpus_of(faces: AlignedFaces, views: list[View]) -> Corpus:
    return embed_views("toy", ("ann", "bob"), views, faces, embed, None, seed=0)


def test_columns_say_what_each_view_is(faces: AlignedFaces) -> None:
    corpus = corpus_of(faces, VIEWS)
    assert corpus.identities.tolist() == [0, 0, 1]
    assert corpus.kinds.tolist() == [CLEAN, KINDS.index(Degradation.NOISE), KINDS.index(Degradation.GAUSSIAN_BLUR)]
    assert corpus.of(Part.MAKING).tolist() == [True, True, False]
    assert corpus.of(Part.TEST, Role.SINGLE).tolist() == [False, False, False]
    assert corpus.clean.tolist() == [True, False, False]
    np.testing.assert_array_equal(corpus.raw[0], embed(faces.crop("ann/1.png")[None])[0])
    assert (corpus.raw[0] != corpus.raw[1]).any()


def test_a_view_does_not_depend_on_those_after_it(faces: AlignedFaces) -> None:
    np.testing.assert_array_equal(corpus_of(faces, VIEWS[:2]).raw, corpus_of(faces, VIEWS).raw[:2])


def test_blur_lowers_sharpness(faces: AlignedFaces) -> None:
    corpus = corpus_of(faces, VIEWS)
    assert corpus.sharpness[2] < 0.01 * corpus.sharpness[0]
    assert sharpness(faces.crop("ann/1.png")) == corpus.sharpness[0]


def test_unlabelled_faces_are_taken_as_they_are(faces: AlignedFaces) -> None:
    corpus = embed_wild("toy", faces, embed, None)
    assert corpus.identities.tolist() == [-1, -1]
    assert corpus.kinds.tolist() == [UNKNOWN, UNKNOWN]
    assert corpus.of(Part.WILD).all()


def test_a_corpus_survives_its_file(faces: AlignedFaces, tmp_path: Path) -> None:
    corpus = corpus_of(faces, VIEWS)
    corpus.save(tmp_path / "corpus.npz")
    again = Corpus.load(tmp_path / "corpus.npz")
    assert (again.model, again.names, again.people) == (corpus.model, corpus.names, corpus.people)
    np.testing.assert_array_equal(again.raw, corpus.raw)
    np.testing.assert_array_equal(again.severities, corpus.severities)


def test_a_truncated_corpus_is_refused(faces: AlignedFaces, tmp_path: Path) -> None:
    path = tmp_path / "corpus.npz"
    corpus_of(faces, VIEWS).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CalibrationFailed, match="is truncated"):
        Corpus.load(path)
