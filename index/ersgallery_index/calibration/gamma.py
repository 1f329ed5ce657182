"""gamma from a 1:1 protocol over labelled faces (the paper's appendix C, table 11): the whole trade, and a pick.

Every pair of faces is verified under every gamma. An UNSURE pair is a reject and stays in every denominator: a genuine
one is an error, an impostor one a correct reject that is counted. tau belongs to each cell: the least at which the FAR
over all impostor pairs is kept, so that gates are compared at the same FAR.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ersgallery_index.calibration.estimates import Estimate
from ersgallery_index.calibration.pairs import (
    GenuineCounts,
    ImpostorCounts,
    Progress,
    count_genuine,
    count_impostors,
    gates_passed,
)
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.interface import Ids
from ersgallery_index.representation import Representation
from ersgallery_index.sums import Float64
from ersgallery_index.templates import Weighting

FARS = (1e-2, 1e-3, 1e-4, 1e-5)
FEWEST_ERRORS = 10
_SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
_DRAWS = 400

RULE = (
    "the smallest gamma whose FRR at the asked FAR cannot be told from the least one "
    "(paired bootstrap over identities, 95 %)"
)
"""How gamma is picked: a gate costs answers, so it has to earn them."""


@dataclass(frozen=True, slots=True)
class TradeCell:
    """One FAR under one gamma.

    far: the one asked for. tau: the least that keeps it. frr: rejected or UNSURE share of all genuine pairs, with a
    95 % interval by bootstrap over identities (tau held). supported: False with fewer than 10 impostor or genuine
    errors.
    """

    far: float
    tau: float
    frr: Estimate
    supported: bool


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One gamma: shares of faces, genuine and impostor pairs that are UNSURE, and a cell for each FAR."""

    gamma: float
    faces_unsure: float
    genuine_unsure: float
    impostor_unsure: float
    cells: tuple[TradeCell, ...]


@dataclass(frozen=True, slots=True)
class GammaPick:
    """The gamma that the rule picks, and at which FAR; gain: FRR at the least gamma asked for minus FRR at the pick."""

    gamma: float
    far: float
    frr: Estimate
    gain: Estimate
    supported: bool
    rule: str


@dataclass(frozen=True, slots=True)
class SetPlan:
    """Templates in place of faces: of at most so many faces of one person, weighted so."""

    most_faces: int
    weighting: Weighting = Weighting.SQUARE


@dataclass(frozen=True, slots=True)
class GammaTrade:
    """The whole trade: rows by rising gamma, and the pick.

    faces: how many were compared; where sets is given they were templates, and gamma is a gate on a template's ERS.
    identities: with at least one genuine pair. genuine, impostor: pairs in all. largest_share: of the genuine pairs
    that one identity alone has; c faces make c (c - 1) / 2 pairs, so a few people may decide the FRR.
    """

    faces: int
    identities: int
    genuine: int
    impostor: int
    largest_share: float
    rows: tuple[TradeRow, ...]
    pick: GammaPick
    sets: SetPlan | None = None


def gamma_trade(
    faces: Representation,
    identities: Ids,
    *,
    gammas: Sequence[float] | None = None,
    fars: Sequence[float] = FARS,
    pick_far: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> GammaTrade:
    """Verify all pairs of n labelled faces (identities (n,)) under each gamma.

    gammas: 0..1; None takes 0 and shares of the faces' own ERS up to the median. fars: 0..1, exclusive. pick_far: one
    of them; None takes the least that the number of pairs supports. Thresholds are multiples of 2**-15. Time is
    n**2 / 2 products; memory is O(n). progress: gets blocks of pairs, then identities, done and in all. Raises
    CalibrationFailed: LABELS_MISMATCH, NOT_FINITE, TOO_FEW_IDENTITIES, NO_GENUINE_PAIR, BAD_TARGET.
    """
    _check_faces(faces, identities)
    gates = _gates(faces, gammas)
    wanted = tuple(sorted(set(fars), reverse=True))
    _require(bool(wanted) and all(0.0 < far < 1.0 for far in wanted), "BAD_TARGET", "a FAR lies between 0 and 1")
    if pick_far is not None:
        _require(pick_far in wanted, "BAD_TARGET", f"FAR {pick_far:g} is not among those that are counted")
    impostors = count_impostors(faces, identities, gates, progress)
    taus = np.array([[impostors.tau_at(gate, far) for far in wanted] for gate in range(len(gates))])
    genuine = count_genuine(faces, identities, gates, taus, progress)
    chosen_far = _supported_far(wanted, impostors.pairs) if pick_far is None else pick_far
    draws = _Draws.of(genuine, seed)
    return GammaTrade(
        faces=len(faces),
        identities=len(genuine.pairs),
        genuine=int(genuine.pairs.sum()),
        impostor=impostors.pairs,
        largest_share=float(genuine.pairs.max() / genuine.pairs.sum()),
        rows=_rows(faces, gates, wanted, taus, impostors, genuine, draws),
        pick=_pick(gates, wanted, wanted.index(chosen_far), impostors, genuine, draws),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """FRR of all identities (g, t), and of each draw of them with replacement (draws, g, t)."""

    frr: Float64
    drawn: Float64

    @classmethod
    def of(cls, genuine: GenuineCounts, seed: int) -> "_Draws":
        people = len(genuine.pairs)
        times = np.random.default_rng(seed).multinomial(people, np.full(people, 1.0 / people), size=_DRAWS)
        errors = genuine.errors.reshape(people, -1).astype(np.float64)
        totals = np.maximum(times @ genuine.pairs.astype(np.float64), 1.0)
        drawn = (times @ errors) / totals[:, None]
        shape = genuine.errors.shape[1:]
        return cls((errors.sum(axis=0) / genuine.pairs.sum()).reshape(shape), drawn.reshape(_DRAWS, *shape))

    def estimate(self, gate: int, far: int) -> Estimate:
        low, high = np.quantile(self.drawn[:, gate, far], (0.025, 0.975))
        return Estimate(float(self.frr[gate, far]), float(low), float(high))

    def difference(self, gate: int, other: int, far: int) -> Estimate:
        """Return FRR under `gate` minus FRR under `other`, on the same draws."""
        low, high = np.quantile(self.drawn[:, gate, far] - self.drawn[:, other, far], (0.025, 0.975))
        return Estimate(float(self.frr[gate, far] - self.frr[other, far]), float(low), float(high))


def _rows(
    faces: Representation,
    gates: Float64,
    fars: Sequence[float],
    taus: Float64,
    impostors: ImpostorCounts,
    genuine: GenuineCounts,
    draws: _Draws,
) -> tuple[TradeRow, ...]:
    levels = gates_passed(faces, gates)
    genuine_pairs = int(genuine.pairs.sum())
    return tuple(
        TradeRow(
            gamma=float(gamma),
            faces_unsure=float((levels <= gate).mean()),
            genuine_unsure=float(genuine.unsure[:, gate].sum()) / genuine_pairs,
            impostor_unsure=1.0 - float(impostors.passing[gate, 0]) / impostors.pairs,
            cells=tuple(
                TradeCell(
                    far, float(taus[gate, at]), draws.estimate(gate, at), _supported(at, gate, far, impostors, genuine)
                )
                for at, far in enumerate(fars)
            ),
        )
        for gate, gamma in enumerate(gates)
    )


def _pick(
    gates: Float64,
    fars: Sequence[float],
    at: int,
    impostors: ImpostorCounts,
    genuine: GenuineCounts,
    draws: _Draws,
) -> GammaPick:
    best = int(np.argmin(draws.frr[:, at]))
    # The best gate differs from itself by nothing, so one is always found.
    gate = next(gate for gate in range(len(gates)) if draws.difference(gate, best, at).low <= 0.0)
    return GammaPick(
        gamma=float(gates[gate]),
        far=fars[at],
        frr=draws.estimate(gate, at),
        gain=draws.difference(0, gate, at),
        supported=_supported(at, gate, fars[at], impostors, genuine),
        rule=RULE,
    )


def _supported(at: int, gate: int, far: float, impostors: ImpostorCounts, genuine: GenuineCounts) -> bool:
    return far * impostors.pairs >= FEWEST_ERRORS and int(genuine.errors[:, gate, at].sum()) >= FEWEST_ERRORS


def _supported_far(fars: Sequence[float], impostor_pairs: int) -> float:
    held = [far for far in fars if far * impostor_pairs >= FEWEST_ERRORS]
    return min(held) if held else max(fars)


def _gates(faces: Representation, gammas: Sequence[float] | None) -> Float64:
    if gammas is None:
        return np.unique(np.append(0.0, np.round(np.quantile(faces.ers, _SHARES), 3)))
    _require(len(gammas) > 0, "BAD_TARGET", "at least one gamma is needed")
    _require(all(0.0 <= gamma <= 1.0 for gamma in gammas), "BAD_TARGET", "gamma lies in 0..1")
    return np.unique(np.asarray(gammas, dtype=np.float64))


def _check_faces(faces: Representation, identities: Ids) -> None:
    _require(
        len(identities) == len(faces), "LABELS_MISMATCH", f"{len(identities)} labels were given for {len(faces)} faces"
    )
    finite = bool(np.isfinite(faces.vectors).all()) and bool(np.isfinite(faces.ers).all())
    _require(finite, "NOT_FINITE", "a vector or an ERS is not finite")
    _, counts = np.unique(identities, return_counts=True)
    _require(len(counts) >= 2, "TOO_FEW_IDENTITIES", f"at least 2 identities are needed, and there are {len(counts)}")
    _require(
        bool((counts >= 2).any()),
        "NO_GENUINE_PAIR",
        "no identity has 2 faces, so there is no genuine pair: label at least one more face of some people",
    )


def _require(holds: bool, reason: str, message: str) -> None:
    if not holds:
        raise CalibrationFailed(reason, message)
