"""Drift: how the ERS of a gallery's last probes are spread, compared with how those of clear faces should be.

The figure is the one-sided Kolmogorov-Smirnov distance D = max over e of (F_last(e) - F_expected(e)): the share of the
probes that have come to lie below some ERS though they should not. It needs no smoothing of empty bins, lies in 0..1
whatever the model, and P(D > d) = exp(-2 n d^2) for n independent probes says how much of it is chance.
"""

import functools
import threading
from dataclasses import dataclass
from typing import Self

import numpy as np
import structlog
from numpy.typing import NDArray

from ersgallery_server.models.catalogue import catalogue
from ersgallery_server.models.errors import ProfileNotFound
from ersgallery_server.models.profile_file import catalogued_profile
from ersgallery_server.profiles import profile_digest
from ersgallery_server.values import ProfileVersion

Float64 = NDArray[np.float64]

HALF_LIFE_PROBES = 500
"""After so many more probes one counts half: a window of some 720 probes, of whose D 5 % are above 0.05 by chance."""

OWN_PROBES = 1000
"""So many first probes are what is expected where the profile does not tell."""

ALARMING_PROBES, ALARMING_DRIFT, CALM_DRIFT = 200, 0.15, 0.1
"""From how many probes in the window and from which drift on there is a warning, and below which it has passed."""

LOOK_EVERY_PROBES = 100
EDGES: Float64 = np.arange(81, dtype=np.float64) / 50

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class ErsHistogram:
    """Raw ERS by bins: edges (b + 1,) rising, weights (b,); what lies outside counts in the outermost bins."""

    edges: Float64
    weights: Float64

    @property
    def total(self) -> float:
        """Return the sum of the weights."""
        return float(self.weights.sum())

    def share_below(self, ers: float) -> float:
        """Return the share below an ERS, as if each bin were filled evenly; 0 where there is nothing."""
        cumulated = np.concatenate([[0.0], np.cumsum(self.weights)])
        return float(np.interp(ers, self.edges, cumulated)) / (self.total or 1.0)

    def distances(self, expected: "ErsHistogram") -> tuple[float, float]:
        """Return how far this one lies below and above an expected one of the same edges, each 0..1."""
        difference = np.cumsum(self.weights) / self.total - np.cumsum(expected.weights) / expected.total
        return max(0.0, float(difference.max())), max(0.0, float(-difference.min()))


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """What the last probes are like.

    window: their raw ERS, older ones weighing less. expected: None as long as nobody knows. by_profile: whether the
    profile says what is expected, and not the first probes. down, up: the distances.
    """

    window: ErsHistogram
    expected: ErsHistogram | None
    by_profile: bool
    down: float
    up: float


@dataclass(slots=True, eq=False)
class _Scores:
    """The probes scored under one profile: a window of the last and, where that is needed, the sum of the first."""

    profile_key: int
    edges: Float64
    expected: ErsHistogram | None
    by_profile: bool
    window: Float64
    first: Float64

    @classmethod
    def under(cls, profile: ProfileVersion) -> Self:
        """Return that no probe was scored under a profile yet."""
        expected = expected_histogram(profile.sha256)
        edges = EDGES if expected is None else expected.edges
        bins = len(edges) - 1
        return cls(profile.key, edges, expected, expected is not None, np.zeros(bins), np.zeros(bins))

    def add(self, raw_ers: Float64) -> None:
        """Add the raw ERS (n,) of probes."""
        places = np.searchsorted(self.edges[1:-1], raw_ers, side="right")
        added = np.bincount(places, minlength=len(self.window))
        self.window *= 0.5 ** (len(raw_ers) / HALF_LIFE_PROBES)
        self.window += added
        if self.expected is None:
            self.first += added
            if self.first.sum() >= OWN_PROBES:
                self.expected = ErsHistogram(self.edges, self.first)


class ErsDrift:
    """Follows the ERS of one gallery's probes; one thread adds, any thread reads."""

    def __init__(self, gallery_id: str, profile: ProfileVersion) -> None:
        self._gallery_id = gallery_id
        self._lock = threading.Lock()
        self._scores = _Scores.under(profile)
        self._unseen = 0
        self._alarmed = False

    def add(self, raw_ers: Float64, profile: ProfileVersion) -> None:
        """Add the raw ERS (n,) of probes that were scored under a profile; another profile begins anew."""
        if profile.key != self._scores.profile_key:
            with self._lock:
                self._scores = _Scores.under(profile)
        with self._lock:
            self._scores.add(raw_ers)
        self._unseen += len(raw_ers)
        if self._unseen >= LOOK_EVERY_PROBES:
            self._unseen = 0
            self._look()

    def read(self) -> Drift:
        """Return how things stand; both distances are 0 as long as there is nothing to compare."""
        with self._lock:
            scores = self._scores
            window = ErsHistogram(scores.edges, scores.window.copy())
            expected, by_profile = scores.expected, scores.by_profile
        comparable = expected is not None and window.total > 0.0
        down, up = window.distances(expected) if expected is not None and comparable else (0.0, 0.0)
        return Drift(window, expected, by_profile, down, up)

    def _look(self) -> None:
        """Say it once when drift begins, and once when it has passed."""
        drift = self.read()
        if drift.window.total < ALARMING_PROBES:
            return
        figures = {"gallery": self._gallery_id, "drift": round(drift.down, 3), "probes": round(drift.window.total)}
        if not self._alarmed and drift.down >= ALARMING_DRIFT:
            self._alarmed = True
            log.warning("probes are less recognizable than expected: is a camera out of focus?", **figures)
        elif self._alarmed and drift.down <= CALM_DRIFT:
            self._alarmed = False
            log.info("probes are as recognizable as expected again", **figures)


def expected_histogram(profile_sha256: str) -> ErsHistogram | None:
    """Return the raw ERS of the clear faces that a catalogued profile was tested with; None for any other profile."""
    return _catalogued().get(profile_sha256)


@functools.cache
def _catalogued() -> dict[str, ErsHistogram]:
    found = {}
    for package in catalogue():
        try:
            file = catalogued_profile(package)
        except ProfileNotFound:
            continue
        if file.histogram is not None:
            edges = np.array(file.histogram["raw_ers_edges"], np.float64)
            found[profile_digest(file.as_sent())] = ErsHistogram(edges, np.array(file.histogram["clean"], np.float64))
    return found
