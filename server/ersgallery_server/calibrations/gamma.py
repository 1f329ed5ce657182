"""gamma from labelled faces, given or the gallery's own."""

from dataclasses import dataclass

from ersgallery_index import Derivation
from ersgallery_index.calibration.gamma import FARS, GammaTrade, SetPlan, gamma_trade
from ersgallery_index.calibration.gamma_of_sets import gamma_trade_of_sets
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.representation import represent

from ersgallery_server.calibrations.applying import Application, apply_setting
from ersgallery_server.calibrations.faces import LabelledFaces
from ersgallery_server.calibrations.one_thread import one_thread
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.operations import Progress
from ersgallery_server.store import Store
from ersgallery_server.values import GalleryRecord


@dataclass(frozen=True, slots=True, eq=False)
class GammaResult:
    """The trade, and whether it was applied; None where that was not asked for."""

    trade: GammaTrade
    application: Application | None


@dataclass(frozen=True, slots=True, eq=False)
class GammaTask:
    """What is to be measured. record: the gallery as it was when it was asked for. faces: None for its own.

    sets: templates to be measured in place of single faces.
    """

    gallery: Gallery
    record: GalleryRecord
    faces: LabelledFaces | None
    fars: tuple[float, ...]
    gammas: tuple[float, ...]
    pick_far: float | None
    apply: bool
    sets: SetPlan | None = None

    def run(self, store: Store, galleries: Galleries, progress: Progress) -> GammaResult:
        """Measure, and apply where that is asked for; raises CalibrationFailed and GalleryNotFound."""
        record = self.record
        faces = self.faces or LabelledFaces.of_gallery(store, record.key, least=2, progress=progress)
        if not len(faces.people):
            raise CalibrationFailed("NO_GENUINE_PAIR", "no subject has two faces, so there is no genuine pair")
        with one_thread():
            trade = self._trade(faces, progress)
        application = None
        if self.apply:
            progress(1, 1)  # the last chance of a cancel: what is applied stays
            pick = trade.pick
            # A pick of 0 says that these faces show no need of a gate, as clean ones always do; others may come.
            application = apply_setting(
                galleries,
                self.gallery,
                record.version,
                {"gamma": pick.gamma},
                supported=pick.supported and pick.gamma > 0.0,
            )
        return GammaResult(trade, application)

    def _trade(self, faces: LabelledFaces, progress: Progress) -> GammaTrade:
        record = self.record
        derivation = Derivation(record.profile.profile, enhance=record.settings.enhance_features)
        gammas, fars = self.gammas or None, self.fars or FARS
        if self.sets is not None:
            return gamma_trade_of_sets(
                derivation,
                faces.rows,
                faces.people,
                self.sets,
                gammas=gammas,
                fars=fars,
                pick_far=self.pick_far,
                progress=progress,
            )
        shown = represent(derivation, faces.rows)
        return gamma_trade(shown, faces.people, gammas=gammas, fars=fars, pick_far=self.pick_far, progress=progress)
