"""gamma on templates: the gate of a probe that is several faces, and of a subject that is found by its template.

The ERS of a template is the mean of its faces' (eq. 5), which lies closer to the middle than that of single faces: a
gamma that was chosen on single faces refuses sets of mostly poor frames that a template recognizes well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.gamma import FARS, GammaTrade, SetPlan, gamma_trade
from ersgallery_index.calibration.pairs import Progress
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.interface import Ids
from ersgallery_index.recognizability import Derivation
from ersgallery_index.representation import Representation, represent_templates
from ersgallery_index.templates import Template

MOST_SETS = 20
"""Sets drawn of one person: somebody with thousands of frames would decide the FRR alone."""

_BLOCK_SETS = 256


@dataclass(frozen=True, slots=True, eq=False)
class DrawnSets:
    """Sets of faces of one person each: rows of their faces, and whom each shows (s,)."""

    rows: tuple[Ids, ...]
    identities: Ids


def draw_sets(identities: Ids, most: int, seed: int = 0) -> DrawnSets:
    """Deal the faces of each identity (n,) at random into sets of at most `most` faces, of nearly equal size.

    Whoever has two faces gets two sets at least, so that there is a genuine pair, and nobody more than MOST_SETS; no
    face is in two sets. Raises CalibrationFailed (BAD_TARGET) for sets of less than one face.
    """
    if most < 1:
        raise CalibrationFailed("BAD_TARGET", "a set has at least one face")
    generator = np.random.default_rng(seed)
    mixed = generator.permutation(len(identities))
    mixed = mixed[np.argsort(identities[mixed], kind="stable")]
    edges = np.flatnonzero(np.diff(identities[mixed])) + 1
    rows: list[Ids] = []
    for faces in np.split(mixed.astype(np.int64), edges) if len(mixed) else ():
        count = max(-(-len(faces) // most), min(2, len(faces)))
        rows += np.array_split(faces, count)[:MOST_SETS]
    return DrawnSets(tuple(rows), np.array([identities[each[0]] for each in rows], np.int64))


def represent_sets(
    derivation: Derivation,
    faces: NDArray[np.float32],
    drawn: DrawnSets,
    plan: SetPlan,
    progress: Progress | None = None,
) -> Representation:
    """Return the template (eq. 5) of each set of stored unit rows (n, d); each face is a media of its own.

    progress: gets sets done and sets in all.
    """
    parts: list[Representation] = []
    for start in range(0, len(drawn.rows), _BLOCK_SETS):
        if progress is not None:
            progress(start, len(drawn.rows))
        block = drawn.rows[start : start + _BLOCK_SETS]
        templates = [Template(faces[rows], ("",) * len(rows), plan.weighting, media_pooling=False) for rows in block]
        parts.append(represent_templates(derivation, templates))
    return Representation.concatenate(parts)


def gamma_trade_of_sets(
    derivation: Derivation,
    faces: NDArray[np.float32],
    identities: Ids,
    plan: SetPlan,
    *,
    gammas: Sequence[float] | None = None,
    fars: Sequence[float] = FARS,
    pick_far: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> GammaTrade:
    """Verify all pairs of templates of n labelled faces (stored unit rows (n, d), identities (n,)) under each gamma.

    What gamma_trade says of faces holds of templates here: counts, shares and the ERS that gammas are taken from. seed:
    deals the faces and draws the people. Raises as gamma_trade does.
    """
    if len(identities) != len(faces):
        raise CalibrationFailed("LABELS_MISMATCH", f"{len(identities)} labels were given for {len(faces)} faces")
    if not len(faces):
        raise CalibrationFailed("TOO_FEW_IDENTITIES", "at least 2 identities are needed, and there are 0")
    drawn = draw_sets(identities, plan.most_faces, seed)
    trade = gamma_trade(
        represent_sets(derivation, faces, drawn, plan, progress),
        drawn.identities,
        gammas=gammas,
        fars=fars,
        pick_far=pick_far,
        seed=seed,
        progress=progress,
    )
    return replace(trade, sets=plan)
