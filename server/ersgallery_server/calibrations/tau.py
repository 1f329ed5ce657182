"""tau from non-mated searches in a gallery: strangers, or its own subjects among all others."""

from dataclasses import dataclass, replace

import numpy as np
from ersgallery_index.calibration.non_mated import NonMatedScores, non_mated_scores_of_index
from ersgallery_index.calibration.tau import TauChoice, choose_tau
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.representation import Representation
from numpy.typing import NDArray

from ersgallery_server.calibrations.applying import Application, apply_setting
from ersgallery_server.calibrations.giving_way import GivingWay
from ersgallery_server.calibrations.tau_probes import TauProbes
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.operations import Progress
from ersgallery_server.store import Store, TemplateRecipe
from ersgallery_server.values import GalleryRecord, SubjectSearch


@dataclass(frozen=True, slots=True, eq=False)
class TauResult:
    """The choice, and whether it was applied; None where that was not asked for."""

    choice: TauChoice
    application: Application | None


@dataclass(frozen=True, slots=True, eq=False)
class TauTask:
    """What is to be chosen. record: the gallery as it was when it was asked for. gallery_size: 0 for the present one.

    probes (p, d) float32: unit rows of strangers; None: every subject of the gallery among all others.
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
        drawn = self._drawn(store, progress)
        scores = self._search(drawn, subjects if self.probes is not None else subjects - 1, progress)
        choice = choose_tau(scores, self.target_fpir, self.gallery_size or subjects, progress=progress)
        method, warnings = f"{choice.method}; {drawn.described}", (*choice.warnings, *drawn.warnings)
        choice = replace(choice, method=method, warnings=warnings)
        application = None
        if self.apply:
            progress(1, 1)  # the last chance of a cancel: what is applied stays
            fields = {"tau": choice.tau.value, "tau_subjects": choice.gallery_size}
            application = apply_setting(
                galleries, self.gallery, self.record.version, fields, supported=choice.supported
            )
        return TauResult(choice, application)

    def _drawn(self, store: Store, progress: Progress) -> TauProbes:
        if self.probes is not None:
            return TauProbes.of_strangers(self.record, self.probes)
        return TauProbes.of_gallery(store, self.record, progress)

    def _search(self, drawn: TauProbes, others: int, progress: Progress) -> NonMatedScores:
        record, probes = self.record, drawn.probes
        searched = np.flatnonzero(probes.passes(record.settings.policy(record.profile.profile).gamma))
        if not len(searched):
            raise CalibrationFailed("ALL_DEGRADED", "every probe is UNSURE, so nothing can be compared")
        parts: list[NonMatedScores] = []
        owner, start = GivingWay(self.gallery, progress), 0
        while start < len(searched):
            progress(start, len(searched))
            block = searched[start : start + owner.rows]
            start += len(block)
            parts.append(self._search_block(_take(probes, block), drawn.owners[block], others, owner))
        return NonMatedScores(
            np.concatenate([part.top for part in parts]),
            np.concatenate([part.subjects for part in parts]),
            np.concatenate([part.owners for part in parts]),
            others,
            len(probes) - len(searched),
        )

    def _search_block(
        self, probes: Representation, owners: NDArray[np.int64], others: int, owner: GivingWay
    ) -> NonMatedScores:
        record = self.record
        policy = record.settings.policy(record.profile.profile)

        def search(state: GalleryState) -> NonMatedScores:
            if _vectors_of(state.record) != _vectors_of(record):
                raise CalibrationFailed(
                    "GALLERY_CHANGED",
                    "the gallery got another profile, enhancement or kind of search while it was searched",
                )
            return non_mated_scores_of_index(state.index, probes, owners, policy, gallery_subjects=others)

        return owner.ask(search)


def _vectors_of(record: GalleryRecord) -> tuple[object, ...]:
    """Return what decides the vectors that are compared."""
    settings = record.settings
    if settings.subject_search is SubjectSearch.TEMPLATE:
        return settings.subject_search, TemplateRecipe.of(record.profile.key, settings)
    return settings.subject_search, record.profile.key, settings.enhance_features


def _take(faces: Representation, rows: NDArray[np.intp]) -> Representation:
    return Representation(faces.vectors[rows], faces.ers[rows], faces.raw_ers[rows], faces.usable[rows])
