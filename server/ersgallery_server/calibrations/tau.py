"""tau from non-mated searches in a gallery: strangers, or its own faces among all other subjects."""

from dataclasses import dataclass

import numpy as np
from ersgallery_index import Derivation
from ersgallery_index.calibration.non_mated import (
    PER_PERSON,
    STRANGER,
    NonMatedScores,
    non_mated_scores_of_index,
    some_of_each,
)
from ersgallery_index.calibration.tau import TauChoice, choose_tau
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.representation import Representation, represent
from numpy.typing import NDArray

from ersgallery_server.calibrations.applying import Application, apply_setting
from ersgallery_server.calibrations.faces import LabelledFaces
from ersgallery_server.calibrations.giving_way import GivingWay
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.operations import Progress
from ersgallery_server.store import Store
from ersgallery_server.values import GalleryRecord


@dataclass(frozen=True, slots=True, eq=False)
class TauResult:
    """The choice, and whether it was applied; None where that was not asked for."""

    choice: TauChoice
    application: Application | None


@dataclass(frozen=True, slots=True, eq=False)
class TauTask:
    """What is to be chosen. record: the gallery as it was when it was asked for. gallery_size: 0 for the present one.

    probes (p, d) float32: unit rows of strangers; None: up to PER_PERSON faces of every subject among all others.
    """

    gallery: Gallery
    record: GalleryRecord
    target_fpir: float
    gallery_size: int
    probes: NDArray[np.float32] | None
    apply: bool

    def run(self, store: Store, galleries: Galleries, progress: Progress) -> TauResult:
        """Search, choose, and apply where that is asked for; raises CalibrationFailed and GalleryNotFound."""
        policy = self.record.settings.policy(self.record.profile.profile)
        subjects = store.totals(self.record.key, policy.gamma_gallery).subjects
        scores = self._scores(store, subjects, progress)
        choice = choose_tau(scores, self.target_fpir, self.gallery_size or subjects, progress=progress)
        application = None
        if self.apply:
            progress(1, 1)  # the last chance of a cancel: what is applied stays
            fields = {"tau": choice.tau.value, "tau_subjects": choice.gallery_size}
            application = apply_setting(
                galleries, self.gallery, self.record.version, fields, supported=choice.supported
            )
        return TauResult(choice, application)

    def _scores(self, store: Store, subjects: int, progress: Progress) -> NonMatedScores:
        if self.probes is not None:
            owners = np.full(len(self.probes), STRANGER, np.int64)
            return self._search(self.probes, owners, subjects, progress)
        faces = LabelledFaces.of_gallery(store, self.record.key, least=1, progress=progress)
        chosen = some_of_each(faces.people, PER_PERSON)
        return self._search(faces.rows[chosen], faces.people[chosen], subjects - 1, progress)

    def _search(
        self, rows: NDArray[np.float32], owners: NDArray[np.int64], others: int, progress: Progress
    ) -> NonMatedScores:
        record = self.record
        if not len(rows):
            raise CalibrationFailed("TOO_FEW_PROBES", "there is no probe: the gallery has no face")
        derivation = Derivation(record.profile.profile, enhance=record.settings.enhance_features)
        probes = represent(derivation, rows)
        searched = np.flatnonzero(probes.passes(record.settings.policy(record.profile.profile).gamma))
        if not len(searched):
            raise CalibrationFailed("ALL_DEGRADED", "every probe is UNSURE, so nothing can be compared")
        parts: list[NonMatedScores] = []
        owner, start = GivingWay(self.gallery, progress), 0
        while start < len(searched):
            progress(start, len(searched))
            block = searched[start : start + owner.rows]
            start += len(block)
            parts.append(self._search_block(_take(probes, block), owners[block], others, owner))
        return NonMatedScores(
            np.concatenate([part.top for part in parts]),
            np.concatenate([part.subjects for part in parts]),
            np.concatenate([part.owners for part in parts]),
            others,
            len(rows) - len(searched),
        )

    def _search_block(
        self, probes: Representation, owners: NDArray[np.int64], others: int, owner: GivingWay
    ) -> NonMatedScores:
        record = self.record
        policy = record.settings.policy(record.profile.profile)

        def search(state: GalleryState) -> NonMatedScores:
            if _vectors_of(state.record) != _vectors_of(record):
                raise CalibrationFailed(
                    "GALLERY_CHANGED", "the gallery got another profile or enhancement while it was searched"
                )
            return non_mated_scores_of_index(state.index, probes, owners, policy, gallery_subjects=others)

        return owner.ask(search)


def _vectors_of(record: GalleryRecord) -> tuple[int, bool]:
    return record.profile.key, record.settings.enhance_features


def _take(faces: Representation, rows: NDArray[np.intp]) -> Representation:
    return Representation(faces.vectors[rows], faces.ers[rows], faces.raw_ers[rows], faces.usable[rows])
