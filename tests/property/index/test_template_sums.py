"""A template whose members came one after another equals the template of all of them, bit by bit."""

import numpy as np
import pytest
from ersgallery_index import Derivation, Profile, Template, Weighting
from ersgallery_index.template_sums import TemplateSums
from ersgallery_index.templates import aggregate, sum_members
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import oracle

DIMENSION = 4
POOL = np.random.default_rng(3).normal(size=(12, DIMENSION))
POOL = np.concatenate([POOL, -POOL[:2], np.eye(DIMENSION)[:1]])  # opposite ones, and the UI centroid itself
ROWS = (POOL / np.linalg.norm(POOL, axis=1, keepdims=True)).astype(np.float32)
PROFILE = Profile("pool", np.eye(DIMENSION)[:1], 0.3)
ADDITIVE = [weighting for weighting in Weighting if weighting.is_additive]

members = st.lists(
    st.tuples(st.integers(0, len(ROWS) - 1), st.sampled_from(["", "film", "photo", "third"])), min_size=1, max_size=12
)


@settings(max_examples=200, deadline=None)
@given(
    chosen=members,
    weighting=st.sampled_from(ADDITIVE),
    media_pooling=st.booleans(),
    enhance=st.booleans(),
    data=st.data(),
)
def test_members_that_come_in_parts_make_the_template_of_all(
    chosen: list[tuple[int, str]], weighting: Weighting, media_pooling: bool, enhance: bool, data: st.DataObject
) -> None:
    derivation = Derivation(PROFILE, enhance=enhance)

    def template(part: list[tuple[int, str]]) -> Template:
        return Template(ROWS[[row for row, _ in part]], tuple(name for _, name in part), weighting, media_pooling)

    sums: TemplateSums | None = None
    start = 0
    while start < len(chosen):
        stop = data.draw(st.integers(start + 1, len(chosen)))
        part = template(chosen[start:stop])
        sums = sum_members(part, derivation.directions(part.vectors), sums)
        start = stop
    assert sums is not None
    assert sums.members == len(chosen)
    whole = template(chosen)
    expected = aggregate(whole, derivation.directions(whole.vectors))
    found = sums.direction()
    for name in ("vectors", "ers", "raw_ers", "usable"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    wanted = oracle.aggregate(PROFILE, enhance, whole)
    assert found.ers.item() == wanted.ers
    assert found.usable.item() == (wanted.vector is not None)
    if wanted.vector is not None:
        assert np.allclose(found.vectors[0], wanted.vector, rtol=0, atol=1e-7)


def test_earlier_members_are_refused_where_a_weight_depends_on_all() -> None:
    template = Template(ROWS[:3], ("",) * 3, Weighting.TOP_1)
    directions = Derivation(PROFILE).directions(template.vectors)
    before = sum_members(template, directions)
    with pytest.raises(ValueError, match="TOP_1"):
        sum_members(template, directions, before)


def test_sums_take_memory_for_each_named_media_alone() -> None:
    directions = Derivation(PROFILE).directions(ROWS[:4])
    named = sum_members(Template(ROWS[:4], ("a", "a", "b", "")), directions)
    unnamed = sum_members(Template(ROWS[:4], ("",) * 4), directions)
    assert named.nbytes - unnamed.nbytes == 2 * 3 * (DIMENSION + 1) * 8
