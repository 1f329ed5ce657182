"""Who takes part in what, and what is degraded how."""

import numpy as np
import pytest

from tests.evidence.beyond_faces.protocol import CLEAN, UNSEEN, Part, Plan, Samples, draw_samples
from tests.evidence.beyond_faces.spoiling import KINDS

CHARACTERS = list(range(0x5000, 0x5000 + 600))
TYPEFACES = 6
SEARCH = (Part.QUERY, Part.GALLERY)


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Return the samples of 600 characters in six typefaces."""
    return draw_samples(Plan(), CHARACTERS, TYPEFACES)


def characters_of(samples: Samples, *parts: Part) -> set[int]:
    return set(samples.characters[samples.of(*parts)].tolist())


def test_no_character_is_in_two_parts_and_all_take_part(samples: Samples) -> None:
    parts = [characters_of(samples, *some) for some in ((Part.MAKING,), (Part.VALIDATION,), SEARCH, (Part.DISTRACTOR,))]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == 600
    assert [len(part) for part in parts] == [198, 102, 240, 60]


def test_queries_and_gallery_share_characters_but_no_drawing(samples: Samples) -> None:
    assert characters_of(samples, Part.QUERY) == characters_of(samples, Part.GALLERY)
    searched = samples.of(*SEARCH)
    drawings = set(zip(samples.characters[searched].tolist(), samples.typefaces[searched].tolist(), strict=True))
    assert len(drawings) == searched.sum() == 240 * TYPEFACES
    assert samples.of(Part.QUERY).sum() == 2 * 240


def test_what_makes_a_profile_is_a_clean_drawing_of_each_character_and_two_degraded_of_every_other(
    samples: Samples,
) -> None:
    making = samples.of(Part.MAKING)
    clean = samples.kinds[making] == CLEAN
    assert len(set(samples.characters[making][clean].tolist())) == clean.sum() == 198
    _, drawings = np.unique(samples.characters[making][~clean], return_counts=True)
    assert drawings.tolist() == [2] * 99


def test_some_kinds_are_never_seen_before_the_test(samples: Samples) -> None:
    unseen = [KINDS.index(name) for name in UNSEEN]
    assert not np.isin(samples.kinds[samples.of(Part.MAKING, Part.VALIDATION)], unseen).any()
    assert set(unseen) < set(samples.kinds[samples.of(*SEARCH, Part.DISTRACTOR)].tolist())


def test_about_a_fifth_of_queries_and_gallery_and_every_distractor_is_degraded(samples: Samples) -> None:
    for part in SEARCH:
        assert 0.15 < (samples.kinds[samples.of(part)] != CLEAN).mean() < 0.25
    assert (samples.kinds[samples.of(Part.DISTRACTOR)] != CLEAN).all()


def test_clean_drawings_have_no_severity_and_degraded_ones_have_a_graded_one(samples: Samples) -> None:
    degraded = samples.kinds != CLEAN
    assert (samples.severities[~degraded] == 0.0).all()
    assert samples.severities[degraded].min() >= 0.2
    assert np.histogram(samples.severities[degraded], bins=4, range=(0.2, 1.0))[0].min() > degraded.sum() / 6


def test_the_seed_decides_everything_and_the_order_of_the_characters_nothing() -> None:
    first, again = draw_samples(Plan(seed=1), CHARACTERS, TYPEFACES), draw_samples(Plan(seed=1), CHARACTERS[::-1], 6)
    other = draw_samples(Plan(seed=2), CHARACTERS, TYPEFACES)
    assert np.array_equal(first.characters, again.characters)
    assert np.array_equal(first.kinds, again.kinds)
    assert not np.array_equal(first.characters, other.characters)


def test_a_smaller_plan_takes_fewer_characters_and_a_part_without_any_is_refused() -> None:
    assert len(set(draw_samples(Plan(most=50), CHARACTERS, TYPEFACES).characters.tolist())) == 50
    with pytest.raises(ValueError, match="4 characters cannot be shared out"):
        draw_samples(Plan(), CHARACTERS[:4], TYPEFACES)
