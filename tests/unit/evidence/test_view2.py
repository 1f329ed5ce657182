"""The official pairs are read strictly, and judged at thresholds of other folds."""

from pathlib import Path

import numpy as np
import pytest
from ersgallery_server.evaluation.bench import make_bench
from ersgallery_server.evaluation.plan import EvaluationPlan
from ersgallery_server.evaluation.tables import Figure

from tests.evidence.view2 import Pairs, PairsBroken, best_threshold, read_pairs, ten_fold, view2_table
from tests.support.evaluation_corpus import corpus


def written(folder: Path, lines: list[str]) -> Path:
    path = folder / "pairs.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_each_fold_has_its_genuine_pairs_and_then_its_impostors(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, ["10\t1", *(["Ann_B\t1\t12", "Ann_B\t2\tCid_D\t3"] * 10)]))
    assert pairs.first[:2] == ("Ann_B/Ann_B_0001.jpg", "Ann_B/Ann_B_0002.jpg")
    assert pairs.second[:2] == ("Ann_B/Ann_B_0012.jpg", "Cid_D/Cid_D_0003.jpg")
    assert pairs.same.tolist() == [True, False] * 10
    assert pairs.fold.tolist() == [fold for fold in range(10) for _ in range(2)]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["10\t1", "Ann\t1"], "is no pair: 'Ann"),
        (["10\t1", "Ann\t1\t2"], "does not have 10 folds"),
        (["4\t1", *(["Ann\t1\t2"] * 20)], "does not have 10 folds"),
    ],
)
def test_a_list_of_another_form_is_refused(tmp_path: Path, lines: list[str], problem: str) -> None:
    with pytest.raises(PairsBroken, match=problem):
        read_pairs(written(tmp_path, lines))


def test_the_threshold_is_the_best_of_a_loop_over_all() -> None:
    rng = np.random.default_rng(0)
    scores, same = rng.integers(0, 20, 200) / 20, rng.random(200) < 0.5
    found = best_threshold(scores, same)
    right = {tau: int(((scores >= tau) == same).sum()) for tau in scores.tolist()}
    assert right[found] == max(right.values())


def test_a_fold_has_no_part_in_its_own_threshold() -> None:
    fold = np.repeat(np.arange(10), 2)
    same = np.tile([True, False], 10)
    scores = np.where(same, 0.9, 0.1)
    scores[fold == 3] = [0.2, 0.05]
    right = ten_fold(scores, same, fold, np.ones(20, np.bool_))
    assert right.tolist() == [True] * 6 + [False, True] + [True] * 12


def test_photographs_beyond_the_corpus_are_embedded_and_unsure_genuine_pairs_are_errors() -> None:
    faces = corpus(people=600)
    bench = make_bench(faces, None, EvaluationPlan(resamples=20))
    tested = [who for who in range(600) if who % 10 >= 5][:200]
    first = [f"p{who:04}/0" for who in tested]
    second = [f"p{who:04}/{1 if place % 2 else 'new'}" for place, who in enumerate(tested)]
    second = [name if place % 4 < 2 else first[place - 1] for place, name in enumerate(second)]
    same = np.array([one.split("/")[0] == other.split("/")[0] for one, other in zip(first, second, strict=True)])
    pairs = Pairs(tuple(first), tuple(second), same, np.arange(200) // 20)
    asked: list[str] = []

    def embed(names: tuple[str, ...]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        asked.extend(names)
        clean = {name: row for row, name in enumerate(faces.names) if faces.clean[row]}
        return faces.raw[[clean[name.replace("new", "0")] for name in names]]

    table = view2_table(bench, pairs, embed)
    assert asked == sorted({name for name in second if name.endswith("new")})
    accuracies = [row[1] for row in table.rows]
    assert all(isinstance(cell, Figure) and cell.value > 0.9 for cell in accuracies)
    assert table.rows[0][1:] == table.rows[3][1:]
    assert [row[3] for row in table.rows[:2]] == [200, 200]
