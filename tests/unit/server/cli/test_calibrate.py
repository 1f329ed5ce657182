"""`calibrate` from embeddings: a sound set gives a profile and a report, a bad one a sentence and no profile."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from ersgallery_server.cli import main
from ersgallery_server.models.profile_file import read_profile
from numpy.typing import NDArray

from tests.support.labelled_npz import toy_columns, write_npz

Columns = dict[str, NDArray[Any]]


def calibrate(tmp_path: Path, columns: Columns | bytes, *options: str) -> Result:
    """Run the command on columns, or on the bytes of a file."""
    given = tmp_path / "given.npz"
    if isinstance(columns, bytes):
        given.write_bytes(columns)
    else:
        write_npz(given, columns)
    words = ["--model", "mine", "--embeddings", str(given), "--output", str(tmp_path / "p.json"), "--no-progress"]
    return CliRunner().invoke(main, ["calibrate", *words, *options])


def only(columns: Columns, keep: NDArray[Any]) -> Columns:
    """Return some rows."""
    return {name: column[keep] for name, column in columns.items()}


def test_embeddings_of_any_model_give_a_profile_with_its_provenance(tmp_path: Path) -> None:
    report = tmp_path / "p.html"
    result = calibrate(tmp_path, toy_columns(), "--report", str(report), "--degraded-share", "0.4")
    assert result.exit_code == 0, result.output
    profile = read_profile(tmp_path / "p.json")
    assert (profile.name, profile.model, profile.dimension) == ("p", "mine", 64)
    assert 0.3 < profile.gamma <= 1.0
    assert profile.provenance["counts"]["identities_making"] == 250
    assert profile.provenance["counts"]["identities_testing"] == 250
    assert profile.provenance["figures"]["auc_clean_against_degraded"] > 0.8
    (data,) = profile.provenance["data"]
    assert (data["what"], data["name"], len(data["sha256"])) == ("embeddings", "given.npz", 64)
    assert profile.provenance["seed"] == 0
    assert "numpy" in profile.provenance["versions"]
    assert {check["name"] for check in profile.checks} >= {"dominance", "kinds", "identities"}
    assert [len(decision["among"]) >= 1 for decision in profile.decisions] == [True, True]
    assert profile.histogram is not None
    assert sum(profile.histogram["clean"]) > 0
    assert len(profile.histogram["raw_ers_edges"]) == len(profile.histogram["clean"]) + 1
    page = report.read_text()
    assert page.count("<svg") == 5
    assert "data:image/jpeg" not in page
    assert f"{profile.gamma:.4f}" in page
    assert f"gamma {profile.gamma:g}" in result.output


def test_the_same_seed_gives_the_same_profile_and_another_seed_another_one(tmp_path: Path) -> None:
    found = []
    for seed in ("5", "5", "6"):
        assert calibrate(tmp_path, toy_columns(), "--seed", seed, "--degraded-share", "0.4").exit_code == 0
        found.append(read_profile(tmp_path / "p.json"))
    assert np.array_equal(found[0].centroids, found[1].centroids)
    assert not np.array_equal(found[0].centroids, found[2].centroids)


def test_a_given_ui_set_needs_no_clustering_and_lies_near_the_cluster(tmp_path: Path) -> None:
    columns = toy_columns()
    assert calibrate(tmp_path, columns, "--degraded-share", "0.4", "--centring", "off").exit_code == 0
    (tmp_path / "p.json").rename(tmp_path / "clustered.json")
    others = toy_columns(seed=1, people=300)
    ui = write_npz(tmp_path / "ui.npz", {"embedding": others["embedding"][others["severity"] > 0.9]})
    again = ["--ui-set", str(ui), "--compare", str(tmp_path / "clustered.json"), "--centring", "off"]
    result = calibrate(tmp_path, columns, *again, "--report", str(tmp_path / "p.html"))
    assert result.exit_code == 0, result.output
    one, other = read_profile(tmp_path / "p.json"), read_profile(tmp_path / "clustered.json")
    assert float(one.centroids[0] @ other.centroids[0]) > 0.9
    assert f"against p: cosine distance {1 - float(one.centroids[0] @ other.centroids[0]):.4f}" in result.output
    assert one.provenance["clusters"] is None
    assert "Against other profiles of this model" in (tmp_path / "p.html").read_text()


def test_crops_from_the_wild_are_clustered_as_they_are(tmp_path: Path) -> None:
    columns = toy_columns()
    others = toy_columns(seed=0, people=300)
    poor = others["severity"] > 0.6
    wild = write_npz(tmp_path / "wild.npz", {"embedding": others["embedding"][poor]})
    result = calibrate(tmp_path, columns, "--wild", str(wild), "--report", str(tmp_path / "p.html"))
    assert result.exit_code == 0, result.output
    counts = read_profile(tmp_path / "p.json").provenance["counts"]
    assert (counts["making_degraded"], counts["making_unknown"]) == (0, int(poor.sum()))
    assert "from the wild" in (tmp_path / "p.html").read_text()


def _nothing_gathers(columns: Columns) -> Columns:
    return columns | {"embedding": np.random.default_rng(0).normal(size=columns["embedding"].shape).astype(np.float32)}


def _two_places(columns: Columns) -> Columns:
    raw = columns["embedding"].copy()
    degraded = np.flatnonzero(columns["kind"] != "CLEAN")
    noise = np.random.default_rng(0).normal(size=(len(degraded), raw.shape[1])) * 0.02
    raw[degraded] = np.eye(raw.shape[1])[np.random.default_rng(1).permutation(len(degraded)) % 2] + noise
    return columns | {"embedding": raw}


def _with_nan(columns: Columns) -> Columns:
    raw = columns["embedding"].copy()
    raw[7, 3] = np.nan
    return columns | {"embedding": raw}


BAD: list[tuple[str, Callable[[Columns], Columns], str]] = [
    ("one face", lambda columns: only(columns, np.arange(1)), "at least|needed"),
    ("too few people", lambda columns: only(columns, np.arange(90)), "100"),
    ("nothing gathers", _nothing_gathers, "stands out"),
    ("two equal clusters", _two_places, "alike|stands out"),
    ("all degraded", lambda columns: only(columns, columns["kind"] != "CLEAN"), "clean"),
    ("all clean", lambda columns: only(columns, columns["kind"] == "CLEAN"), "clean"),
    ("not a number", _with_nan, "row 7 .*NaN|NaN .*row 7|row 7"),
    ("labels too short", lambda columns: columns | {"identity": columns["identity"][:-1]}, "labels do not match"),
    ("no embeddings", lambda columns: {"other": columns["embedding"]}, "no array called embedding"),
    ("no matrix", lambda columns: columns | {"embedding": columns["embedding"][:, 0]}, "matrix"),
    ("zero", lambda columns: columns | {"embedding": columns["embedding"] * 0.0}, "length|norm|zero"),
]


@pytest.mark.parametrize(("change", "problem"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_gives_no_sound_profile_ends_in_a_sentence_and_no_file(
    tmp_path: Path, change: Callable[[Columns], Columns], problem: str
) -> None:
    result = calibrate(tmp_path, change(toy_columns(people=300)), "--report", str(tmp_path / "p.html"))
    assert result.exit_code == 1, result.output
    import re

    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert re.search(problem, line), line
    assert not (tmp_path / "p.json").exists()
    assert not (tmp_path / "p.html").exists()


@pytest.mark.parametrize("cut", [0, 10, 5000])
def test_a_truncated_file_is_named(tmp_path: Path, cut: int) -> None:
    whole = write_npz(tmp_path / "whole.npz", toy_columns(people=300)).read_bytes()
    result = calibrate(tmp_path, whole[:cut])
    assert result.exit_code == 1
    assert "given.npz is no .npz file, or is truncated" in result.output
    assert not (tmp_path / "p.json").exists()


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    columns = {"embedding": np.array([{"a": 1}], dtype=object)}
    result = calibrate(tmp_path, columns)
    assert result.exit_code == 1
    assert "given.npz" in result.output


def test_embeddings_of_two_models_are_not_mixed(tmp_path: Path) -> None:
    ui = write_npz(tmp_path / "ui.npz", {"embedding": np.ones((5, 65), np.float32)})
    result = calibrate(tmp_path, toy_columns(people=300), "--ui-set", str(ui))
    assert result.exit_code == 1
    assert "64" in result.output
    assert "65" in result.output
    assert not (tmp_path / "p.json").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "one of --faces and --embeddings"),
        (("--faces", ".", "--embeddings", "."), "one of --faces and --embeddings"),
        (("--faces", ".", "--wild", ".", "--ui-set", "."), "one of --wild and --ui-set"),
        (("--embeddings", ".", "--save-ui-set", "x"), "--save-ui-set needs images"),
        (("--faces", ".", "--severity", "0.9", "0.1"), "the least and then the greatest"),
        (("--embeddings", ".", "--kind", "NOISE"), "choose images"),
    ],
)
def test_options_that_contradict_each_other_are_refused(words: tuple[str, ...], problem: str) -> None:
    result = CliRunner().invoke(main, ["calibrate", "--model", "m", "--output", "p.json", *words])
    assert result.exit_code == 2
    assert problem in result.output


def test_the_help_has_examples_whose_options_exist() -> None:
    command = main.commands["calibrate"]
    known = {name for parameter in command.params for name in parameter.opts}
    lines = [line for line in (command.epilog or "").splitlines() if "ersgallery-server calibrate" in line]
    assert len(lines) == 4
    for line in lines:
        assert {word for word in line.split() if word.startswith("--")} <= known


def test_a_profile_is_shown_with_checks_and_decisions(tmp_path: Path) -> None:
    assert calibrate(tmp_path, toy_columns(), "--degraded-share", "0.4").exit_code == 0
    result = CliRunner().invoke(main, ["profiles", "show", str(tmp_path / "p.json")])
    first, _, rest = result.output.partition("\n")
    assert first.startswith("p: model mine, dimension 64, gamma ")
    assert json.loads(rest).keys() == {"provenance", "checks", "decisions"}
