"""The thin client of ersgallery: NumPy arrays in, frozen dataclasses out.

from ersgallery_client import GalleryClient, Enrollment

with GalleryClient("127.0.0.1:50061") as client:
    client.create_gallery("staff", profile="sface", tau=0.45)
    client.enroll("staff", [Enrollment("ada", Path("ada.jpg"))])
    answer = client.identify("staff", Path("door.jpg"))
"""

from ersgallery_client.client import AsyncGalleryClient, GalleryClient
from ersgallery_client.errors import GalleryError
from ersgallery_client.options import KeepAlive, Limits, RetryPolicy, Timeout, TlsOptions
from ersgallery_client.values.calibration import (
    Application,
    CalibrationCheck,
    CalibrationWarning,
    Estimate,
    GammaCalibration,
    GammaCell,
    GammaRow,
    GatePreview,
    LostSubject,
    Operation,
    OperationKind,
    OperationState,
    ProfileCalibration,
    TauCalibration,
)
from ersgallery_client.values.enrollment import (
    Disposition,
    DuplicateOf,
    EnrollmentBatch,
    EnrollmentOutcome,
    EnrollmentReason,
    EnrollmentWarning,
    FaceOutcome,
)
from ersgallery_client.values.erasure import ErasedDatabase, Erasure
from ersgallery_client.values.galleries import Face, Gallery, GalleryCounts, IndexDescription, Subject
from ersgallery_client.values.hygiene import (
    DuplicateGroup,
    DuplicatePair,
    DuplicateReport,
    LowErsReport,
    LowErsSubject,
    LowErsSubjects,
    Magnet,
    MagnetAdvice,
    MagnetReport,
)
from ersgallery_client.values.identification import (
    Applied,
    Candidate,
    CandidateColumns,
    Decision,
    Identification,
    IdentificationBatch,
    MemberOutcome,
    UnsureReason,
    Verification,
)
from ersgallery_client.values.inputs import Embedding, Enrollment, Template, TemplateMember
from ersgallery_client.values.policies import (
    UNSET,
    DuplicateCheck,
    EffectivePolicy,
    GalleryWarning,
    IndexKind,
    LowErsPolicy,
    SearchPolicy,
    SeveralFacesPolicy,
    SubjectSearch,
    Unset,
    Weighting,
)
from ersgallery_client.values.recognizability import FaceBox, FaceScore, Profile, Recognizability, Scores

__all__ = [
    "UNSET",
    "Application",
    "Applied",
    "AsyncGalleryClient",
    "CalibrationCheck",
    "CalibrationWarning",
    "Candidate",
    "CandidateColumns",
    "Decision",
    "Disposition",
    "DuplicateCheck",
    "DuplicateGroup",
    "DuplicateOf",
    "DuplicatePair",
    "DuplicateReport",
    "EffectivePolicy",
    "Embedding",
    "Enrollment",
    "EnrollmentBatch",
    "EnrollmentOutcome",
    "EnrollmentReason",
    "EnrollmentWarning",
    "ErasedDatabase",
    "Erasure",
    "Estimate",
    "Face",
    "FaceBox",
    "FaceOutcome",
    "FaceScore",
    "Gallery",
    "GalleryClient",
    "GalleryCounts",
    "GalleryError",
    "GalleryWarning",
    "GammaCalibration",
    "GammaCell",
    "GammaRow",
    "GatePreview",
    "Identification",
    "IdentificationBatch",
    "IndexDescription",
    "IndexKind",
    "KeepAlive",
    "Limits",
    "LostSubject",
    "LowErsPolicy",
    "LowErsReport",
    "LowErsSubject",
    "LowErsSubjects",
    "Magnet",
    "MagnetAdvice",
    "MagnetReport",
    "MemberOutcome",
    "Operation",
    "OperationKind",
    "OperationState",
    "Profile",
    "ProfileCalibration",
    "Recognizability",
    "RetryPolicy",
    "Scores",
    "SearchPolicy",
    "SeveralFacesPolicy",
    "Subject",
    "SubjectSearch",
    "TauCalibration",
    "Template",
    "TemplateMember",
    "Timeout",
    "TlsOptions",
    "Unset",
    "UnsureReason",
    "Verification",
    "Weighting",
]
