"""Operations, and what calibrations found."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ersgallery_client.errors import GalleryError
from ersgallery_client.values.hygiene import DuplicateReport, MagnetReport
from ersgallery_client.values.policies import Weighting


class OperationKind(enum.StrEnum):
    """What an operation does."""

    UNSPECIFIED = "UNSPECIFIED"
    CALIBRATE_GAMMA = "CALIBRATE_GAMMA"
    CALIBRATE_TAU = "CALIBRATE_TAU"
    CALIBRATE_PROFILE = "CALIBRATE_PROFILE"
    FIND_MAGNETS = "FIND_MAGNETS"
    FIND_DUPLICATE_SUBJECTS = "FIND_DUPLICATE_SUBJECTS"


class OperationState(enum.StrEnum):
    """How far an operation has come."""

    UNSPECIFIED = "UNSPECIFIED"
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CalibrationWarning:
    """What weakens a result: a stable code, and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Application:
    """Whether a result was applied to the gallery, with its etag since then, or why it was not."""

    applied: bool
    etag: str
    error: GalleryError | None


@dataclass(frozen=True, slots=True)
class GammaCell:
    """One FAR under one gamma: the tau that keeps it, and the FRR, in which UNSURE counts as an error."""

    far: float
    tau: float
    frr: Estimate
    supported: bool


@dataclass(frozen=True, slots=True)
class GammaRow:
    """One gamma: shares of faces, genuine and impostor pairs that are UNSURE, and a cell per FAR."""

    gamma: float
    faces_unsure: float
    genuine_unsure: float
    impostor_unsure: float
    cells: tuple[GammaCell, ...]


@dataclass(frozen=True, slots=True, eq=False)
class GammaCalibration:
    """The pick, how it was made, and the whole trade by rising gamma.

    gain: FRR under the least gamma minus FRR under the pick. largest_share: of the genuine pairs that one identity has.
    application: None where it was not asked for. set_faces: most faces of a template where templates were compared, so
    that it gates a template's ERS; 0 for single faces, with set_weighting UNSPECIFIED.
    """

    gamma: float
    far: float
    frr: Estimate
    gain: Estimate
    supported: bool
    rule: str
    rows: tuple[GammaRow, ...]
    faces: int
    identities: int
    genuine_pairs: int
    impostor_pairs: int
    largest_share: float
    application: Application | None
    set_faces: int = 0
    set_weighting: Weighting = Weighting.UNSPECIFIED


@dataclass(frozen=True, slots=True, eq=False)
class TauCalibration:
    """tau for a wanted FPIR at a number of subjects, and what it rests on.

    fpir: to be expected. extrapolation: gallery_size / calibration_subjects. unsure: probes below gamma, which stay in
    the denominator. application: None where it was not asked for.
    """

    tau: Estimate
    target_fpir: float
    gallery_size: int
    fpir: Estimate
    calibration_subjects: int
    extrapolation: float
    probes: int
    unsure: int
    supported: bool
    warnings: tuple[CalibrationWarning, ...]
    method: str
    application: Application | None


@dataclass(frozen=True, slots=True)
class CalibrationCheck:
    """One thing that an expert looks at; passed is None where the labels do not allow to tell."""

    name: str
    passed: bool | None
    value: float | None
    limit: float | None
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class ProfileCalibration:
    """A draft of a profile, which create_profile stores. mean: (d,) float32 or None. centroids: (K, d) float32."""

    model: str
    dimension: int
    mean: NDArray[np.float32] | None
    centroids: NDArray[np.float32]
    gamma: float
    checks: tuple[CalibrationCheck, ...]
    decisions: tuple[str, ...]
    figures: Mapping[str, float]


CalibrationResult = GammaCalibration | TauCalibration | ProfileCalibration
OperationResult = CalibrationResult | MagnetReport | DuplicateReport


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """Work that goes on in the server. Units are of the present step; total_units is 0 while it is not known.

    gallery_id: empty where it is about none. result: of a SUCCEEDED one, except in a list. error: of a FAILED or
    CANCELLED one.
    """

    id: str
    kind: OperationKind
    gallery_id: str
    state: OperationState
    done_units: int
    total_units: int
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    result: OperationResult | None
    error: GalleryError | None

    @property
    def ended(self) -> bool:
        """Return whether nothing more will happen."""
        return self.end_time is not None


@dataclass(frozen=True, slots=True)
class LostSubject:
    """A subject that would lose its last searchable face."""

    id: str
    best_ers: float
    faces: int


@dataclass(frozen=True, slots=True)
class GatePreview:
    """What another gamma_gallery would do: faces excluded and admitted beside now, subjects lost and gained.

    lost: a page of the lost subjects, by id; next_page_token: empty at the end.
    """

    present_gamma_gallery: float
    excluded_faces: int
    admitted_faces: int
    searchable_faces: int
    faces: int
    lost_subjects: int
    gained_subjects: int
    lost: tuple[LostSubject, ...]
    next_page_token: str
