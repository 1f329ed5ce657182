"""Real faces: bystanders from the backgrounds of photographs gather in one place, apart from the people in front."""

from pathlib import Path

import numpy as np
import pytest
from ersgallery_index.calibration import (
    CLEAN,
    BuildPlan,
    BuiltProfile,
    FaceSet,
    UiSource,
    build_profile,
    compare_sources,
)
from numpy.typing import NDArray

from tests.support.models import lfw_dir

pytestmark = pytest.mark.real_faces


def embeddings(path: Path) -> NDArray[np.float32]:
    with np.load(path, allow_pickle=False) as file:
        return np.asarray(file["embedding"], np.float32)


@pytest.fixture(scope="module", params=["mbf", "sface"])
def built(request: pytest.FixtureRequest) -> tuple[BuiltProfile, FaceSet]:
    """Return a profile of one photograph of every second person and all bystanders, and what made it."""
    folder, model = lfw_dir(), str(request.param)
    names = (folder / "names.txt").read_text("utf-8").split()
    people = np.unique([name.split("/", 1)[0] for name in names], return_inverse=True)[1].astype(np.int64)
    raw = embeddings(folder / f"embeddings_{model}.npz")
    first = np.isin(np.arange(len(people)), np.unique(people, return_index=True)[1])
    in_front = FaceSet.of_raw(raw[first & (people % 2 == 0)])
    wild = FaceSet.concatenate([in_front, FaceSet.of_raw(embeddings(folder / f"background_embeddings_{model}.npz"))])
    held = people % 2 == 1
    testing = FaceSet.of_raw(raw[held], people[held], np.full(held.sum(), CLEAN, np.int16), np.zeros(int(held.sum())))
    return build_profile(model, wild, testing, BuildPlan()), wild


def test_the_cluster_holds_bystanders_and_no_person_in_front(built: tuple[BuiltProfile, FaceSet]) -> None:
    profile, wild = built
    in_front = len(wild) - 2505
    assert profile.ui_members[:in_front].sum() == 0
    assert profile.ui_members[in_front:].sum() >= 50
    assert all(check.passed is not False for check in profile.checks)


def test_few_people_in_front_and_many_bystanders_fall_below_gamma(built: tuple[BuiltProfile, FaceSet]) -> None:
    profile, wild = built
    assert isinstance(lost := profile.figures["clean_below_gamma"], float)
    assert lost <= 0.01
    bystanders = wild.rows[-2505:].astype(np.float64)
    below = 1.0 - bystanders @ profile.profile.centroids[0] < profile.profile.gamma
    assert below.mean() > 0.2


def test_the_place_of_the_unrecognizable_is_the_same_for_halves_and_not_that_of_the_recognizable(
    built: tuple[BuiltProfile, FaceSet],
) -> None:
    profile, wild = built
    members = np.random.default_rng(0).permutation(np.flatnonzero(profile.ui_members))
    half, other = members[::2], members[1::2]
    in_front = wild.rows[:-2505]
    figures = compare_sources(
        [UiSource("half", wild.rows[half]), UiSource("other", wild.rows[other]), UiSource("front", in_front)]
    )
    assert figures[0].distances["other"] < 0.1
    assert figures[0].distances["front"] > 0.3
