"""Hypothesis strategies for profiles, embeddings with duplicates and near-ties, templates and policies."""

import numpy as np
from ersgallery_index import Policy, Profile, Template, Weighting, normalize
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.indexes import unit_rows

FloatRows = NDArray[np.float32]


@st.composite
def stored_rows(draw: st.DrawFn, dimension: int, least: int, most: int) -> FloatRows:
    """Draw stored rows: small whole numbers (so that many are equal or tie) and neighbours some 1e-8 away."""
    count = draw(st.integers(least, most))
    whole = st.lists(st.integers(-2, 2), min_size=dimension, max_size=dimension)
    raw = [draw(whole) for _ in range(count)]
    values = np.array(raw, dtype=np.float32).reshape(count, dimension)
    values[~values.any(axis=1), 0] = 1.0
    rows = normalize(values, dimension).vectors
    for row in range(1, count):
        kind = draw(st.sampled_from(["own", "own", "duplicate", "neighbour"]))
        if kind != "own":
            rows[row] = rows[draw(st.integers(0, row - 1))]
        if kind == "neighbour":
            axis = draw(st.integers(0, dimension - 1))
            sign = np.float32(draw(st.sampled_from([-1.0, 1.0])))
            rows[row, axis] = np.nextafter(rows[row, axis], 2 * sign) if rows[row, axis] else 1e-8 * sign
    return rows


@st.composite
def profiles(draw: st.DrawFn, dimension: int) -> Profile:
    """Draw a profile of one to three centroids, perhaps equal, with and without a mean."""
    whole = st.lists(st.integers(-3, 3), min_size=dimension, max_size=dimension).filter(any)
    centroids = unit_rows(draw(st.lists(whole, min_size=1, max_size=3))).astype(np.float64)
    mean = draw(st.none() | st.lists(st.sampled_from([0.0, 0.1, -0.25, 0.3]), min_size=dimension, max_size=dimension))
    return Profile("model", centroids, 0.5, None if mean is None else np.array(mean))


@st.composite
def templates(draw: st.DrawFn, dimension: int) -> Template:
    """Draw a template with any weighting, members with and without a media id."""
    vectors = draw(stored_rows(dimension, 1, 12))
    media = draw(st.lists(st.sampled_from(["", "a", "b"]), min_size=len(vectors), max_size=len(vectors)))
    return Template(vectors, tuple(media), draw(st.sampled_from(Weighting)), draw(st.booleans()))


@st.composite
def policies(draw: st.DrawFn, ers: list[float], scores: list[float]) -> Policy:
    """Draw a policy whose thresholds often equal an ERS, a score or a difference of scores that occurs."""
    gates = st.sampled_from([0.0, 0.5, 1.0, *ers])
    within = [score for score in scores if -1.0 <= score <= 1.0]
    return Policy(
        gamma=draw(gates),
        gamma_gallery=draw(gates),
        tau=draw(st.sampled_from([-1.0, 0.0, 0.5, 1.0, *within])),
        margin=draw(st.none() | st.sampled_from([0.0, 1e-8, 0.1, 2.0])),
        max_candidates=draw(st.sampled_from([1, 2, 3, 40])),
        include_filtered=draw(st.booleans()),
    )
