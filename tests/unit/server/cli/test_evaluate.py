"""`evaluate` writes all outputs or none, and says what is wrong in a sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from ersgallery_server.cli import main
from ersgallery_server.evaluation.drawing import fewest_people
from ersgallery_server.evaluation.plan import CorpusPlan

from tests.support.evaluation_corpus import bystanders, corpus


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "toy.npz"
    corpus(people=600).save(path)
    return path


def evaluate(*options: str | Path) -> Result:
    return CliRunner().invoke(main, ["evaluate", "--model", "toy", "--no-progress", *map(str, options)])


def test_one_protocol_writes_json_markdown_and_a_page(kept: Path, tmp_path: Path) -> None:
    result = evaluate("--embeddings", kept, "--protocol", "T1", "--resamples", "20", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "T1: Single-image verification" in result.stdout
    content = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [table["key"] for table in content["tables"]] == ["T1", "T10"]
    assert "## T1: Single-image" in (tmp_path / "out" / "tables.md").read_text()
    assert "<svg" in (tmp_path / "out" / "index.html").read_text()


def test_groups_are_measured_and_a_missing_server_is_said(kept: Path, tmp_path: Path) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("identity,side\n" + "".join(f"p{who:04},{'lr'[who % 2]}\n" for who in range(600)))
    result = evaluate("--embeddings", kept, "--groups", groups, "--resamples", "20")
    assert result.exit_code == 0, result.output
    assert "Recognizability and errors by side" in result.stdout
    assert "not measured: service: no server was named" in result.stdout


def test_bystanders_are_told_apart_by_the_sizes_that_are_given(kept: Path, tmp_path: Path) -> None:
    bystanders().save(tmp_path / "wild.npz")
    (tmp_path / "sizes.txt").write_text("".join(f"{20 + size}\n" for size in range(200)))
    options = ("--embeddings", kept, "--wild", tmp_path / "wild.npz", "--protocol", "natural", "--resamples", "20")
    result = evaluate(*options, "--wild-sizes", tmp_path / "sizes.txt", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "UNSURE of those whose face has 169 to 219 px" in (tmp_path / "out" / "tables.md").read_text()
    (tmp_path / "sizes.txt").write_text("20\n")
    result = evaluate(*options, "--wild-sizes", tmp_path / "sizes.txt")
    assert result.exit_code == 1
    assert "sizes.txt has 1 sizes, and there are 200 faces" in result.output


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "give one of --faces and --embeddings"),
        (("--embeddings", "{kept}", "--faces", "{kept}"), "give one of --faces and --embeddings"),
        (("--embeddings", "{kept}", "--protocol", "T99"), "there is no protocol T99"),
        (("--embeddings", "{kept}", "--protocol", "service"), "the protocol service needs --server"),
        (("--embeddings", "{kept}", "--protocol", "bias"), "the protocol bias needs --groups"),
        (("--embeddings", "{kept}", "--cache", "somewhere"), "--cache keeps embeddings of --faces"),
        (("--embeddings", "{kept}", "--wild-sizes", "{kept}"), "--wild-sizes tells the sizes of --wild"),
    ],
)
def test_options_that_contradict_each_other_are_refused(kept: Path, options: tuple[str, ...], problem: str) -> None:
    result = evaluate(*(option.format(kept=kept) for option in options))
    assert result.exit_code == 2
    assert problem in result.output


def broken(folder: Path, **changes: object) -> Path:
    rng = np.random.default_rng(0)
    arrays = {"embedding": rng.normal(size=(80, 8)).astype(np.float32), "identity": np.arange(80) // 2}
    path = folder / "broken.npz"
    np.savez(path, **{**arrays, **changes})  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"embedding": np.full((80, 8), np.nan, np.float32)}, "NaN or infinity"),
        ({"identity": np.arange(3)}, "labels do not match"),
        ({"identity": np.arange(80) // 20}, "4 identities were given; an evaluation needs 498 at least"),
    ],
)
def test_bad_embeddings_end_in_one_sentence_and_write_nothing(
    tmp_path: Path, changes: dict[str, object], problem: str
) -> None:
    result = evaluate("--embeddings", broken(tmp_path, **changes), "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert problem in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_help_teaches_the_protocols_and_the_inputs() -> None:
    text = CliRunner().invoke(main, ["evaluate", "--help"]).output
    assert "\n    bias                       by group" in text
    assert f"so {fewest_people(CorpusPlan())} people are needed" in " ".join(text.split())
    for word in ("T1, T10", "--groups", "identity/photograph.jpg", "summary.json", "UNSURE"):
        assert word in text
