"""Who is in which part, and what is shown of them."""

import pytest
from ersgallery_index.calibration import BuildPlan
from ersgallery_server.evaluation.drawing import MIN_IDENTITIES, View, draw_views, fewest_people, part_sizes
from ersgallery_server.evaluation.plan import CorpusPlan, Part, Role
from ersgallery_server.faces.degrade import Degradation
from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.profiling.aligned_faces import AlignedFaces

PLAN = CorpusPlan(photographs_per_identity=4, level_photographs=5, levels=(0.5, 1.0), frames_per_photograph=3)


def faces(people: int, photographs: int = 6) -> AlignedFaces:
    return AlignedFaces({f"p{who:03}/{i}.jpg": b"" for who in range(people) for i in range(photographs)})


def draw(plan: CorpusPlan = PLAN) -> list[View]:
    return draw_views(faces(100), plan)[1]


def of(views: list[View], part: Part, role: Role = Role.SINGLE) -> list[View]:
    return [view for view in views if view.part is part and view.role is role]


def test_no_identity_is_in_two_parts_and_the_shares_are_as_planned() -> None:
    parts = {part: {view.identity for view in draw() if view.part is part} for part in Part}
    assert {part: len(people) for part, people in parts.items()} == {
        Part.MAKING: 30,
        Part.VALIDATION: 20,
        Part.TEST: 50,
        Part.WILD: 0,
    }
    assert len(set.union(*parts.values())) == 100


def test_every_photograph_is_shown_clean_once_and_degraded_once() -> None:
    for part in (Part.MAKING, Part.VALIDATION, Part.TEST):
        shown = of(draw(), part)
        clean = [view.name for view in shown if view.kind is None]
        assert sorted(clean) == sorted(view.name for view in shown if view.kind is not None)
        assert len(set(clean)) == len(clean)


def test_one_photograph_of_each_person_makes_the_profile_and_the_others_are_limited() -> None:
    counts = {part: len(of(draw(), part)) for part in (Part.MAKING, Part.VALIDATION, Part.TEST)}
    assert counts == {Part.MAKING: 30 * 2, Part.VALIDATION: 20 * 4 * 2, Part.TEST: 50 * 4 * 2}


def test_frames_are_degraded_views_of_test_photographs() -> None:
    frames = of(draw(), Part.TEST, Role.FRAME)
    assert len(frames) == 50 * 4 * 3
    assert all(view.kind is not None and 0.2 <= view.severity <= 1.0 for view in frames)


def test_a_series_shows_the_same_photographs_at_every_kind_and_level() -> None:
    series = of(draw(), Part.TEST, Role.LEVEL)
    assert len(series) == len(Degradation) * 2 * 5
    shown = {
        (kind, level): {view.name for view in series if (view.kind, view.severity) == (kind, level)}
        for kind in Degradation
        for level in PLAN.levels
    }
    assert len(set(map(frozenset, shown.values()))) == 1


def test_the_seed_decides_everything() -> None:
    assert draw() == draw()
    assert draw() != draw(CorpusPlan(seed=1, photographs_per_identity=4, level_photographs=5, levels=(0.5, 1.0)))


def test_too_few_people_are_refused_with_the_limit() -> None:
    with pytest.raises(CalibrationFailed, match=f"39 identities were given; an evaluation needs {MIN_IDENTITIES}"):
        draw_views(faces(39), PLAN)


def test_the_fewest_people_fill_both_parts_of_a_profile_and_one_less_does_not() -> None:
    needed = fewest_people(CorpusPlan())
    least = BuildPlan().min_identities
    assert min(part_sizes(needed, CorpusPlan())) == least
    assert min(part_sizes(needed - 1, CorpusPlan())) == least - 1
    assert fewest_people(CorpusPlan(making_share=0.4, validation_share=0.4)) < needed


def test_a_plan_without_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match="share of people"):
        fewest_people(CorpusPlan(validation_share=0.0))
