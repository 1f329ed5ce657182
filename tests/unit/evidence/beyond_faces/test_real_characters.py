"""The real network on real typefaces; skipped where they cannot be fetched."""

from pathlib import Path

import numpy as np
import pytest
from ersgallery_index import normalize
from ersgallery_index.evaluation.retrieval import rank
from ersgallery_server.models.errors import SourceUnavailable
from numpy.typing import NDArray

from tests.evidence.beyond_faces.network import DIMENSION, CharacterNetwork
from tests.evidence.beyond_faces.run import unseen_characters
from tests.evidence.beyond_faces.sources import TYPEFACES, fetch_network, fetch_typeface
from tests.evidence.beyond_faces.spoiling import spoil
from tests.evidence.beyond_faces.typefaces import Typeface, read_typeface

CACHE = Path(__file__).parents[4] / "build" / "evidence"
SOME = 120


@pytest.fixture(scope="module")
def network() -> CharacterNetwork:
    """Return the recognizer, fetched once."""
    try:
        return CharacterNetwork(fetch_network(CACHE))
    except SourceUnavailable as error:
        pytest.skip(f"the network cannot be fetched: {error}")


@pytest.fixture(scope="module")
def typefaces() -> list[Typeface]:
    """Return a screen font and a marker pen, fetched once."""
    chosen = [source for source in TYPEFACES if source.name in {"dotgothic16", "yusei-magic"}]
    try:
        return [read_typeface(source.name, fetch_typeface(source, CACHE)) for source in chosen]
    except SourceUnavailable as error:
        pytest.skip(f"the typefaces cannot be fetched: {error}")


@pytest.fixture(scope="module")
def characters(network: CharacterNetwork, typefaces: list[Typeface]) -> NDArray[np.int64]:
    """Return characters that the network was not trained on."""
    unseen = unseen_characters(network, typefaces)
    assert len(unseen) > 3000
    return np.random.default_rng(0).choice(np.array(unseen), SOME, replace=False)


def unit(network: CharacterNetwork, images: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    return normalize(network.embed(np.stack(images)), DIMENSION).vectors


def test_characters_it_never_saw_are_found_in_another_typeface(
    network: CharacterNetwork, typefaces: list[Typeface], characters: NDArray[np.int64]
) -> None:
    first, second = (unit(network, [typeface.draw(int(code)) for code in characters]) for typeface in typefaces)
    assert rank(first, second, characters, characters).found_within(1).mean() > 0.8


def test_ruined_drawings_of_different_characters_are_alike_and_clean_ones_are_not(
    network: CharacterNetwork, typefaces: list[Typeface], characters: NDArray[np.int64]
) -> None:
    rng = np.random.default_rng(0)
    clean = [typefaces[1].draw(int(code)) for code in characters]
    rows = unit(network, clean + [spoil(image, "GAUSSIAN_BLUR", 0.9, rng) for image in clean])
    centred = rows - rows[:SOME].mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    pairs = np.triu_indices(SOME, 1)
    alike, apart = ((part @ part.T)[pairs].mean() for part in (centred[SOME:], centred[:SOME]))
    assert alike > 0.4
    assert abs(apart) < 0.1
