"""gamma and tau on the command line: tables, JSON, and one sentence for each kind of bad input."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from ersgallery_index import Weighting
from ersgallery_server.cli import main
from ersgallery_server.models.profile_file import ProfileFile, write_profile
from ersgallery_server.thresholds.labelled_embeddings import LabelledEmbeddings

DIMENSION = 16
PEOPLE = 260

Run = Callable[..., Result]


def embeddings(people: int = PEOPLE, faces: int = 3, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Return raw embeddings around a centre for each person, a few of them near the first axis, and their names."""
    generator = np.random.default_rng(seed)
    centres = np.repeat(generator.normal(size=(people, DIMENSION)), faces, axis=0)
    centres[:, 0] = 0.0
    rows = centres + 0.3 * generator.normal(size=centres.shape)
    rows[::20, 0] += 8.0
    names = [f"person {person}" for person in range(people) for _ in range(faces)]
    return (7.0 * rows).astype(np.float16), names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with embeddings, labels and a profile whose UI centroid is the first axis."""
    rows, names = embeddings()
    np.savez(tmp_path / "faces.npz", embedding=rows, identity=np.array(names))
    np.savez(tmp_path / "bare.npz", embedding=rows)
    (tmp_path / "names.txt").write_text("".join(f"{name}/{row}\n" for row, name in enumerate(names)))
    centroid = np.eye(DIMENSION)[:1]
    write_profile(ProfileFile("toy", "toy", centroid, 0.5, None, {"command": "none"}), tmp_path / "toy.json")
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Run a command of `thresholds` with the files of the folder."""

    def invoke(command: str, *arguments: str, path: str = "faces.npz", profile: bool = True) -> Result:
        options = ["--embeddings", str(folder / path)]
        options += ["--profile", str(folder / "toy.json")] if profile else []
        return CliRunner().invoke(main, ["thresholds", command, *options, *arguments])

    return invoke


def test_the_trade_of_gamma_is_a_table_with_a_pick(run: Run) -> None:
    result = run("gamma", "--gamma", "0", "--gamma", "0.5", "--far", "0.01")
    assert result.exit_code == 0, result.output
    assert "FRR at 0.01" in result.stdout
    assert "5.00%" in result.stdout
    assert "780 faces" in result.stdout
    assert "Pick: gamma 0" in result.stdout


def test_the_trade_of_gamma_as_json_has_every_cell(run: Run) -> None:
    result = run("gamma", "--gamma", "0", "--gamma", "0.5", "--far", "0.01", "--far", "0.1", "--json")
    trade = json.loads(result.stdout)
    assert [row["gamma"] for row in trade["rows"]] == [0.0, 0.5]
    assert [cell["far"] for cell in trade["rows"][0]["cells"]] == [0.1, 0.01]
    assert trade["rows"][1]["faces_unsure"] == pytest.approx(0.05)
    assert trade["pick"]["gamma"] == 0.0


def test_tau_takes_its_gates_from_the_profile_and_says_what_it_rests_on(run: Run) -> None:
    result = run("tau", "--fpir", "0.05", "--gallery-size", "1000")
    assert result.exit_code == 0, result.output
    assert "gamma 0.5, gamma_gallery 0.5" in result.stdout
    assert "780, of them UNSURE 39" in result.stdout
    assert "259 people each" in result.stdout
    assert "Most alike" in result.stdout


def test_tau_as_json_counts_the_strangers_that_are_given(run: Run, folder: Path) -> None:
    rows, _ = embeddings(people=400, faces=1, seed=9)
    np.savez(folder / "strangers.npz", embedding=rows)
    strangers = str(folder / "strangers.npz")
    result = run("tau", "--fpir", "0.05", "--gallery-size", "260", "--strangers", strangers, "--gamma", "0", "--json")
    found = json.loads(result.stdout)
    assert found["choice"]["probes"] == 400
    assert found["choice"]["unsure"] == 0
    assert found["choice"]["calibration_subjects"] == 260
    assert found["choice"]["fpir"]["value"] == pytest.approx(0.05, rel=0.1)
    assert found["closest"][0]["probe"] is None


def test_a_higher_gate_needs_no_higher_tau(run: Run) -> None:
    taus = [
        json.loads(run("tau", "--fpir", "0.05", "--gallery-size", "260", "--gamma", gate, "--json").stdout)
        for gate in ("0", "0.5")
    ]
    # Faces near the UI centroid are like each other, so the gate is what keeps tau low.
    assert taus[1]["choice"]["tau"]["value"] < taus[0]["choice"]["tau"]["value"]


def test_the_check_tells_achieved_over_wanted(run: Run) -> None:
    options = ("--subjects", "100", "--gallery-size", "50", "--gallery-size", "120", "--fpir", "0.1")
    result = run("check", *options, "--repetitions", "2")
    assert result.exit_code == 0, result.output
    assert "Achieved over wanted" in result.stdout
    found = json.loads(run("check", *options, "--repetitions", "2", "--json").stdout)
    assert len(found["checks"]) == 4
    assert [row["gallery_size"] for row in found["summary"]] == [50, 120]
    for row in found["summary"]:
        assert 0.2 < row["ratio"] < 5.0


def test_labels_come_from_a_text_file_too(run: Run, folder: Path) -> None:
    options = ("--gamma", "0", "--far", "0.01", "--json")
    with_file = run("gamma", *options, "--labels", str(folder / "names.txt"), path="bare.npz")
    assert json.loads(with_file.stdout) == json.loads(run("gamma", *options).stdout)


def test_names_keep_their_slashes_in_the_file_and_lose_the_photograph_in_the_text(folder: Path) -> None:
    rows, _ = embeddings(people=2, faces=1)
    np.savez(folder / "two.npz", embedding=rows, identity=np.array(["a/b", "a/c"]))
    assert LabelledEmbeddings.read(folder / "two.npz").people == ("a/b", "a/c")
    (folder / "two.txt").write_text("a/b\na/c\n")
    assert LabelledEmbeddings.read(folder / "two.npz", folder / "two.txt").people == ("a",)


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type] # a mapping of arrays, which the stubs do not know


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"identity": np.array(["a"])}, "no array `embedding`"),
        ({"embedding": np.ones((3, 16))}, "no array `identity`"),
        ({"embedding": np.ones((3, 16)), "identity": np.array(["a", "b"])}, "2 labels"),
        ({"embedding": np.ones(3), "identity": np.array(["a"] * 3)}, "shape (n, d)"),
        ({"embedding": np.ones((0, 16)), "identity": np.array([], dtype=str)}, "no embedding"),
        ({"embedding": np.full((2, 16), np.nan), "identity": np.array(["a", "b"])}, "is not finite"),
        ({"embedding": np.zeros((2, 16)), "identity": np.array(["a", "b"])}, "zero norm"),
        ({"embedding": np.full((2, 16), 1e300), "identity": np.array(["a", "b"])}, "is not finite"),
        ({"embedding": np.ones((2, 9)), "identity": np.array(["a", "b"])}, "dimension 9, and profile toy has 16"),
        ({"embedding": np.ones((2, 16)), "identity": np.array(["a", "a"])}, "at least 2 identities"),
        ({"embedding": np.ones((2, 16)), "identity": np.array(["a", "b"])}, "no identity has 2 faces"),
        ({"embedding": np.ones((2, 16)), "identity": np.array([["a", "b"]])}, "names or whole numbers"),
        ({"embedding": np.array([[{}]]), "identity": np.array(["a"])}, "cannot be read: it holds Python objects"),
    ],
)
def test_bad_input_is_one_clear_sentence(run: Run, folder: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    write_npz(folder / "bad.npz", **arrays)
    result = run("gamma", path="bad.npz")
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half of one"])
def test_a_file_that_is_no_archive_is_one_clear_sentence(run: Run, folder: Path, content: bytes) -> None:
    (folder / "bad.npz").write_bytes(content)
    result = run("gamma", path="bad.npz")
    assert result.exit_code == 1
    assert "no .npz file" in result.stderr
    assert "pickle" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_single_array_is_one_clear_sentence(run: Run, folder: Path) -> None:
    with (folder / "bad.npz").open("wb") as file:
        np.save(file, np.ones((3, 16)))
    result = run("gamma", path="bad.npz")
    assert result.exit_code == 1
    assert "bad.npz is a single array; numpy.savez" in result.stderr


def test_a_far_to_pick_at_that_is_not_counted_is_refused_before_anything_is_read(run: Run, folder: Path) -> None:
    (folder / "bad.npz").write_bytes(b"no archive")
    result = run("gamma", "--far", "0.01", "--far", "0.001", "--pick-far", "0.1", path="bad.npz")
    assert result.exit_code == 2
    assert "0.1 is not one of --far: 0.01, 0.001" in result.stderr


def test_an_error_before_the_first_step_stands_alone(run: Run, folder: Path) -> None:
    write_npz(folder / "bad.npz", embedding=np.ones((2, 16)), identity=np.array(["a", "a"]))
    result = run("gamma", path="bad.npz")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "comparing all pairs" in run("gamma").stderr


def test_an_archive_cut_short_is_one_clear_sentence(run: Run, folder: Path) -> None:
    whole = (folder / "faces.npz").read_bytes()
    (folder / "bad.npz").write_bytes(whole[:300] + bytes(64) + whole[364:])
    result = run("gamma", path="bad.npz")
    assert result.exit_code == 1
    assert "cannot be read: it is truncated or corrupt" in result.stderr


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [("a/1\n\nb/1\n", "line 2 of"), ("a/1\n", "1 labels, and"), ("\xff", "cannot be read")],
)
def test_bad_labels_are_one_clear_sentence(run: Run, folder: Path, lines: str, sentence: str) -> None:
    (folder / "bad.txt").write_bytes(lines.encode("latin-1"))
    result = run("gamma", "--labels", str(folder / "bad.txt"), path="bare.npz")
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_a_gate_without_a_profile_is_refused(run: Run) -> None:
    result = run("check", "--gamma", "0.5", profile=False)
    assert result.exit_code == 2
    assert "needs --profile" in result.stderr


def test_too_few_people_for_two_halves_is_one_clear_sentence(run: Run) -> None:
    result = run("check", profile=False)
    assert result.exit_code == 1
    assert "two halves of at least 2801 are needed" in result.stderr


def test_gamma_on_sets_says_that_it_was_chosen_on_sets(run: Run) -> None:
    result = run("gamma", "--sets", "2", "--weighting", "uniform", "--gamma", "0", "--gamma", "0.5", "--far", "0.01")
    assert result.exit_code == 0, result.output
    assert f"{2 * PEOPLE} templates of up to 2 faces, weighting uniform" in result.stdout
    assert "Chosen on sets: it is a gate on a template's ERS" in result.stdout
    assert "Chosen on sets" not in run("gamma", "--gamma", "0", "--far", "0.01").stdout


def test_gamma_on_sets_as_json_names_them(run: Run) -> None:
    trade = json.loads(run("gamma", "--sets", "3", "--gamma", "0", "--far", "0.01", "--json").stdout)
    assert trade["sets"] == {"most_faces": 3, "weighting": "SQUARE"}
    assert json.loads(run("gamma", "--gamma", "0", "--far", "0.01", "--json").stdout)["sets"] is None


def test_a_weighting_without_sets_is_refused_and_all_weightings_are_offered(run: Run) -> None:
    result = run("gamma", "--weighting", "square")
    assert result.exit_code == 2
    assert "--weighting needs --sets" in result.stderr
    words = run("gamma", "--help").stdout
    assert all(weighting.value.lower() in words for weighting in Weighting)
