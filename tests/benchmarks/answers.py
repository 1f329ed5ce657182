"""What the answers of an index are worth beside a brute force: `python -m tests.benchmarks.answers`.

mate1: of the mated probes that exact search identifies at rank 1 above tau, with tau drawn so that 1 % of the
strangers are taken for somebody, the share that the index also returns at rank 1. FNIR and FPIR are those at that
tau. The brute force multiplies block by block while the gallery is generated, so it needs no memory. With
ERSGALLERY_TEST_DATA the real LFW gallery is measured as well.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ersgallery_index import By, Derivation, IndexRows, Scores, VectorIndex, normalize
from ersgallery_server.models.profile_file import read_profile
from numpy.typing import NDArray

from tests.benchmarks.command import Options, run
from tests.benchmarks.geometry import Crowd, FloatRows, Geometry, Ids
from tests.benchmarks.kinds import Kind, derived_parts, fill, index_kinds, settle
from tests.benchmarks.results import Result, left_out

MATED, STRANGERS = 3000, 1000
FPIR = 0.01
K = 10
_PROFILE = Path(__file__).parents[2] / "server" / "ersgallery_server" / "models" / "profiles" / "mobilefacenet.json"


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The best subject of each probe and its similarity; -1 where there is none."""

    subjects: Ids
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Probes and what exact search answers: mates (m,) of mated (m, d), and strangers (s, d); all derived rows."""

    mates: Ids
    mated: FloatRows
    strangers: FloatRows
    exact_mated: Best
    exact_strangers: Best
    gamma: float

    @property
    def tau(self) -> float:
        """The similarity that 1 % of the strangers reach."""
        return float(np.quantile(self.exact_strangers.scores, 1.0 - FPIR, method="higher"))

    @property
    def identified(self) -> NDArray[np.bool_]:
        """Which mated probes exact search identifies."""
        return identified(self.exact_mated, self.mates, self.tau)

    @classmethod
    def of(
        cls, parts: Iterable[IndexRows], mates: Ids, mated: FloatRows, strangers: FloatRows, gamma: float
    ) -> "Trial":
        """Search all probes by brute force among the faces that reach gamma."""
        best = brute_force(parts, np.concatenate([mated, strangers]), gamma)
        split = len(mated)
        return cls(
            mates,
            mated,
            strangers,
            Best(best.subjects[:split], best.scores[:split]),
            Best(best.subjects[split:], best.scores[split:]),
            gamma,
        )


def brute_force(parts: Iterable[IndexRows], probes: FloatRows, gamma: float) -> Best:
    """Return the best subject of each probe among faces with ERS >= gamma, in float32."""
    scores = np.full(len(probes), -np.inf, np.float32)
    subjects = np.full(len(probes), -1, np.int64)
    for part in parts:
        seen = part.ers >= gamma
        if not seen.any():
            continue
        products = probes @ part.vectors[seen].T
        place = products.argmax(axis=1)
        best = products[np.arange(len(probes)), place]
        better = best > scores
        scores[better] = best[better]
        subjects[better] = part.subject_ids[seen][place[better]]
    return Best(subjects, scores.astype(np.float64))


def first_of(index: VectorIndex, probes: FloatRows, gamma: float) -> Best:
    """Return what an index finds first for each probe."""
    subjects, scores = np.full(len(probes), -1, np.int64), np.full(len(probes), -np.inf)
    for start in range(0, len(probes), 64):
        batch = probes[start : start + 64]
        gates: Scores = np.full(len(batch), gamma)
        hits = index.search(batch, gates, K, By.SUBJECT)
        some = np.flatnonzero(np.diff(hits.offsets) > 0)
        subjects[start + some] = hits.subject_ids[hits.offsets[some]]
        scores[start + some] = hits.scores[hits.offsets[some]]
    return Best(subjects, scores)


def identified(best: Best, mates: Ids, tau: float) -> NDArray[np.bool_]:
    """Return which probes have their mate first, above tau."""
    return np.asarray((best.subjects == mates) & (best.scores >= tau), np.bool_)


def judge(key: str, what: str, trial: Trial, mated: Best, strangers: Best) -> Result:
    """Compare what an index found with the brute force."""
    expected = trial.identified
    lost = int((expected & (mated.subjects != trial.mates)).sum())
    figures = {
        "identified": float(expected.sum()),
        "lost": float(lost),
        "fnir_exact": round(1.0 - float(expected.mean()), 5),
        "fnir": round(1.0 - float(identified(mated, trial.mates, trial.tau).mean()), 5),
        "fpir": round(float((strangers.scores >= trial.tau).mean()), 5),
    }
    return Result(key, what, "exact search", 1.0 - lost / max(1, int(expected.sum())), figures=figures, note="mate1")


def measure(options: Options) -> Iterator[Result]:
    """Measure mate1 and open-set FNIR of every kind of index against exact search."""
    yield from _real()
    geometry = Geometry.load()
    for faces in options.faces:
        crowd = Crowd(geometry, faces)
        trial = trial_of(crowd)
        for kind in index_kinds(faces):
            key, what = f"answers/{kind.name}/{faces}", f"{kind.label}, {faces:,} generated faces"
            if reason := kind.lacking(faces):
                yield left_out(key, what, reason)
                continue
            yield _judged(key, what, fill(kind, crowd), trial)


def trial_of(crowd: Crowd, mated: int = MATED, strangers: int = STRANGERS) -> Trial:
    """Return probes of a generated gallery with the answers of a brute force."""
    derivation = crowd.derivation
    again = crowd.mated(mated)
    return Trial.of(
        derived_parts(crowd),
        again.subject_ids,
        derivation.derive(again.rows).vectors,
        derivation.derive(crowd.strangers(strangers)).vectors,
        crowd.geometry.gamma,
    )


def _judged(key: str, what: str, index: VectorIndex, trial: Trial) -> Result:
    mated, strangers = (first_of(index, probes, trial.gamma) for probes in (trial.mated, trial.strangers))
    return judge(key, what, trial, mated, strangers)


def _real() -> Iterator[Result]:
    folder = os.environ.get("ERSGALLERY_TEST_DATA")
    if not folder:
        yield left_out("answers/lfw", "the real LFW gallery", "ERSGALLERY_TEST_DATA names no folder")
        return
    enrolled, trial = lfw_trial(Path(folder, "lfw"))
    for kind in index_kinds(len(enrolled.ers)):
        yield _judged(
            f"answers/{kind.name}/lfw",
            f"{kind.name}, LFW, {len(enrolled.ers):,} faces",
            _filled(kind, enrolled, trial),
            trial,
        )


def _filled(kind: Kind, rows: IndexRows, trial: Trial) -> VectorIndex:
    index = kind.open(rows.vectors.shape[1])
    index.set_gate(trial.gamma)
    index.set_kind(kind.kind)
    index.restore(1, [rows])
    settle(index)
    return index


def lfw_trial(folder: Path) -> tuple[IndexRows, Trial]:
    """Return a gallery of one photograph of two thirds of LFW's people, and all other photographs as probes."""
    names = np.array([name.rpartition("/")[0] for name in (folder / "names.txt").read_text().split()])
    with np.load(folder / "embeddings_mbf.npz") as file:
        rows = normalize(file["embedding"].astype(np.float32), 512).vectors
    people, first, owners = np.unique(names, return_index=True, return_inverse=True)
    profile = read_profile(_PROFILE).profile()
    derived = Derivation(profile).derive(rows)
    enrolled = np.arange(len(people)) % 3 > 0
    gallery = first[enrolled]
    ids = gallery.astype(np.int64) + 1
    part = IndexRows(ids, owners[gallery].astype(np.int64), derived.ers[gallery], derived.vectors[gallery])
    others = np.setdiff1d(np.arange(len(rows)), gallery)
    mated, strangers = others[enrolled[owners[others]]], others[~enrolled[owners[others]]]
    trial = Trial.of(
        [part], owners[mated].astype(np.int64), derived.vectors[mated], derived.vectors[strangers], profile.gamma
    )
    return part, trial


if __name__ == "__main__":
    run(measure, faces=(10_000, 100_000))
