"""An attribute of photographs that can be computed: whether a face is darker or brighter than most."""

import csv
import io

import numpy as np
from ersgallery_server.evaluation.bench import Bench
from ersgallery_server.evaluation.groups import Groups
from ersgallery_server.evaluation.plan import Part, Role
from ersgallery_server.profiling.aligned_faces import AlignedFaces

NAMES = ("darkest third", "middle third", "brightest third")


def brightness_groups(bench: Bench, faces: AlignedFaces) -> Groups:
    """Deal the clean test photographs into thirds by the mean of their grey values."""
    corpus = bench.corpus
    rows = np.flatnonzero(corpus.of(Part.TEST, Role.SINGLE) & corpus.clean)
    names = [corpus.names[row] for row in rows.tolist()]
    means = np.array([float(faces.crop(name).mean()) for name in names])
    thirds = np.searchsorted(np.quantile(means, [1 / 3, 2 / 3]), means, side="right")
    return Groups("photograph", {"brightness": dict(zip(names, (NAMES[third] for third in thirds), strict=True))})


def as_csv(groups: Groups) -> str:
    """Return groups of one attribute as the file that `evaluate --groups` takes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for attribute, values in groups.attributes.items():
        writer.writerow([groups.by, attribute])
        writer.writerows(sorted(values.items()))
    return text.getvalue()
