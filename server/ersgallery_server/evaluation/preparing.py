"""What an evaluation begins with: faces embedded once and kept, or embeddings that are given."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ersgallery_index import Derivation, Profile
from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.calibration.separation import Histogram, histogram
from numpy.typing import NDArray

from ersgallery_server.evaluation.bench import Bench, face_set
from ersgallery_server.evaluation.corpus import CLEAN, KINDS, UNKNOWN, Corpus
from ersgallery_server.evaluation.drawing import draw_views, part_sizes, require_people
from ersgallery_server.evaluation.embedding import DETECTOR_THRESHOLD, embed_views, embed_wild
from ersgallery_server.evaluation.plan import CorpusPlan, EvaluationPlan, Part, Role
from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.models.npz_file import read_npz
from ersgallery_server.profiling.aligned_faces import AlignedFaces

Progress = Callable[[int, int], None]

_FORMAT = 1
"""Of what is cached; another one is embedded anew."""


@dataclass(frozen=True, slots=True)
class FaceFiles:
    """Where faces are: labelled clean ones, and unlabelled ones. cache: a folder where embeddings are kept."""

    faces: Path
    wild: Path | None = None
    cache: Path | None = None


def embed_corpora(
    model: str,
    models_dir: Path,
    files: FaceFiles,
    plan: CorpusPlan,
    *,
    device: str = "cpu",
    threads: int | None = None,
    progress: Progress | None = None,
    making_profile: bool = True,
) -> tuple[Corpus, Corpus | None]:
    """Draw, degrade and embed the faces, or read what an earlier call with the same of everything kept.

    making_profile: a profile is to be made of them, which more people are needed for; it is checked before anything is
    embedded. Raises ModelError: CalibrationFailed for faces that cannot be used, ModelNotInstalled and others for the
    model.
    """
    from ersgallery_server.faces.detection import DetectorSettings, FaceDetector
    from ersgallery_server.faces.pipeline import load_pipeline
    from ersgallery_server.faces.sessions import Inference
    from ersgallery_server.models.catalogue import find_model
    from ersgallery_server.models.installed import read_model_file
    from ersgallery_server.models.manifest import Role as FileRole

    package = find_model(model)
    labelled = AlignedFaces.open(files.faces)
    wild = AlignedFaces.open(files.wild) if files.wild else None
    require_people(len(labelled.by_identity()), plan, making_profile=making_profile)
    people, views = draw_views(labelled, plan)
    key = repr((_FORMAT, asdict(plan), package.file(FileRole.RECOGNIZER).sha256))
    inference = Inference(device, threads or 0)
    pipeline = load_pipeline(package, models_dir, inference)
    settings = DetectorSettings(score_threshold=DETECTOR_THRESHOLD)
    detector = FaceDetector(read_model_file(package, FileRole.DETECTOR, models_dir), inference, settings)
    embed = pipeline.embed_aligned
    total = len(views) + (len(wild.names) if wild else 0)

    def after(done: int) -> Progress | None:
        tell = progress
        return None if tell is None else lambda now, _: tell(done + now, total)

    corpus = _kept(
        files.cache,
        f"{model}-{_digest(key, labelled.sha256)}",
        lambda: embed_views(model, people, views, labelled, embed, detector, plan.seed, after(0)),
    )
    if wild is None:
        return corpus, None
    return corpus, _kept(
        files.cache,
        f"{model}-wild-{_digest(key, wild.sha256)}",
        lambda: embed_wild(model, wild, embed, detector, after(len(views))),
    )


def read_corpus(path: Path, model: str, plan: CorpusPlan, *, making_profile: bool = True) -> Corpus:
    """Read embeddings: a corpus that was kept, or an .npz with `embedding` and labels.

    The people of the latter are dealt into parts by the plan; every embedding is a photograph of its own.
    making_profile: a profile is to be made of them, which more people are needed for. Raises
    models.errors.CalibrationFailed, ersgallery_index.errors.CalibrationFailed.
    """
    if read_npz(path, ("about",)):
        return Corpus.load(path)
    from ersgallery_server.profiling.given_embeddings import read_embeddings

    return corpus_of(model, read_embeddings(path), plan, making_profile=making_profile)


def corpus_of(model: str, faces: FaceSet, plan: CorpusPlan, *, making_profile: bool = True) -> Corpus:
    """Deal the people of labelled faces into parts. Raises CalibrationFailed with too few people."""
    labelled = faces.identities >= 0
    people, identities = np.unique(faces.identities[labelled], return_inverse=True)
    if not len(people):
        raise CalibrationFailed("no identities were given: name them in an array called identity")
    require_people(len(people), plan, making_profile=making_profile)
    return Corpus(
        model=model,
        names=tuple(f"{who}/{row}" for row, who in enumerate(identities.reshape(-1).tolist())),
        people=tuple(str(person) for person in people.tolist()),
        identities=identities.reshape(-1).astype(np.int64),
        parts=_parts(len(people), plan)[identities.reshape(-1)],
        roles=np.full(int(labelled.sum()), list(Role).index(Role.SINGLE), np.int8),
        kinds=_kinds(faces)[labelled],
        severities=faces.severities[labelled],
        raw=faces.rows[labelled],
        sharpness=np.full(int(labelled.sum()), np.nan),
        detector_scores=np.full(int(labelled.sum()), np.nan),
    )


def bench_under(corpus: Corpus, wild: Corpus | None, plan: EvaluationPlan, profile: Profile) -> Bench:
    """Return a bench under a given profile: nothing is calibrated. Raises CalibrationFailed for another model's."""
    from ersgallery_index.calibration.build import BuiltProfile

    if profile.dimension != corpus.dimension:
        raise CalibrationFailed(
            f"the profile is for embeddings of {profile.dimension} numbers, and these have {corpus.dimension}"
        )
    derived = Derivation(profile).derive(corpus.rows)
    validation = corpus.of(Part.VALIDATION, Role.SINGLE)
    nobody = np.zeros(0, np.bool_)
    counts: Histogram = histogram(face_set(corpus, validation), derived.raw_ers[validation])
    built = BuiltProfile(
        profile=profile,
        ui=None,
        pool=nobody,
        ui_members=nobody,
        choices=(),
        figures={},
        histogram=counts,
        recognizable_mean=None,
        mean_to_ui=(),
        checks=(),
    )
    return Bench(corpus, wild, plan, built, derived)


def _parts(count: int, plan: CorpusPlan) -> NDArray[np.int8]:
    parts = np.full(count, list(Part).index(Part.TEST), np.int8)
    order = np.random.default_rng([plan.seed, 1]).permutation(count)
    making, validation = part_sizes(count, plan)
    parts[order[:making]] = list(Part).index(Part.MAKING)
    parts[order[making : making + validation]] = list(Part).index(Part.VALIDATION)
    return parts


def _kinds(faces: FaceSet) -> NDArray[np.int8]:
    """Return positions in KINDS; degradations of other names are of an unknown kind."""
    places = {kind.value: place for place, kind in enumerate(KINDS)}
    known = np.array([places.get(name, UNKNOWN) for name in faces.kind_names] or [UNKNOWN], np.int8)
    kinds = np.where(faces.kinds == CLEAN, CLEAN, UNKNOWN).astype(np.int8)
    named = faces.kinds >= 0
    kinds[named] = known[faces.kinds[named]]
    return kinds


def _kept(cache: Path | None, name: str, make: Callable[[], Corpus]) -> Corpus:
    path = cache / f"{name}.npz" if cache else None
    if path and path.is_file():
        return Corpus.load(path)
    corpus = make()
    if path:
        corpus.save(path)
    return corpus


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
