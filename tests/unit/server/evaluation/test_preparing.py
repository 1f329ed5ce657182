"""Embeddings that are given become a corpus, and a given profile is measured as it is."""

from pathlib import Path

import numpy as np
import pytest
from ersgallery_index import Profile
from ersgallery_server.evaluation.bench import Bench, make_bench
from ersgallery_server.evaluation.corpus import CLEAN, KINDS, UNKNOWN
from ersgallery_server.evaluation.drawing import fewest_people
from ersgallery_server.evaluation.plan import CorpusPlan, EvaluationPlan, Part
from ersgallery_server.evaluation.preparing import FaceFiles, bench_under, embed_corpora, read_corpus
from ersgallery_server.evaluation.runner import evaluate
from ersgallery_server.faces.degrade import Degradation
from ersgallery_server.models.errors import CalibrationFailed, ModelNotInstalled

PLAN = CorpusPlan()


def given(path: Path, people: int = 50) -> Path:
    rng = np.random.default_rng(0)
    words = np.array(["CLEAN", "NOISE", "FOG"])
    np.savez(
        path,
        embedding=rng.normal(size=(people * 3, 8)).astype(np.float32),
        identity=np.repeat([f"who{i}" for i in range(people)], 3),
        kind=np.tile(words, people),
    )
    return path


def test_labelled_embeddings_are_dealt_by_person_and_keep_their_kinds(tmp_path: Path) -> None:
    corpus = read_corpus(given(tmp_path / "mine.npz"), "mine", PLAN, making_profile=False)
    assert len(corpus.people) == 50
    assert corpus.kinds[:3].tolist() == [CLEAN, KINDS.index(Degradation.NOISE), UNKNOWN]
    for person in range(50):
        assert len(set(corpus.parts[corpus.identities == person].tolist())) == 1
    shares = [int(corpus.of(part).sum()) for part in (Part.MAKING, Part.VALIDATION, Part.TEST)]
    assert shares == [45, 30, 75]
    assert len(set(corpus.names)) == 150


def test_a_kept_corpus_comes_back(toy_bench: Bench, tmp_path: Path) -> None:
    toy_bench.corpus.save(tmp_path / "kept.npz")
    assert read_corpus(tmp_path / "kept.npz", "any", PLAN).names == toy_bench.corpus.names


def test_too_few_people_are_refused_with_the_limit(tmp_path: Path) -> None:
    few = given(tmp_path / "few.npz", people=12)
    with pytest.raises(CalibrationFailed, match=f"12 identities were given; an evaluation needs {fewest_people(PLAN)}"):
        read_corpus(few, "mine", PLAN)
    with pytest.raises(CalibrationFailed, match=r"12 identities were given; an evaluation needs 40 at least$"):
        read_corpus(few, "mine", PLAN, making_profile=False)


def test_faces_of_too_few_people_for_a_profile_are_refused_before_a_model_is_looked_for(tmp_path: Path) -> None:
    for person in range(60):
        folder = tmp_path / "faces" / f"p{person}"
        folder.mkdir(parents=True)
        (folder / "0.jpg").write_bytes(b"not looked at")
    files = FaceFiles(tmp_path / "faces")
    with pytest.raises(CalibrationFailed, match="60 identities were given"):
        embed_corpora("sface", tmp_path / "no models", files, PLAN)
    with pytest.raises(ModelNotInstalled):
        embed_corpora("sface", tmp_path / "no models", files, PLAN, making_profile=False)


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(CalibrationFailed, match=r"no\.npz is no \.npz file, or is truncated"):
        read_corpus(tmp_path / "no.npz", "mine", PLAN)


def test_a_single_array_or_what_looks_like_a_kept_corpus_and_is_none_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "single.npy", np.eye(3))
    with pytest.raises(CalibrationFailed, match="is a single array"):
        read_corpus(tmp_path / "single.npy", "mine", PLAN)
    for about in (b'{"model": 1}', b"[]", b"\xff", b"[" * 5000):
        np.savez(tmp_path / "kept.npz", about=np.frombuffer(about, np.uint8))
        with pytest.raises(CalibrationFailed, match="no corpus of this version"):
            read_corpus(tmp_path / "kept.npz", "mine", PLAN)


def test_a_given_profile_gives_the_figures_of_the_same_profile_made(toy_bench: Bench) -> None:
    plan = EvaluationPlan(fars=(1e-4, 1e-3), fpirs=(0.1,), resamples=20)
    under = bench_under(toy_bench.corpus, None, plan, toy_bench.profile)
    assert (
        evaluate(under, protocols=("T1",)).tables
        == evaluate(make_bench(toy_bench.corpus, None, plan), protocols=("T1",)).tables
    )


def test_a_profile_of_another_dimension_is_refused(toy_bench: Bench) -> None:
    other = Profile("toy", np.eye(3)[:1], 0.5)
    with pytest.raises(CalibrationFailed, match="embeddings of 3 numbers, and these have 64"):
        bench_under(toy_bench.corpus, None, EvaluationPlan(), other)
