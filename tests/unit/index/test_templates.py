"""Several embeddings used as one."""

import numpy as np
import pytest
from ersgallery_index import Derivation, InvalidEmbedding, Profile, Template, Weighting, represent, represent_templates

from tests.support.indexes import unit_rows

PROFILE = Profile("model", np.array([[1.0, 0.0, 0.0]]), 0.5)
PLAIN = Derivation(PROFILE)


def member(ers: float, side: float = 1.0) -> list[float]:
    """Return a unit row of this ERS; side says towards which end of the second axis it leans."""
    return [1 - ers, side * (1 - (1 - ers) ** 2) ** 0.5, 0.0]


def pooled(
    rows: object,
    weighting: Weighting = Weighting.SQUARE,
    media: tuple[str, ...] | None = None,
    *,
    media_pooling: bool = True,
    derivation: Derivation = PLAIN,
) -> tuple[list[float], float, bool]:
    vectors = unit_rows(rows)
    template = Template(vectors, media or ("",) * len(vectors), weighting, media_pooling)
    result = represent_templates(derivation, [template])
    return result.vectors[0].tolist(), float(result.ers[0]), bool(result.usable[0])


@pytest.mark.parametrize(
    ("weighting", "weights"),
    [
        (Weighting.UNIFORM, [1.0, 1.0, 1.0]),
        (Weighting.IDENTITY, [0.2, 0.9, 0.5]),
        (Weighting.SQUARE, [0.04, 0.81, 0.25]),
        (Weighting.SOFTMAX, [np.exp(0.2), np.exp(0.9), np.exp(0.5)]),
        (Weighting.TOP_1, [0.0, 1.0, 0.0]),
        (Weighting.TOP_10_PERCENT, [0.0, 1.0, 0.0]),
    ],
)
@pytest.mark.parametrize("media_pooling", [True, False])
def test_members_are_summed_by_the_weight_of_their_ers(
    weighting: Weighting, weights: list[float], media_pooling: bool
) -> None:
    rows = np.array([member(0.2), member(0.9, -1.0), member(0.5)])
    # One media for all: with media of their own, pooling would give each member an equal share.
    vector, ers, usable = pooled(rows, weighting, ("a", "a", "a"), media_pooling=media_pooling)
    assert vector == pytest.approx(unit_rows(np.array(weights) @ rows), abs=1e-6)
    assert ers == pytest.approx((0.2 + 0.9 + 0.5) / 3)
    assert usable


def test_top_ten_percent_rounds_the_number_of_members_up() -> None:
    rows = np.array([member(0.3 + 0.05 * i, (-1.0) ** i) for i in range(11)])
    vector, _, _ = pooled(rows, Weighting.TOP_10_PERCENT, media_pooling=False)
    assert vector == pytest.approx(unit_rows(0.8 * rows[10] + 0.75 * rows[9]), abs=1e-6)


def test_of_equally_recognizable_members_the_first_is_the_top_one() -> None:
    vector, _, _ = pooled([member(0.5), member(0.5, -1.0)], Weighting.TOP_1)
    assert vector == pytest.approx(member(0.5), abs=1e-6)


def test_media_pooling_lets_a_long_video_count_once() -> None:
    rows = [member(0.8), member(0.8), member(0.8), member(0.8, -1.0)]
    balanced, _, _ = pooled(rows, media=("video", "video", "video", "photo"))
    assert balanced == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)
    leaning, ers, _ = pooled(rows, media=("video", "video", "video", "photo"), media_pooling=False)
    assert leaning[1] > 0.1
    assert ers == pytest.approx(0.8)


def test_members_without_a_media_id_are_media_of_their_own() -> None:
    rows = [member(0.8), member(0.4), member(0.4, -1.0)]
    assert pooled(rows, media=("", "", "")) == pooled(rows, media=("a", "b", "c"))
    assert pooled(rows, media=("", "", "")) != pooled(rows, media=("a", "a", "c"))


def test_within_a_media_weights_count_and_between_media_they_do_not() -> None:
    rows = np.array([member(0.9), member(0.3, -1.0), member(0.3)])
    vector, _, _ = pooled(rows, Weighting.IDENTITY, ("a", "a", "b"))
    assert vector == pytest.approx(unit_rows((0.9 * rows[0] + 0.3 * rows[1]) / 1.2 + rows[2]), abs=1e-6)


@pytest.mark.parametrize("weighting", [Weighting.IDENTITY, Weighting.SQUARE, Weighting.TOP_1, Weighting.TOP_10_PERCENT])
@pytest.mark.parametrize("media_pooling", [True, False])
def test_a_template_whose_weights_are_all_zero_is_not_usable(weighting: Weighting, media_pooling: bool) -> None:
    vector, ers, usable = pooled([[1, 0, 0], [1, 0, 0]], weighting, ("a", "a"), media_pooling=media_pooling)
    assert (vector, ers, usable) == ([0.0, 0.0, 0.0], 0.0, False)


def test_a_media_whose_weights_are_all_zero_says_nothing() -> None:
    vector, ers, usable = pooled([[1, 0, 0], member(0.5)], media=("a", "b"))
    assert usable
    assert vector == pytest.approx(member(0.5), abs=1e-6)
    assert ers == pytest.approx(0.25)


def test_opposite_members_leave_no_direction() -> None:
    _, ers, usable = pooled([[0, 1, 0], [0, -1, 0]])
    assert not usable
    assert ers == 1.0


def test_enhancement_comes_before_aggregation_and_the_weights_are_of_the_plain_ers() -> None:
    rows = np.array([[0.8, 0.6, 0.0], [0.6, 0.0, 0.8]])
    vector, ers, _ = pooled(rows, Weighting.IDENTITY, ("a", "a"), derivation=Derivation(PROFILE, enhance=True))
    assert vector == pytest.approx(unit_rows([0.0, 0.2, 0.4]), abs=1e-6)
    assert ers == pytest.approx(0.3)


@pytest.mark.parametrize("weighting", Weighting)
def test_a_member_without_a_direction_takes_no_part_but_its_ers_counts(weighting: Weighting) -> None:
    enhanced = Derivation(PROFILE, enhance=True)
    vector, ers, usable = pooled([[-1, 0, 0], [0.6, 0.0, 0.8]], weighting, derivation=enhanced)
    assert usable
    assert vector == pytest.approx([0.0, 0.0, 1.0])
    assert ers == pytest.approx((1.0 + 0.4) / 2)


def test_a_template_of_nothing_usable_is_not_usable() -> None:
    _, _, usable = pooled([[-1, 0, 0], [1, 0, 0]], derivation=Derivation(PROFILE, enhance=True))
    assert not usable


def test_a_template_of_one_equals_its_embedding() -> None:
    rows = unit_rows(np.random.default_rng(0).standard_normal((20, 3)))
    templates = [Template(row[None, :], ("",)) for row in rows]
    alone, wrapped = represent(PLAIN, rows), represent_templates(PLAIN, templates)
    assert wrapped.vectors == pytest.approx(alone.vectors, abs=1e-7)
    assert wrapped.ers == pytest.approx(alone.ers)
    assert wrapped.raw_ers == pytest.approx(alone.raw_ers)


def test_a_template_needs_members_of_one_dimension_and_as_many_media() -> None:
    with pytest.raises(InvalidEmbedding, match="is missing"):
        Template(np.zeros((0, 3), dtype=np.float32), ())
    with pytest.raises(InvalidEmbedding, match="dimension"):
        Template(np.zeros(3, dtype=np.float32), ("",))
    with pytest.raises(ValueError, match="media"):
        Template(np.zeros((2, 3), dtype=np.float32), ("",))
    with pytest.raises(InvalidEmbedding, match="dimension"):
        represent_templates(PLAIN, [Template(np.ones((1, 2), dtype=np.float32), ("",))])
