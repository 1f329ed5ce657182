"""tau keeps a target on scores of a known law, says when it cannot, and non-mated scores are those of brute force."""

import numpy as np
import pytest
from ersgallery_index import Policy, Representation, open_index
from ersgallery_index.calibration import non_mated
from ersgallery_index.calibration.fpir_fit import counted_fpir
from ersgallery_index.calibration.non_mated import (
    STRANGER,
    NonMatedScores,
    closest_pairs,
    leave_one_subject_out,
    non_mated_scores,
    non_mated_scores_of_index,
    some_of_each,
)
from ersgallery_index.calibration.tau import TauChoice, choose_tau, fpir_at, outgrown
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.interface import Ids
from scipy import stats


def sample(probes: int, subjects: int, *, unsure: int = 0, kept: int = 32, seed: int = 0) -> NonMatedScores:
    """Return scores whose comparisons all follow one exponential law of scale 0.05."""
    generator = np.random.default_rng(seed)
    scores = generator.exponential(0.05, (probes, subjects))
    columns = np.argsort(-scores, axis=1)[:, :kept]
    return NonMatedScores(
        top=np.take_along_axis(scores, columns, axis=1),
        subjects=columns.astype(np.int64),
        owners=10_000 + np.arange(probes),
        gallery_subjects=subjects,
        unsure=unsure,
    )


def true_fpir(tau: float, size: int) -> float:
    return float(-np.expm1(size * np.log1p(-stats.expon.sf(tau, scale=0.05))))


def codes(choice: TauChoice) -> set[str]:
    return {warning.code for warning in choice.warnings}


@pytest.mark.parametrize("size", [50, 200, 2000])
def test_a_known_law_is_kept_below_at_and_beyond_the_sample(size: int) -> None:
    choice = choose_tau(sample(4000, 200), 0.05, size)
    assert true_fpir(choice.tau.value, size) == pytest.approx(0.05, rel=0.35)
    assert choice.fpir.value == pytest.approx(0.05, rel=0.02)
    assert choice.extrapolation == size / 200
    assert choice.supported


@pytest.mark.parametrize("size", [200, 2000])
def test_the_interval_holds_the_true_tau_about_as_often_as_it_says(size: int) -> None:
    wanted = stats.expon.isf(-np.expm1(np.log1p(-0.05) / size), scale=0.05)
    held = [
        choice.tau.low <= wanted <= choice.tau.high
        for choice in (choose_tau(sample(600, 200, kept=8, seed=seed), 0.05, size) for seed in range(40))
    ]
    assert np.mean(held) >= 0.85


def test_the_interval_grows_with_the_extrapolation() -> None:
    scores = sample(2000, 200)
    near, far = choose_tau(scores, 0.05, 200), choose_tau(scores, 0.05, 2000)
    assert far.tau.high - far.tau.low > near.tau.high - near.tau.low


def test_unsure_probes_stay_in_the_denominator() -> None:
    without, half = choose_tau(sample(4000, 200), 0.1, 200), choose_tau(sample(4000, 200, unsure=4000), 0.05, 200)
    assert half.tau.value == pytest.approx(without.tau.value)
    assert (half.probes, half.unsure) == (8000, 4000)
    assert counted_fpir(sample(4000, 200, unsure=4000), half.tau.value, 200).value <= 0.05


def test_the_fpir_of_another_gallery_size_follows() -> None:
    choice = choose_tau(sample(4000, 200), 0.05, 1000)
    for size in (300, 1000, 5000):
        expected = fpir_at(choice, size)
        assert expected.value == pytest.approx(true_fpir(choice.tau.value, size), rel=0.35)
        assert expected.low <= expected.value <= expected.high
    assert fpir_at(choice, 1000) == choice.fpir


def test_a_gallery_that_outgrew_its_tau_is_told() -> None:
    choice = choose_tau(sample(2000, 200), 0.05, 1000)
    assert outgrown(choice, 900) is None
    assert outgrown(choice, 1050) is None
    warning = outgrown(choice, 3000)
    assert warning is not None
    assert warning.code == "GALLERY_OUTGROWN"
    assert "1000 subjects" in warning.message
    assert "3000 subjects" in warning.message


def test_a_target_that_the_data_cannot_support_is_told() -> None:
    scores = sample(500, 200)
    assert codes(choose_tau(scores, 0.05, 200)) == set()
    few = choose_tau(scores, 0.001, 200)
    assert "FEW_FALSE_POSITIVES" in codes(few)
    assert "10000 probes" in few.warnings[0].message
    assert not few.supported
    far = choose_tau(scores, 0.05, 2001)
    assert {"FAR_EXTRAPOLATION", "BEYOND_SAMPLE"} <= codes(far)
    assert not far.supported


def test_a_tau_beyond_the_sample_is_told_and_may_still_be_supported() -> None:
    choice = choose_tau(sample(1000, 200), 0.05, 2000)
    assert codes(choice) == {"BEYOND_SAMPLE"}
    assert choice.supported


def test_few_people_are_told() -> None:
    scores = sample(500, 200)
    same = NonMatedScores(scores.top, scores.subjects, scores.owners % 50 + 10_000, 200, 0)
    assert "FEW_IDENTITIES" in codes(choose_tau(same, 0.05, 200))


def test_a_tail_without_a_law_is_told() -> None:
    scores = sample(1000, 200)
    top = scores.top.copy()
    top[:60, 0] = 0.95
    twins = NonMatedScores(top, scores.subjects, scores.owners, 200, 0)
    assert "POOR_FIT" in codes(choose_tau(twins, 0.02, 200))


def test_too_few_kept_subjects_are_told() -> None:
    assert "FEW_NEIGHBOURS" in codes(choose_tau(sample(1000, 200, kept=2), 0.3, 20))


def test_a_gate_that_keeps_the_target_alone_is_told() -> None:
    choice = choose_tau(sample(500, 200, unsure=9500), 0.06, 200)
    assert "GATE_ALONE" in codes(choice)
    assert choice.tau.value == sample(500, 200).top[:, 0].min()


def test_a_target_that_no_tau_keeps_is_told() -> None:
    scores = sample(500, 200)
    twins = NonMatedScores(0.7 + 0.3 * scores.top, scores.subjects, scores.owners, 200, 0)
    choice = choose_tau(twins, 1e-9, 200)
    assert "TAU_OUT_OF_RANGE" in codes(choice)
    assert choice.tau.value == 1.0
    assert not choice.supported


@pytest.mark.parametrize(
    ("scores", "target", "size", "reason"),
    [
        (sample(500, 200), 0.0, 200, "BAD_TARGET"),
        (sample(500, 200), 1.0, 200, "BAD_TARGET"),
        (sample(500, 200), 0.1, 0, "BAD_TARGET"),
        (sample(150, 200), 0.1, 200, "TOO_FEW_PROBES"),
        (sample(0, 200, unsure=9), 0.1, 200, "TOO_FEW_PROBES"),
    ],
)
def test_what_has_no_answer_is_refused(scores: NonMatedScores, target: float, size: int, reason: str) -> None:
    with pytest.raises(CalibrationFailed) as caught:
        choose_tau(scores, target, size)
    assert caught.value.reason == reason


def test_progress_is_told_and_may_end_the_work() -> None:
    seen: list[tuple[int, int]] = []
    choose_tau(sample(500, 200), 0.05, 200, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1][0] <= seen[-1][1]

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        choose_tau(sample(500, 200), 0.05, 200, progress=stop)


def faces(people: int, each: int, seed: int = 0) -> tuple[Representation, Ids]:
    generator = np.random.default_rng(seed)
    identities = generator.permutation(np.repeat(np.arange(people), each)).astype(np.int64)
    rows = generator.normal(size=(len(identities), 8))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    ers = generator.random(len(identities))
    usable = generator.random(len(identities)) > 0.05
    return Representation(vectors, ers, ers, usable), identities


def brute_force(
    probes: Representation, owners: Ids, gallery: Representation, subjects: Ids, gates: tuple[float, float]
) -> list[list[float]]:
    """Return for each probe that passes the best score of each other subject, falling."""
    found = []
    for row in np.flatnonzero(probes.passes(gates[0])):
        best: dict[int, float] = {}
        for face in np.flatnonzero(gallery.passes(gates[1])):
            if subjects[face] != owners[row]:
                score = float(probes.vectors[row].astype(np.float64) @ gallery.vectors[face])
                best[int(subjects[face])] = max(score, best.get(int(subjects[face]), -2.0))
        found.append(sorted(best.values(), reverse=True))
    return found


def test_scores_are_those_of_brute_force_with_both_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(non_mated, "_BLOCK_SCORES", 300)
    gallery, subjects = faces(12, 3)
    probes, owners = faces(20, 2, seed=1)
    owners = np.where(owners >= 16, STRANGER, owners)
    scores = non_mated_scores(probes, owners, gallery, subjects, gamma=0.3, gamma_gallery=0.4, k=5)
    expected = brute_force(probes, owners, gallery, subjects, (0.3, 0.4))
    assert scores.probes == 40
    assert len(scores.top) == len(expected) < 40
    for found, wanted in zip(scores.top, expected, strict=True):
        np.testing.assert_allclose(found, wanted[:5], atol=1e-6)


def test_a_probe_is_never_compared_with_its_own_subject() -> None:
    gallery, subjects = faces(6, 3)
    scores = leave_one_subject_out(gallery, subjects, gamma=0.0, gamma_gallery=0.0, k=6)
    assert not (scores.subjects == scores.owners[:, None]).any()
    assert scores.gallery_subjects == 5
    # Five others, and nothing in the sixth place.
    assert np.isneginf(scores.top[:, 5]).all()
    assert (scores.subjects[:, 5] == -1).all()


def test_an_index_gives_the_same_scores_as_the_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(non_mated, "_BLOCK_PROBES", 7)
    gallery, subjects = faces(15, 3)
    probes = np.flatnonzero(gallery.usable)
    index = open_index(8, "cpu")
    none = np.empty(0, dtype=np.int64)
    index.apply(1, none, probes.astype(np.int64), subjects[probes], gallery.ers[probes], gallery.vectors[probes])
    policy = Policy(gamma=0.2, gamma_gallery=0.4, tau=0.5)
    through = non_mated_scores_of_index(index, gallery, subjects, policy, gallery_subjects=14, k=6)
    arrays = leave_one_subject_out(gallery, subjects, gamma=0.2, gamma_gallery=0.4, k=6)
    np.testing.assert_allclose(through.top, arrays.top, atol=1e-6)
    np.testing.assert_array_equal(through.subjects, arrays.subjects)
    np.testing.assert_array_equal(through.owners, arrays.owners)
    assert (through.probes, through.unsure) == (arrays.probes, arrays.unsure)


def test_some_of_each_takes_no_more_than_asked_and_everybody() -> None:
    _, identities = faces(10, 7)
    rows = some_of_each(identities, 3, seed=4)
    assert len(rows) == 30
    assert (np.bincount(identities[rows]) == 3).all()
    assert len(some_of_each(identities, 99)) == 70


def test_the_closest_pairs_are_named_once_and_in_order() -> None:
    gallery, subjects = faces(12, 3)
    scores = leave_one_subject_out(gallery, subjects, gamma=0.0, gamma_gallery=0.0)
    pairs = closest_pairs(scores, 5)
    assert len({frozenset((pair.owner, pair.subject)) for pair in pairs}) == 5
    assert [pair.score for pair in pairs] == sorted((pair.score for pair in pairs), reverse=True)
    assert pairs[0].score == scores.top.max()
    strangers = NonMatedScores(scores.top, scores.subjects, np.full_like(scores.owners, STRANGER), 11, 0)
    assert len(closest_pairs(strangers, 5)) == 5


def test_faces_that_cannot_be_compared_are_refused() -> None:
    gallery, subjects = faces(6, 3)
    wide = Representation(np.zeros((18, 9), dtype=np.float32), gallery.ers, gallery.raw_ers, gallery.usable)
    broken = Representation(gallery.vectors * np.float32(np.nan), gallery.ers, gallery.raw_ers, gallery.usable)
    cases: list[tuple[Representation, Ids, Representation, Ids, float, str]] = [
        (gallery, subjects[:-1], gallery, subjects, 0.0, "LABELS_MISMATCH"),
        (gallery, subjects, gallery, subjects[:-1], 0.0, "LABELS_MISMATCH"),
        (wide, subjects, gallery, subjects, 0.0, "MIXED_DIMENSIONS"),
        (gallery, subjects, gallery, subjects, 1.0, "ALL_DEGRADED"),
        (broken, subjects, gallery, subjects, 0.0, "NOT_FINITE"),
        (gallery, subjects, gallery, np.minimum(subjects, 1), 0.0, "TOO_FEW_IDENTITIES"),
    ]
    for probes, owners, enrolled, enrolled_subjects, gate, reason in cases:
        with pytest.raises(CalibrationFailed) as caught:
            non_mated_scores(probes, owners, enrolled, enrolled_subjects, gamma=gate, gamma_gallery=gate)
        assert caught.value.reason == reason


def test_scores_that_do_not_fit_together_are_refused() -> None:
    good = sample(10, 5)
    for top, subjects, owners in [
        (good.top[:, ::-1], good.subjects, good.owners),
        (good.top, good.subjects[:, :-1], good.owners),
        (good.top, good.subjects, good.owners[:-1]),
        (good.top * np.nan, good.subjects, good.owners),
    ]:
        with pytest.raises(CalibrationFailed):
            NonMatedScores(top, subjects, owners, 5, 0)
