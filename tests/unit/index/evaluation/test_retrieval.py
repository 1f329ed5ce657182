"""mAP and rank-k against a loop over every query and every rank."""

import numpy as np
import pytest
from ersgallery_index import InvalidEmbedding, normalize
from ersgallery_index.evaluation import retrieval
from ersgallery_index.evaluation.retrieval import Ranked, mean_over_identities, rank
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]


def drawn(seed: int, queries: int = 40, gallery: int = 90, people: int = 15) -> tuple[Rows, Rows, Ids, Ids]:
    """Return rows near one direction for each person, some of them strangers to the other side or nobody's."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(people + 1, 8))
    query_ids = rng.integers(0, people, queries)
    gallery_ids = rng.integers(-1, people - 2, gallery)
    return (
        noisy(directions[query_ids], rng),
        noisy(directions[gallery_ids], rng),
        query_ids,
        gallery_ids,
    )


def noisy(rows: NDArray[np.float64], rng: np.random.Generator) -> Rows:
    return normalize((rows + 1.2 * rng.normal(size=rows.shape)).astype(np.float32), rows.shape[1]).vectors


def by_hand(
    queries: Rows, gallery: Rows, query_ids: Ids, gallery_ids: Ids, query_ok: Mask, gallery_ok: Mask, counted: Mask
) -> list[tuple[int, float, int]]:
    """Return (relevant, average precision, first rank) of every query by the definition."""
    answers: list[tuple[int, float, int]] = []
    for row, name in enumerate(query_ids):
        relevant = sum(1 for j, other in enumerate(gallery_ids) if other == name and counted[j])
        scores = gallery.astype(np.float64) @ queries[row].astype(np.float64)
        ranking = [j for j in range(len(gallery)) if gallery_ok[j] and (counted[j] or gallery_ids[j] != name)]
        ranking.sort(key=lambda j: (-scores[j], j))
        found, precisions, first = 0, 0.0, 0
        for position, j in enumerate(ranking if query_ok[row] else [], start=1):
            if gallery_ids[j] == name:
                found += 1
                precisions += found / position
                first = first or position
        answers.append((relevant, precisions / relevant if relevant else 0.0, first))
    return answers


def require_equal(result: Ranked, expected: list[tuple[int, float, int]]) -> None:
    assert result.relevant.tolist() == [answer[0] for answer in expected]
    assert result.average_precision == pytest.approx([answer[1] for answer in expected], abs=1e-12)
    assert result.first_rank.tolist() == [answer[2] for answer in expected]


@pytest.mark.parametrize("seed", range(8))
def test_it_agrees_with_a_loop_over_ranks_whatever_the_gates(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, gallery, query_ids, gallery_ids = drawn(seed)
    rng = np.random.default_rng(seed + 100)
    query_ok, gallery_ok, counted = (rng.random(n) < 0.7 for n in (len(queries), len(gallery), len(gallery)))
    monkeypatch.setattr(retrieval, "_BLOCK_SCORES", 7 * len(gallery))
    result = rank(queries, gallery, query_ids, gallery_ids, query_ok=query_ok, gallery_ok=gallery_ok, counted=counted)
    require_equal(result, by_hand(queries, gallery, query_ids, gallery_ids, query_ok, gallery_ok, counted))
    assert 0 < result.average_precision.mean() < 1


def test_without_gates_everything_is_ranked_and_counted() -> None:
    queries, gallery, query_ids, gallery_ids = drawn(3)
    everyone, everything = np.ones(len(queries), np.bool_), np.ones(len(gallery), np.bool_)
    result = rank(queries, gallery, query_ids, gallery_ids)
    require_equal(result, by_hand(queries, gallery, query_ids, gallery_ids, everyone, everything, everything))


def test_equal_scores_are_ranked_by_row() -> None:
    gallery = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    result = rank(gallery[:1], gallery, np.array([7]), np.array([1, 7, 2, 7]))
    assert result.first_rank.tolist() == [2]
    assert result.average_precision == pytest.approx([(1 / 2 + 2 / 4) / 2])


def test_a_query_without_an_answer_stays_in_the_denominator() -> None:
    gallery = np.eye(2, dtype=np.float32)
    names = np.array([0, 1])
    result = rank(gallery, gallery, names, names, query_ok=np.array([True, False]))
    assert result.average_precision.mean() == 0.5
    assert result.cmc(2).tolist() == [0.5, 0.5]
    assert result.answered.tolist() == [True, False]


def test_what_is_kept_out_of_the_gallery_still_counts_as_not_found_unless_it_is_junk() -> None:
    gallery = np.array([[1, 0], [0, 1]], np.float32)
    names, shown = np.array([5, 5]), np.array([True, False])
    missed = rank(gallery[:1], gallery, names[:1], names, gallery_ok=shown)
    junk = rank(gallery[:1], gallery, names[:1], names, gallery_ok=shown, counted=shown)
    assert (missed.relevant[0], missed.average_precision[0]) == (2, 0.5)
    assert (junk.relevant[0], junk.average_precision[0]) == (1, 1.0)


def test_junk_is_in_the_way_of_other_identities_only() -> None:
    gallery = np.array([[1, 0], [0.8, 0.6]], np.float32)
    counted = np.array([False, True])
    own = rank(gallery[:1], gallery, np.array([5]), np.array([5, 5]), counted=counted)
    other = rank(gallery[:1], gallery, np.array([6]), np.array([5, 6]), counted=counted)
    assert (own.first_rank[0], other.first_rank[0]) == (1, 2)


def test_an_empty_gallery_and_an_identity_that_is_not_in_it_find_nothing() -> None:
    row = np.array([[1, 0]], np.float32)
    hidden = rank(row, row, np.array([0]), np.array([0]), gallery_ok=np.array([False]))
    stranger = rank(row, row, np.array([1]), np.array([0]))
    nobody = rank(row, row, np.array([-1]), np.array([-1]))
    assert [result.first_rank[0] for result in (hidden, stranger, nobody)] == [0, 0, 0]
    assert [result.relevant[0] for result in (hidden, stranger, nobody)] == [1, 0, 0]
    assert hidden.average_precision[0] == 0.0


def test_cmc_rises_to_the_share_that_is_found_at_all() -> None:
    queries, gallery, query_ids, gallery_ids = drawn(5)
    result = rank(queries, gallery, query_ids, gallery_ids)
    curve = result.cmc(len(gallery))
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == pytest.approx((result.relevant > 0).mean())
    assert curve[4] == result.found_within(5).mean()


def test_rows_that_do_not_fit_are_refused() -> None:
    row = np.array([[1, 0]], np.float32)
    with pytest.raises(InvalidEmbedding):
        rank(np.ones((1, 3), np.float32), row, np.array([0]), np.array([0]))
    with pytest.raises(InvalidEmbedding):
        rank(np.full((1, 2), np.nan, np.float32), row, np.array([0]), np.array([0]))
    with pytest.raises(ValueError, match="identity"):
        rank(row, row, np.array([0, 1]), np.array([0]))
    with pytest.raises(ValueError, match="mask must have 1 entries"):
        rank(row, row, np.array([0]), np.array([0]), gallery_ok=np.array([True, False]))


def test_an_interval_over_identities_is_wider_than_one_over_their_equal_queries() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.random(50), 20)
    of_identities = mean_over_identities(values, np.repeat(np.arange(50), 20))
    of_queries = mean_over_identities(values, np.arange(len(values)))
    assert of_identities.value == of_queries.value == pytest.approx(values.mean())
    assert of_identities.low < of_queries.low < of_queries.value < of_queries.high < of_identities.high


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for trial in range(200):
        values = (rng.random(60) < 0.3).astype(np.float64)
        interval = mean_over_identities(values, np.arange(60), seed=trial, resamples=400)
        inside += interval.low <= 0.3 <= interval.high
    assert 178 <= inside <= 199


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean_over_identities(np.zeros(0), np.zeros(0, np.int64))
