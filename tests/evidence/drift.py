"""How drift, the share below gamma and the share of people found go as photographs get worse.

`python -m tests.evidence.drift [model ...]` prints a table in Markdown for each model; it needs ERSGALLERY_TEST_DATA.
The first photograph of each person of lfw_small is enrolled, the others are probes: aligned, then spoilt.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ersgallery_index import Derivation
from ersgallery_server.faces import AcquiredFace, FacePipeline
from ersgallery_server.faces.degrade import Degradation, degrade
from ersgallery_server.faces.pipeline import load_pipeline
from ersgallery_server.gallery.ers_drift import ErsHistogram, expected_histogram
from ersgallery_server.models.catalogue import default_model, find_model
from ersgallery_server.models.manifest import ModelPackage
from ersgallery_server.models.profile_file import catalogued_profile
from ersgallery_server.profiles import profile_digest
from numpy.typing import NDArray

from tests.support.models import installed_models_dir, lfw_dir

KINDS = (Degradation.GAUSSIAN_BLUR, Degradation.MOTION_BLUR, Degradation.LOW_RESOLUTION, Degradation.LOW_LIGHT)
SEVERITIES = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
TAU = 0.363


def lines(package: ModelPackage, pipeline: FacePipeline) -> Iterator[str]:
    """Measure one model; yield a row for each kind of harm and its severity."""
    file = catalogued_profile(package)
    expected = expected_histogram(profile_digest(file.as_sent()))
    if expected is None:
        raise SystemExit(f"the profile of {package.name} has no histogram")
    derivation = Derivation(file.profile())
    paths = sorted((lfw_dir() / "lfw_small").glob("*/*.jpg"))
    found = pipeline.acquire([path.read_bytes() for path in paths])
    faces = [
        (path.parent.name, face) for path, face in zip(paths, found, strict=True) if isinstance(face, AcquiredFace)
    ]
    names = np.array([name for name, _ in faces])
    later = np.concatenate([[False], names[1:] == names[:-1]])
    gallery = derivation.derive(_unit(np.stack([face.embedding for _, face in faces])[~later])).vectors
    crops = [face.aligned for (_, face), probe in zip(faces, later, strict=True) if probe]
    for kind in KINDS:
        for severity in SEVERITIES:
            rng = np.random.default_rng(0)
            spoilt = np.stack([degrade(crop, kind, severity, rng) for crop in crops])
            probes = derivation.derive(_unit(pipeline.embed_aligned(spoilt)))
            counts = np.histogram(np.clip(probes.raw_ers, expected.edges[0], expected.edges[-1]), expected.edges)[0]
            down, _ = ErsHistogram(expected.edges, counts.astype(np.float64)).distances(expected)
            scores = probes.vectors @ gallery.T
            right = names[~later][scores.argmax(axis=1)] == names[later]
            passing = probes.ers >= file.gamma
            share = (right & passing & (scores.max(axis=1) >= TAU)).mean()
            yield f"| {kind.value} | {severity:g} | {down:.2f} | {1 - passing.mean():.1%} | {share:.1%} |"


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def main(models: list[str], models_dir: Path) -> None:
    """Print the tables."""
    for package in [find_model(name) for name in models] or [default_model()]:
        print(f"\n{package.name}\n\n| harm | severity | drift | below gamma | found and right |\n|---|---|---|---|---|")
        for line in lines(package, load_pipeline(package, models_dir)):
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:], installed_models_dir())
