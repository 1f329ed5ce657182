"""The client's enums beside the contract's."""

import enum
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from ersgallery.v1 import (
    calibration_service_pb2,
    enrollment_service_pb2,
    face_input_pb2,
    gallery_pb2,
    hygiene_pb2,
    hygiene_service_pb2,
    identification_service_pb2,
)

from ersgallery_client.values.calibration import OperationKind, OperationState
from ersgallery_client.values.enrollment import Disposition, EnrollmentReason, EnrollmentWarning
from ersgallery_client.values.erasure import ErasedDatabase
from ersgallery_client.values.hygiene import LowErsSubjects, MagnetAdvice
from ersgallery_client.values.identification import Decision, UnsureReason
from ersgallery_client.values.policies import (
    DuplicateCheck,
    GalleryWarning,
    IndexKind,
    LowErsPolicy,
    SeveralFacesPolicy,
    SubjectSearch,
    Weighting,
)

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

OwnT = TypeVar("OwnT", bound=enum.StrEnum)
WireT = TypeVar("WireT", bound=int)


class EnumPair(Generic[OwnT, WireT]):
    """An enum of the client and one of the contract with the same members, but for the contract's prefix.

    A number that the client does not know reads as UNSPECIFIED: a newer server may have more members.
    """

    def __init__(self, own: type[OwnT], wire: "_EnumTypeWrapper[WireT]") -> None:
        self.own = own
        self.wire = wire
        self._unspecified = own("UNSPECIFIED")
        self._prefix = next(name for name, number in wire.items() if number == 0).removesuffix("UNSPECIFIED")
        self._members = {number: name.removeprefix(self._prefix) for name, number in wire.items()}

    def read(self, number: WireT) -> OwnT:
        """Return the client's member for the contract's."""
        name = self._members.get(number)
        return self._unspecified if name is None else self.own(name)

    def write(self, member: OwnT) -> WireT:
        """Return the contract's member for the client's; raises ValueError for a text that is none."""
        return self.wire.Value(self._prefix + self.own(member))


DECISION: Final = EnumPair(Decision, identification_service_pb2.Decision)
UNSURE_REASON: Final = EnumPair(UnsureReason, identification_service_pb2.UnsureReason)
DISPOSITION: Final = EnumPair(Disposition, enrollment_service_pb2.Disposition)
ENROLLMENT_REASON: Final = EnumPair(EnrollmentReason, enrollment_service_pb2.EnrollmentReason)
ENROLLMENT_WARNING: Final = EnumPair(EnrollmentWarning, enrollment_service_pb2.EnrollmentWarning)
SEVERAL_FACES: Final = EnumPair(SeveralFacesPolicy, face_input_pb2.SeveralFacesPolicy)
LOW_ERS: Final = EnumPair(LowErsPolicy, gallery_pb2.LowErsPolicy)
SUBJECT_SEARCH: Final = EnumPair(SubjectSearch, gallery_pb2.SubjectSearch)
INDEX_KIND: Final = EnumPair(IndexKind, gallery_pb2.IndexKind)
DUPLICATE_CHECK: Final = EnumPair(DuplicateCheck, gallery_pb2.DuplicateCheck)
ERASED_DATABASE: Final = EnumPair(ErasedDatabase, gallery_pb2.Erasure.Database)
GALLERY_WARNING: Final = EnumPair(GalleryWarning, gallery_pb2.GalleryWarning)
WEIGHTING: Final = EnumPair(Weighting, face_input_pb2.Weighting)
OPERATION_KIND: Final = EnumPair(OperationKind, calibration_service_pb2.OperationKind)
OPERATION_STATE: Final = EnumPair(OperationState, calibration_service_pb2.OperationState)
MAGNET_ADVICE: Final = EnumPair(MagnetAdvice, hygiene_pb2.MagnetAdvice)
LOW_ERS_SUBJECTS: Final = EnumPair(LowErsSubjects, hygiene_service_pb2.LowErsSubjects)
