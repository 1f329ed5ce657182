"""Faces that attract probes of people they do not show."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ersgallery_index import Policy
from ersgallery_index.hygiene import MagnetRows, MagnetTally
from ersgallery_index.interface import FloatRows, Ids
from numpy.typing import NDArray

from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.hygiene.other_subjects import STRANGER, OtherSubjects
from ersgallery_server.operations import Progress
from ersgallery_server.values import GalleryRecord

BLOCK_ROWS = 1024


class Advice(enum.Enum):
    """What to do about a magnet."""

    RAISE_GAMMA_GALLERY = "RAISE_GAMMA_GALLERY"
    HIDDEN = "HIDDEN"
    REVIEW = "REVIEW"


@dataclass(frozen=True, slots=True, eq=False)
class MagnetProbes:
    """Probes of a request: derived vectors (n, d), ERS (n,), owners (n,) in the gallery or STRANGER.

    people (n,): one number for each person, enrolled or not.
    """

    vectors: FloatRows
    ers: NDArray[np.float64]
    owners: Ids
    people: Ids


@dataclass(frozen=True, slots=True)
class Magnet:
    """One face, or one subject's template (face_id None), that wins probes of others; as in MagnetRows."""

    subject_id: str
    face_id: int | None
    ers: float
    people: int
    wins: int
    low_ers_wins: int
    neighbor_probes: int
    mean_similarity: float | None
    ui_wins: int
    advice: Advice


@dataclass(frozen=True, slots=True, eq=False)
class MagnetFindings:
    """The worst magnets first, and what they are taken from. winners: faces that won a probe, listed or not."""

    gallery_id: str
    magnets: tuple[Magnet, ...]
    winners: int
    probes: int
    low_ers_probes: int
    won_probes: int
    low_ers_won_probes: int
    threshold: float
    gamma: float
    gamma_gallery: float
    neighbors: int
    revision: int


@dataclass(frozen=True, slots=True, eq=False)
class MagnetTask:
    """What is to be found. record: the gallery as it was when it was asked for. gate: to search under.

    probes: None for the gallery's own rows, also those below the gates. neighbors, most: as in the request.
    """

    gallery: Gallery
    record: GalleryRecord
    threshold: float
    gate: float
    probes: MagnetProbes | None
    neighbors: int
    most: int

    def run(self, progress: Progress) -> MagnetFindings:
        """Search every probe among the faces of all others, and rank what wins; raises CalibrationFailed."""
        policy = self.record.settings.policy(self.record.profile.profile)
        index = OtherSubjects(self.gallery, self.record, progress)
        tally = MagnetTally(self.threshold)
        for part in self._parts(index):
            found = index.nearest(part.vectors, part.owners, self.gate, self.neighbors)
            tally.add(found, part.people, part.ers < policy.gamma)
        rows, ui_wins = _with_ui_winners(tally, self._ui_winners(index), policy.gamma)
        magnets = index.ask(lambda state: self._magnets(state, rows, ui_wins, policy))
        won, low_ers_won = tally.won
        return MagnetFindings(
            self.record.gallery_id,
            magnets,
            int((rows.wins > 0).sum()),
            tally.probes,
            tally.low_ers_probes,
            won,
            low_ers_won,
            self.threshold,
            policy.gamma,
            self.gate,
            self.neighbors,
            index.ask(lambda state: state.record.revision),
        )

    def _parts(self, index: OtherSubjects) -> Iterator[MagnetProbes]:
        if self.probes is None:
            for rows in index.rows():
                yield MagnetProbes(rows.vectors, rows.ers, rows.subject_ids, rows.subject_ids)
            return
        given = self.probes
        for start in range(0, len(given.ers), BLOCK_ROWS):
            index.tell(start, len(given.ers))
            some = slice(start, start + BLOCK_ROWS)
            yield MagnetProbes(given.vectors[some], given.ers[some], given.owners[some], given.people[some])

    def _ui_winners(self, index: OtherSubjects) -> MagnetRows | None:
        """Return the face nearest to each UI centroid; none where features are enhanced, which removes these."""
        if self.record.settings.enhance_features:
            return None
        centroids = self.record.profile.profile.centroids.astype(np.float32)
        strangers = np.full(len(centroids), STRANGER, np.int64)
        tally = MagnetTally(-np.inf)
        tally.add(index.nearest(centroids, strangers, self.gate, 1), strangers, np.ones(len(centroids), np.bool_))
        return tally.ranked()

    def _magnets(
        self, state: GalleryState, rows: MagnetRows, ui_wins: dict[int, int], policy: Policy
    ) -> tuple[Magnet, ...]:
        """Name the worst; who was deleted meanwhile is left out."""
        found: list[Magnet] = []
        for row in range(len(rows)):
            subject_id = state.subject_ids.get(int(rows.subject_ids[row]))
            if subject_id is None or len(found) == self.most:
                continue
            face_id, ers, wins = int(rows.face_ids[row]), float(rows.ers[row]), int(rows.wins[row])
            found.append(
                Magnet(
                    subject_id,
                    None if state.by_template else face_id,
                    ers,
                    int(rows.people[row]),
                    wins,
                    int(rows.low_ers_wins[row]),
                    int(rows.neighbor_probes[row]),
                    float(rows.mean_scores[row]) if wins else None,
                    ui_wins.get(face_id, 0),
                    _advice(ers, policy),
                )
            )
        return tuple(found)


def _with_ui_winners(tally: MagnetTally, nearest: MagnetRows | None, gamma: float) -> tuple[MagnetRows, dict[int, int]]:
    """Append the faces below gamma that are nearest to a UI centroid and won no probe; return these wins by face."""
    rows = tally.ranked()
    if nearest is None:
        return rows, {}
    ui_wins = dict(zip(nearest.face_ids.tolist(), nearest.wins.tolist(), strict=True))
    more = nearest.take(np.flatnonzero((nearest.ers < gamma) & ~np.isin(nearest.face_ids, rows.face_ids)))
    nothing = np.zeros(len(more), np.int64)
    counts = tally.neighbor_probes(more.face_ids)
    return MagnetRows(
        np.concatenate([rows.face_ids, more.face_ids]),
        np.concatenate([rows.subject_ids, more.subject_ids]),
        np.concatenate([rows.ers, more.ers]),
        np.concatenate([rows.people, nothing]),
        np.concatenate([rows.wins, nothing]),
        np.concatenate([rows.low_ers_wins, nothing]),
        np.concatenate([rows.neighbor_probes, counts]),
        np.concatenate([rows.mean_scores, np.full(len(more), np.nan)]),
    ), ui_wins


def _advice(ers: float, policy: Policy) -> Advice:
    if ers < policy.gamma_gallery:
        return Advice.HIDDEN
    return Advice.RAISE_GAMMA_GALLERY if ers < policy.gamma else Advice.REVIEW
