"""What decides: gates, thresholds and how many candidates are wanted."""

from dataclasses import dataclass

from ersgallery_index.errors import InvalidPolicy

MAX_CANDIDATES = 1024


@dataclass(frozen=True, slots=True)
class Policy:
    """The gates and thresholds of one open-set decision.

    gamma: the probe gate; a probe with ERS < gamma is UNSURE (eq. 4). 0 turns the gate off.
    gamma_gallery: the gallery gate; a face with ERS < gamma_gallery can neither match nor be a candidate.
    tau: similarity (cosine, -1..1) from which the best candidate is a MATCH (eq. 3).
    margin: least difference between the best two subjects' similarities; None turns the rule off.
    max_candidates: how many subjects are returned (1..MAX_CANDIDATES).
    include_filtered: also return the subjects that only the gallery gate kept out, apart from the candidates.

    Raises InvalidPolicy for a value out of range.
    """

    gamma: float
    gamma_gallery: float
    tau: float
    margin: float | None = None
    max_candidates: int = 10
    include_filtered: bool = False

    def __post_init__(self) -> None:
        _require("gamma", 0.0 <= self.gamma <= 1.0, "must lie in 0..1")
        _require("gamma_gallery", 0.0 <= self.gamma_gallery <= 1.0, "must lie in 0..1")
        _require("tau", -1.0 <= self.tau <= 1.0, "must lie in -1..1")
        _require("margin", self.margin is None or 0.0 <= self.margin <= 2.0, "must lie in 0..2")
        _require("max_candidates", 1 <= self.max_candidates <= MAX_CANDIDATES, f"must lie in 1..{MAX_CANDIDATES}")


def _require(field: str, holds: bool, problem: str) -> None:
    if not holds:
        raise InvalidPolicy(field, problem)
