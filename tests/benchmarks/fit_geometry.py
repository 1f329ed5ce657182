"""Measure how real face embeddings lie, for generated galleries.

python -m tests.benchmarks.fit_geometry [--corpus FILE.npz]

The corpus is what `make evidence` keeps in build/evidence/corpora: clean photographs of LFW with one degraded view of
each. Only statistics are written, and how well faces generated from them agree with the real ones is printed.
"""

from pathlib import Path

import click
import numpy as np
from ersgallery_index import Derivation
from ersgallery_server.evaluation.corpus import Corpus
from ersgallery_server.evaluation.plan import Role
from ersgallery_server.models.profile_file import ProfileFile, read_profile
from numpy.typing import NDArray

from tests.benchmarks.geometry import STATISTICS, Crowd, Float64, Geometry

_ROOT = Path(__file__).parents[2]
_RANKS = 41
_KEPT_CORPUS = _ROOT / "build" / "evidence" / "corpora" / "mobilefacenet.npz"
_PROFILE = _ROOT / "server" / "ersgallery_server" / "models" / "profiles" / "mobilefacenet.json"
_PAIRS = 100_000
_ENOUGH = 4


@click.command(context_settings={"show_default": True})
@click.option("--corpus", default=_KEPT_CORPUS, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--profile", default=_PROFILE, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", default=STATISTICS, type=click.Path(path_type=Path, dir_okay=False))
def main(corpus: Path, profile: Path, out: Path) -> None:
    """Write the statistics of a corpus and compare what is generated from them."""
    faces = Corpus.load(corpus)
    fit_corpus(faces, read_profile(profile)).save(out)
    geometry = Geometry.load(out)
    generated = describe_crowd(geometry)
    click.echo(f"{'':<26} {'real':>8} {'generated':>10}")
    for name, value in geometry.measured.items():
        click.echo(f"{name:<26} {value:>8.4f} {generated[name]:>10.4f}")


def fit_corpus(corpus: Corpus, profile: ProfileFile) -> Geometry:
    """Return the statistics of a corpus under a profile without a mean."""
    single = corpus.roles == list(Role).index(Role.SINGLE)
    clean = np.flatnonzero(single & corpus.clean)
    place = {corpus.names[row]: row for row in clean.tolist()}
    spoilt = np.array([row for row in np.flatnonzero(single & ~corpus.clean).tolist() if corpus.names[row] in place])
    partners = np.array([place[corpus.names[row]] for row in spoilt.tolist()])
    rows = corpus.rows.astype(np.float64)
    return fit(rows[clean], corpus.identities[clean], rows[spoilt], rows[partners], profile)


def fit(
    clean: Float64, identities: NDArray[np.int64], spoilt: Float64, partners: Float64, profile: ProfileFile
) -> Geometry:
    """Return the statistics of unit rows.

    clean (n, d) with identities (n,); spoilt (m, d) degraded views of the clean rows partners (m, d).
    """
    _, first = np.unique(identities, return_index=True)
    mean = clean[first].mean(axis=0)
    total = np.cov(clean[first].T)
    residuals = _from_person(clean, identities)
    axes = np.linalg.eigh(total)[1][:, ::-1]
    within = (residuals @ axes).var(axis=0)
    between = np.maximum(np.diag(axes.T @ total @ axes) - within, 1e-9)
    lengths = _tangents(clean, identities) * np.sqrt(between.sum() / within.sum())
    shares, rest = _decompose(spoilt, partners, profile.centroids)
    order = np.argsort(shares[:, 0])
    rest_lengths = np.linalg.norm(rest, axis=1)
    directions = ((rest / rest_lengths[:, None]) @ axes) ** 2
    return Geometry(
        model=profile.model,
        mean=mean @ axes,
        between=between,
        within=within,
        lengths=np.quantile(lengths, np.linspace(0, 1, _RANKS)),
        centroids=profile.centroids @ axes,
        gamma=profile.gamma,
        kept=_by_rank(shares[order, 0]),
        toward=_by_rank(shares[order, 1]),
        rest=_by_rank(rest_lengths[order]),
        residual=directions.mean(axis=0),
        measured=describe(clean, identities, spoilt, partners, profile),
    )


def describe(
    clean: Float64, identities: NDArray[np.int64], spoilt: Float64, partners: Float64, profile: ProfileFile
) -> dict[str, float]:
    """Return the figures in which generated faces should agree with real ones."""
    random = np.random.default_rng(0)
    genuine = _genuine(clean, identities, random)
    left, right = random.integers(0, len(clean), (2, _PAIRS))
    apart = identities[left] != identities[right]
    impostor = np.einsum("ij,ij->i", clean[left[apart]], clean[right[apart]])
    _, first = np.unique(identities, return_index=True)
    spectrum = np.linalg.eigvalsh(np.cov(clean[first].T))
    derivation = Derivation(profile.profile())
    ers = {
        name: derivation.derive(rows.astype(np.float32)).ers for name, rows in (("clean", clean), ("degraded", spoilt))
    }
    kept = np.einsum("ij,ij->i", spoilt, partners)
    figures = {
        "genuine mean": genuine.mean(),
        "genuine sd": genuine.std(),
        "impostor mean": impostor.mean(),
        "impostor sd": impostor.std(),
        "impostor 99.9 %": np.quantile(impostor, 0.999),
        "participation ratio": spectrum.sum() ** 2 / (spectrum**2).sum(),
        "degraded to clean mean": kept.mean(),
        "degraded to clean 10 %": np.quantile(kept, 0.1),
        "clean ERS mean": ers["clean"].mean(),
        "degraded ERS mean": ers["degraded"].mean(),
        "clean below gamma": (ers["clean"] < profile.gamma).mean(),
        "degraded below gamma": (ers["degraded"] < profile.gamma).mean(),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def describe_crowd(geometry: Geometry, people: int = 6000) -> dict[str, float]:
    """Return the same figures of generated faces: two photographs of each person, one of them also degraded."""
    crowd = Crowd(geometry, people, degraded=0.0, unrecognizable=0.0)
    enrolled = np.concatenate([block.rows for block in crowd.blocks()])
    ids = np.arange(1, people + 1)
    again, spoilt = crowd.mated(people, degraded=0.0), crowd.mated(people, degraded=1.0)
    rows = np.concatenate([enrolled, again.rows]).astype(np.float64)
    profile = crowd.profile
    made = ProfileFile("generated", geometry.model, profile.centroids, geometry.gamma, None, {})
    # The same draws: a degraded probe begins as the clean one that is drawn with degraded=0.
    return describe(
        rows,
        np.concatenate([ids, again.subject_ids]),
        spoilt.rows.astype(np.float64),
        again.rows.astype(np.float64),
        made,
    )


def _from_person(rows: Float64, identities: NDArray[np.int64]) -> Float64:
    """Return what parts each photograph from its person's mean, for people with several, without that mean's bias."""
    _, inverse, counts = np.unique(identities, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, inverse, rows)
    several = counts[inverse] > 1
    count = counts[inverse][several, None]
    return np.asarray((rows[several] - sums[inverse[several]] / count) * np.sqrt(count / (count - 1)), np.float64)


def _tangents(rows: Float64, identities: NDArray[np.int64]) -> Float64:
    """Return the tangent of each photograph's angle to its person, for people with enough photographs to tell."""
    found = []
    for person in np.flatnonzero(np.bincount(identities) >= _ENOUGH):
        own = rows[identities == person]
        cosines = own @ own.T
        # A mean cosine to the others is the own cosine to the person times theirs, which is the root of the mean.
        to_others = (cosines.sum(axis=1) - 1.0) / (len(own) - 1)
        found.append(to_others / np.sqrt(max(to_others.mean(), 0.01)))
    cosine = np.clip(np.concatenate(found), 0.1, 0.95)
    return np.asarray(np.sqrt(1.0 - cosine**2) / cosine, np.float64)


def _decompose(spoilt: Float64, clean: Float64, centroids: Float64) -> tuple[Float64, Float64]:
    """Return each degraded row as (share of its clean view, pull to its nearest centroid), and the rest."""
    nearest = centroids[np.argmax(spoilt @ centroids.T, axis=1)]
    pairs = np.stack([clean, nearest], axis=1)
    gram = pairs @ pairs.transpose(0, 2, 1)
    shares = np.linalg.solve(gram, pairs @ spoilt[:, :, None])[:, :, 0]
    return np.asarray(shares, np.float64), spoilt - np.einsum("ij,ijk->ik", shares, pairs)


def _by_rank(ordered: Float64) -> Float64:
    """Return local means of values that are ordered by something, at equally spaced ranks."""
    return np.array([part.mean() for part in np.array_split(ordered, _RANKS)])


def _genuine(rows: Float64, identities: NDArray[np.int64], random: np.random.Generator) -> Float64:
    order = np.lexsort((random.random(len(rows)), identities))
    same = identities[order[1:]] == identities[order[:-1]]
    return np.asarray(np.einsum("ij,ij->i", rows[order[1:][same]], rows[order[:-1][same]]), np.float64)


if __name__ == "__main__":
    main()
