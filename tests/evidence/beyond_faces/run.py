"""Run the protocol: fetch, draw, embed, calibrate, rank, and say what came out."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ersgallery_index import normalize
from ersgallery_index.calibration import BuiltProfile
from ersgallery_server.evaluation.tables import Table
from ersgallery_server.models.storage import write_file
from numpy.typing import NDArray

from tests.evidence.beyond_faces.calibrate import calibrate
from tests.evidence.beyond_faces.network import DIMENSION, CharacterNetwork
from tests.evidence.beyond_faces.protocol import CLEAN, Plan, Samples, draw_samples
from tests.evidence.beyond_faces.ranking import Bootstrap, prepare
from tests.evidence.beyond_faces.sheet import contact_sheet
from tests.evidence.beyond_faces.sources import TYPEFACES, Progress, fetch_network, fetch_typeface
from tests.evidence.beyond_faces.spoiling import KINDS, spoil
from tests.evidence.beyond_faces.tables import (
    cluster_table,
    query_table,
    retrieval_table,
    severity_table,
    stranger_table,
)
from tests.evidence.beyond_faces.typefaces import Typeface, in_all, read_typeface

SHEET = "beyond_faces.png"

Images = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Beyond:
    """What came out: the plan, the profile, tables of figures, and a picture of images by ERS."""

    plan: Plan
    built: BuiltProfile
    tables: tuple[Table, ...]
    sheet: Path


def run(folder: Path, seed: int = 0, progress: Progress | None = None, plan: Plan | None = None) -> Beyond:
    """Measure with everything kept below `folder`, so that a second run needs no network; about three minutes.

    plan: another size, for tests; its seed is `seed`. Raises ModelError (SourceUnavailable: the first run needs a
    network), CalibrationFailed where the images have no UI cluster.
    """
    chosen = replace(plan or Plan(), seed=seed)
    network = CharacterNetwork(fetch_network(folder, progress))
    typefaces = [read_typeface(source.name, fetch_typeface(source, folder, progress)) for source in TYPEFACES]
    samples = draw_samples(chosen, unseen_characters(network, typefaces), len(typefaces))
    images = draw_images(samples, typefaces, chosen.seed, progress)
    raw = network.embed(images, (lambda done, total: progress("embed", done, total)) if progress else None)
    return measure(folder, chosen, samples, images, normalize(raw, DIMENSION).vectors, progress)


def measure(
    folder: Path,
    plan: Plan,
    samples: Samples,
    images: Images,
    rows: NDArray[np.float32],
    progress: Progress | None = None,
) -> Beyond:
    """Calibrate and rank images that are embedded as unit rows (n, d), and write the contact sheet."""
    built = calibrate(
        samples, rows, plan, (lambda done, total: progress("calibrate", done, total)) if progress else None
    )
    trial = prepare(samples, rows, built.profile)
    drawing = Bootstrap(plan.seed, plan.resamples)
    tables = (
        cluster_table(built),
        retrieval_table(plan, samples, trial, drawing),
        query_table(samples, trial, drawing),
        severity_table(samples, trial, drawing),
        stranger_table(samples, rows, built.profile, drawing),
    )
    at = np.concatenate([trial.queries.at, trial.gallery.at])
    ers = np.concatenate([trial.queries.ers, trial.gallery.ers])
    sheet = folder / SHEET
    write_file(sheet, contact_sheet(list(images[at]), ers, trial.gamma, seed=plan.seed))
    return Beyond(plan, built, tables, sheet)


def unseen_characters(network: CharacterNetwork, typefaces: list[Typeface]) -> list[int]:
    """Return the characters that every typeface draws and that are none of the network's classes, by code point."""
    return [character for character in in_all(typefaces) if chr(character) not in network.classes]


def draw_images(samples: Samples, typefaces: list[Typeface], seed: int, progress: Progress | None = None) -> Images:
    """Draw and spoil every sample: (n, 48, 48) uint8. One generator for each image, so that none depends on others."""
    images: list[Images] = []
    for row in range(len(samples)):
        clean = typefaces[samples.typefaces[row]].draw(int(samples.characters[row]))
        rng = np.random.default_rng((seed, row))
        kind = int(samples.kinds[row])
        images.append(clean if kind == CLEAN else spoil(clean, KINDS[kind], float(samples.severities[row]), rng))
        if progress:
            progress("draw", row + 1, len(samples))
    return np.stack(images)
