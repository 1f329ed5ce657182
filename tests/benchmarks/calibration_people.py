"""Count how often faces of so many people give a profile: one photograph of each, other people in each run.

python -m tests.benchmarks.calibration_people --model MODEL --faces TAR [--people N] [--degraded-share SHARE] [--runs R]
[--models-dir DIR]

Faces are drawn, degraded and embedded as by `ersgallery-server calibrate`, which takes a minute or two for each run.
"""

import argparse
from pathlib import Path

import numpy as np
from ersgallery_index.calibration import BuildPlan
from ersgallery_index.errors import CalibrationFailed
from ersgallery_server.faces.pipeline import load_pipeline
from ersgallery_server.faces.sessions import Inference
from ersgallery_server.models.catalogue import find_model
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from ersgallery_server.profiling.calibration import calibrate
from ersgallery_server.profiling.material import ImageSources, embed_sources
from ersgallery_server.profiling.samples import SamplingPlan

_HELD_PER_LEVEL = 10


def main() -> None:
    """Print one line for each run, and how many gave a profile."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", required=True, help="an installed model of the catalogue")
    parser.add_argument("--faces", type=Path, required=True, help="clean aligned faces: a tar file or a folder")
    parser.add_argument("--people", type=int, default=500, help="default: %(default)s")
    parser.add_argument("--degraded-share", type=float, help="as of calibrate (default: what it does by itself)")
    parser.add_argument("--runs", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--models-dir", type=Path, default=Path("build/models"), help="default: %(default)s")
    options = parser.parse_args()
    pipeline = load_pipeline(find_model(options.model), options.models_dir, Inference("cpu", 2))
    faces = AlignedFaces.open(options.faces)
    plan = SamplingPlan(options.degraded_share, held_per_level=_HELD_PER_LEVEL)
    gave = 0
    for seed in range(options.runs):
        some = ImageSources(of_some_people(faces, options.people, np.random.default_rng(seed)))
        material = embed_sources(some, pipeline.embed_aligned, plan, seed)
        degraded = int(material.making.faces.degraded.sum())
        try:
            built = calibrate(options.model, material, BuildPlan(seed=seed))
        except CalibrationFailed as error:
            print(f"run {seed}: {degraded} degraded faces, {error.reason}: {error.message}")
            continue
        gave += 1
        sizes = ", ".join(str(size) for size in built.ui.sizes[:4]) if built.ui else "none"
        print(f"run {seed}: {degraded} degraded faces, gamma {built.profile.gamma:.4f}, clusters of {sizes}")
    print(f"{gave} of {options.runs} gave a profile")


def of_some_people(faces: AlignedFaces, count: int, rng: np.random.Generator) -> AlignedFaces:
    """Return the first photograph of people drawn at random."""
    first = [min(names) for _, names in sorted(faces.by_identity().items())]
    return faces.subset(rng.permutation(np.array(first))[:count].tolist())


if __name__ == "__main__":
    main()
