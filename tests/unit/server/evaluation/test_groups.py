"""Groups are read strictly, and each group is measured apart."""

from pathlib import Path

import numpy as np
import pytest
from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.failures import NotMeasurable
from ersgallery_server.evaluation.groups import Groups
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.evaluation.protocols import bias
from ersgallery_server.evaluation.tables import Figure
from ersgallery_server.models.errors import CalibrationFailed


def written(folder: Path, text: str) -> Path:
    path = folder / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must begin with a line"),
        ("name,age\nann,3\n", "must begin with a line"),
        ("identity\nann\n", "must begin with a line"),
        ("identity,age\nann\n", "row 2: 1 values under 2 columns"),
        ("identity,age\nann,3\nann,4\n", "has somebody twice: ann"),
    ],
)
def test_a_file_that_does_not_say_who_is_what_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(CalibrationFailed, match=problem):
        Groups.read(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationFailed, match=r"none\.csv cannot be read"):
        Groups.read(tmp_path / "none.csv")


def test_people_give_their_value_to_all_their_faces(toy_bench: Bench, tmp_path: Path) -> None:
    groups = Groups.read(written(tmp_path, "identity,age,hat\np0005,old,yes\np0006,young,\n"))
    corpus = toy_bench.corpus
    ages = groups.of_faces(corpus, "age")
    assert set(ages[corpus.identities == 5]) == {"old"}
    assert set(ages[corpus.identities == 7]) == {""}
    assert set(groups.of_faces(corpus, "hat")[corpus.identities == 6]) == {""}


def test_photographs_can_differ_within_a_person(toy_bench: Bench, tmp_path: Path) -> None:
    groups = Groups.read(written(tmp_path, "photograph,light\np0005/0,dark\np0005/1,bright\n"))
    light = groups.of_faces(toy_bench.corpus, "light")
    assert set(light[toy_bench.corpus.identities == 5]) == {"dark", "bright", ""}


def test_each_group_is_counted_on_its_own_faces(toy_bench: Bench) -> None:
    corpus = toy_bench.corpus
    side = {person: ("left" if who % 4 else "right") for who, person in enumerate(corpus.people)}
    (table,) = bias.run(toy_bench, Groups("identity", {"side": {**side, corpus.people[9]: "rare"}}))
    assert [row[0] for row in table.rows] == ["left", "right"]
    clean = corpus.of(Part.TEST, Role.SINGLE) & corpus.clean
    left = clean & (corpus.identities % 4 != 0) & (corpus.identities != 9)
    assert table.rows[0][1] == int(left.sum())
    below = table.rows[0][3]
    assert isinstance(below, Figure)
    assert below.value == pytest.approx((toy_bench.derived.ers[left] < toy_bench.profile.gamma).mean())
    median = table.rows[0][6]
    assert isinstance(median, Figure)
    assert median.value == pytest.approx(float(np.median(toy_bench.derived.raw_ers[left])))
    assert "rare" in table.notes[-1]
    assert [line.name for line in table.charts[0].series] == ["left", "right"]


def test_without_groups_and_with_foreign_ones_the_reason_is_said(toy_bench: Bench) -> None:
    with pytest.raises(NotMeasurable, match="--groups"):
        bias.run(toy_bench, None)
    (table,) = bias.run(toy_bench, Groups("identity", {"side": {"nobody": "left"}}))
    assert table.rows == (("no group of side has 20 clean test faces",),)
