"""What a gallery's owner counts of its searches: one entry for each batch, not for each probe."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from ersgallery_index import Decision, Identifications, UnsureReason, Verification
from ersgallery_index.identification import DECISIONS, REASONS

from ersgallery_server.gallery.enrollment import DISPOSITIONS, EnrollmentReport
from ersgallery_server.gallery.ers_drift import ErsDrift
from ersgallery_server.tallies import SIZES, Spread, Tally
from ersgallery_server.values import ProfileVersion
from ersgallery_server.work_queue import WorkQueue

ERS_BOUNDS = tuple(round(0.05 * step, 2) for step in range(1, 21))

NO_REASON = ""
ITEM_ERROR = "ERROR"
CANCELLED, EXPIRED = "cancelled", "expired"
"""Why a search that had waited was not begun: its caller went away, or its deadline passed."""


class SearchFigures:
    """Counts of one gallery since it was opened; any thread may read them.

    decisions, verifications: by (decision, reason), the reason empty but for UNSURE. ers: of the probes that had one.
    waits: seconds in the queue. batches, seconds: the probes and the time of each batch. dropped: by why it was.
    enrolled: faces by disposition, and items that were errors. drift: how the ERS of the last probes compare with those
    that are expected. queue: of the owner.
    """

    def __init__(self, drift: ErsDrift, queue: WorkQueue[Any]) -> None:
        self.decisions: Tally[tuple[str, str]] = Tally()
        self.verifications: Tally[tuple[str, str]] = Tally()
        self.ers = Spread(ERS_BOUNDS)
        self.waits = Spread()
        self.batches = Spread(SIZES)
        self.seconds = Spread()
        self.dropped: Tally[str] = Tally()
        self.enrolled: Tally[str] = Tally()
        self.drift = drift
        self.queue = queue

    def searched(self, found: Identifications, profile: ProfileVersion, seconds: float) -> None:
        """Count a batch that was answered under a profile in so many seconds."""
        self.seconds.add(seconds)
        self.batches.add(len(found))
        for (decision, reasons), count in _pairs(found):
            self.decisions.add((DECISIONS[decision].value, _first_reason(reasons)), count)
        self.ers.add_all(found.ers)
        self.drift.add(found.raw_ers, profile)

    def unsearched(self, reason: UnsureReason) -> None:
        """Count a probe that has no face to search with."""
        self.decisions.add((Decision.UNSURE.value, reason.value))

    def unverified(self, reason: UnsureReason) -> None:
        """Count a verification that has no face on one side."""
        self.verifications.add((Decision.UNSURE.value, reason.value))

    def enrolled_all(self, report: EnrollmentReport) -> None:
        """Count the faces of an enrolment by what became of them, and the items that were errors."""
        for place, count in enumerate(np.bincount(report.faces.dispositions, minlength=len(DISPOSITIONS)).tolist()):
            if count:
                self.enrolled.add(DISPOSITIONS[place].value, count)
        if report.errors:
            self.enrolled.add(ITEM_ERROR, len(report.errors))

    def verified(self, found: Verification) -> None:
        """Count a verification."""
        reason = found.reasons[0].value if found.reasons else NO_REASON
        self.verifications.add((found.decision.value, reason))


def _first_reason(bits: int) -> str:
    return next((reason.value for place, reason in enumerate(REASONS) if bits >> place & 1), NO_REASON)


def _pairs(found: Identifications) -> Iterable[tuple[tuple[int, int], int]]:
    """Return the pairs of a decision and its reasons that a batch has, and how often."""
    if len(found) == 1:  # for which NumPy would take longer
        return [((int(found.decisions[0]), int(found.reasons[0])), 1)]
    counts = np.bincount(found.decisions.astype(np.int64) << len(REASONS) | found.reasons)
    return [(divmod(int(pair), 1 << len(REASONS)), int(counts[pair])) for pair in np.flatnonzero(counts)]
