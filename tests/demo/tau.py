"""Set tau by strangers who do nothing else, so that it is not chosen by the demo's own result.

With n strangers, tau is put just above the k-th greatest of their best similarities, k = floor(fpir * (n + 1)). A
further stranger of the same kind exceeds that one with probability k / (n + 1), whatever the similarities are
distributed like. With 99 strangers and 1 % that is just above the greatest one. This is the mean over all draws of the
strangers; for one draw the true FPIR is distributed as Beta(k, n + 1 - k).
"""

import math
from collections.abc import Sequence

# tau is rounded up to four decimals, so that it can be typed.
_STEPS = 10_000


class TooFewStrangers(ValueError):
    """So few strangers say nothing about so small a share."""


def tau_at_fpir(best_similarities: Sequence[float], fpir: float) -> float:
    """Return the least tau, to 4 decimals, at which a further stranger matches with probability `fpir` at most.

    best_similarities: of each stranger; -inf for one that is not searched at all. Raises TooFewStrangers.
    """
    rank = allowed(len(best_similarities), fpir)
    bound = sorted(best_similarities, reverse=True)[rank - 1]
    if bound == -math.inf:
        raise TooFewStrangers("most strangers were not searched at all")
    return min(1.0, (math.floor(bound * _STEPS) + 1) / _STEPS)


def allowed(strangers: int, fpir: float) -> int:
    """Return k: tau lies just above the k-th greatest similarity. Raises TooFewStrangers."""
    rank = math.floor(fpir * (strangers + 1) + 1e-9)
    if rank < 1:
        raise TooFewStrangers(f"{strangers} strangers cannot promise an FPIR of {fpir:g}")
    return rank
