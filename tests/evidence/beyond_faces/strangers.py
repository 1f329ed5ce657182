"""Degraded drawings of characters that are not in the gallery: how many are matched all the same."""

import numpy as np
from ersgallery_index import Derivation, Profile
from ersgallery_server.evaluation.tables import Entry
from numpy.typing import NDArray

from tests.evidence.beyond_faces.protocol import CLEAN, Part, Samples
from tests.evidence.beyond_faces.ranking import Bootstrap, share

FPIRS = (0.01, 0.1)
"""Shares of clean strangers that are matched without gates: each sets a tau."""

_HARD = 0.6
_GATES = (
    ("no gate", (False, False)),
    ("gallery gate", (False, True)),
    ("probe gate", (True, False)),
    ("both gates", (True, True)),
)

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


class Matcher:
    """The test's gallery without distractors, and tau, under one profile."""

    def __init__(self, samples: Samples, rows: NDArray[np.float32], profile: Profile, fpir: float) -> None:
        """Set tau so that a share `fpir` of the clean validation drawings is matched without gates."""
        self._samples, self._rows = samples, rows
        self._derivation, self.gamma = Derivation(profile), profile.gamma
        gallery = self._derivation.derive(rows[samples.of(Part.GALLERY)])
        self._names = samples.characters[samples.of(Part.GALLERY)]
        self._vectors, self._shown = gallery.vectors.astype(np.float64).T, gallery.ers >= self.gamma
        scores, _, _ = self.best(samples.of(Part.VALIDATION) & (samples.kinds == CLEAN), gate=False)
        # Above the score of the first that must not be matched.
        self.tau = float(np.nextafter(np.sort(scores)[::-1][int(fpir * len(scores))], np.inf))

    def best(self, chosen: Mask, *, gate: bool) -> tuple[Values, NDArray[np.int64], Values]:
        """Return best score, whose it is, and ERS of the chosen samples; `gate` keeps out what is below gamma."""
        derived = self._derivation.derive(self._rows[chosen])
        names = self._names[self._shown] if gate else self._names
        scores = derived.vectors.astype(np.float64) @ (self._vectors[:, self._shown] if gate else self._vectors)
        first = scores.argmax(axis=1)
        return scores[np.arange(len(scores)), first], names[first], derived.ers

    def matched(self, chosen: Mask, *, probe: bool, gallery: bool) -> tuple[Mask, NDArray[np.int64]]:
        """Return which of the chosen samples are matched with these gates, and with whom."""
        scores, names, ers = self.best(chosen, gate=gallery)
        return (scores >= self.tau) & ((ers >= self.gamma) | (not probe)), names


def stranger_rows(
    samples: Samples, rows: NDArray[np.float32], profile: Profile, drawing: Bootstrap
) -> tuple[tuple[Entry, ...], ...]:
    """Return degraded strangers that are matched (all; the badly degraded), and clean queries that are lost."""
    return tuple(
        (f"{name}, tau at {fpir:.0%}", *_figures(Matcher(samples, rows, profile, fpir), samples, gates, drawing))
        for fpir in FPIRS
        for name, gates in _GATES
    )


def _figures(matcher: Matcher, samples: Samples, gates: tuple[bool, bool], drawing: Bootstrap) -> tuple[Entry, ...]:
    strangers = samples.of(Part.DISTRACTOR)
    mated = samples.of(Part.QUERY) & (samples.kinds == CLEAN)
    hard = samples.severities[strangers] >= _HARD
    unknown, own = samples.characters[strangers], samples.characters[mated]
    probe, gallery = gates
    false = matcher.matched(strangers, probe=probe, gallery=gallery)[0].astype(np.float64)
    right, whose = matcher.matched(mated, probe=probe, gallery=gallery)
    return (
        share(false, unknown, drawing),
        share(false[hard], unknown[hard], drawing),
        share(1.0 - (right & (whose == own)), own, drawing),
    )
