"""A map of some people, their degraded views and the unrecognizable identity (the paper's figure 1)."""

from typing import Any

import numpy as np
from ersgallery_index.calibration.build import BuiltProfile
from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.recognizability import Derivation
from numpy.typing import NDArray

from ersgallery_server.profiling.material import Material
from ersgallery_server.reports.charts import Points, scatter_chart

_PEOPLE = 5
_CLEAN_OF_OTHERS = 150
_DEGRADED_OF_OTHERS = 150
_OF_UI = 200
_UI_COLOUR, _OTHER_COLOUR = 1, 7
_COLOURS = (0, 2, 3, 4, 5)


def face_map(built: BuiltProfile, material: Material, seed: int) -> str:
    """Return a chart of t-SNE (scikit-learn, cosine distance): an `<svg>` element."""
    from sklearn.manifold import TSNE

    groups = _groups(built, material, np.random.default_rng([seed, 4]))
    vectors = np.concatenate([rows for _, rows in groups])
    perplexity = min(30.0, (len(vectors) - 1) / 3.0)
    flat = TSNE(metric="cosine", init="pca", perplexity=perplexity, random_state=seed).fit_transform(vectors)
    parts = np.split(np.asarray(flat, np.float64), np.cumsum([len(rows) for _, rows in groups])[:-1])
    return scatter_chart(
        "Some people and the unrecognizable identity",
        [
            Points(name, part[:, 0], part[:, 1], colour, shape, size)
            for ((name, colour, shape, size), _), part in zip(groups, parts, strict=True)
        ],
    )


_Look = tuple[str, int, Any, float]


def _groups(
    built: BuiltProfile, material: Material, rng: np.random.Generator
) -> list[tuple[_Look, NDArray[np.float32]]]:
    derivation = Derivation(built.profile)
    testing = material.testing.faces
    people = _people(testing)
    named = np.isin(testing.identities, people) if len(people) else np.zeros(len(testing), np.bool_)
    making = material.ui_set.faces if material.ui_set else material.making.faces.take(built.ui_members)
    chosen: list[tuple[_Look, NDArray[np.float32]]] = [
        (
            ("other people, clean", _OTHER_COLOUR, "dot", 2.5),
            _some(testing.clean & ~named, testing, _CLEAN_OF_OTHERS, rng),
        ),
        (
            ("other people, degraded", 6, "dot", 2.5),
            _some(testing.degraded & ~named, testing, _DEGRADED_OF_OTHERS, rng),
        ),
        (("UI set", _UI_COLOUR, "dot", 3.5), _some(np.ones(len(making), np.bool_), making, _OF_UI, rng)),
    ]
    for place, person in enumerate(people.tolist()):
        own = testing.identities == person
        look = (f"person {place + 1}", _COLOURS[place])
        chosen.append(((*look, "square", 5.0), testing.rows[own & testing.clean]))
        chosen.append(((f"{look[0]}, degraded", look[1], "cross", 6.0), testing.rows[own & testing.degraded]))
    derived = [(look, derivation.derive(rows).vectors) for look, rows in chosen if len(rows)]
    centroids = np.asarray(built.profile.centroids, np.float32)
    derived.append((("UI centroid", _UI_COLOUR, "star", 15.0), centroids))
    # Where the mean is subtracted it becomes the origin, which is no direction.
    if built.recognizable_mean is not None and built.profile.mean is None:
        mean = np.asarray(built.recognizable_mean, np.float32)[None, :]
        derived.append((("mean of recognizable faces", 2, "star", 15.0), mean))
    return derived


def _people(faces: FaceSet) -> NDArray[np.int64]:
    """Return the people with the most degraded and at least two clean faces."""
    clean = faces.identities[faces.clean & (faces.identities >= 0)]
    people, counts = np.unique(clean, return_counts=True)
    people = people[counts >= 2]
    spoilt = np.sort(faces.identities[faces.degraded])
    degraded = np.searchsorted(spoilt, people, "right") - np.searchsorted(spoilt, people, "left")
    return people[np.argsort(-degraded, kind="stable")][:_PEOPLE] if len(people) else people


def _some(inside: NDArray[np.bool_], faces: FaceSet, most: int, rng: np.random.Generator) -> NDArray[np.float32]:
    rows = np.flatnonzero(inside)
    chosen: NDArray[np.float32] = faces.rows[np.sort(rng.permutation(rows)[:most])]
    return chosen
