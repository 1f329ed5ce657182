"""Every RPC of the contract: its path, its messages, and whether it may be repeated."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from ersgallery.v1 import (
    calibration_service_pb2 as calibration,
)
from ersgallery.v1 import (
    enrollment_service_pb2 as enrollment,
)
from ersgallery.v1 import (
    gallery_service_pb2 as gallery,
)
from ersgallery.v1 import (
    hygiene_service_pb2 as hygiene,
)
from ersgallery.v1 import (
    identification_service_pb2 as identification,
)
from ersgallery.v1 import (
    recognizability_service_pb2 as recognizability,
)
from google.protobuf.message import Message

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True, slots=True)
class Rpc(Generic[RequestT, ResponseT]):
    """One RPC. `writes`: it changes something. `repeatable`: making it twice does the same as making it once."""

    service: str
    method: str
    request: type[RequestT]
    response: type[ResponseT]
    writes: bool = False
    repeatable: bool = True

    @property
    def path(self) -> str:
        """What gRPC calls it."""
        return f"/ersgallery.v1.{self.service}/{self.method}"


def _read(service: str, method: str, request: type[RequestT], response: type[ResponseT]) -> Rpc[RequestT, ResponseT]:
    return Rpc(service, method, request, response)


def _write(service: str, method: str, request: type[RequestT], response: type[ResponseT]) -> Rpc[RequestT, ResponseT]:
    return Rpc(service, method, request, response, writes=True, repeatable=False)


def _protected(
    service: str, method: str, request: type[RequestT], response: type[ResponseT]
) -> Rpc[RequestT, ResponseT]:
    """Describe a write whose requests carry a request_id."""
    return Rpc(service, method, request, response, writes=True)


_G, _E, _I, _R = "GalleryService", "EnrollmentService", "IdentificationService", "RecognizabilityService"

CREATE_GALLERY = _write(_G, "CreateGallery", gallery.CreateGalleryRequest, gallery.CreateGalleryResponse)
GET_GALLERY = _read(_G, "GetGallery", gallery.GetGalleryRequest, gallery.GetGalleryResponse)
LIST_GALLERIES = _read(_G, "ListGalleries", gallery.ListGalleriesRequest, gallery.ListGalleriesResponse)
UPDATE_GALLERY = _write(_G, "UpdateGallery", gallery.UpdateGalleryRequest, gallery.UpdateGalleryResponse)
DELETE_GALLERY = _write(_G, "DeleteGallery", gallery.DeleteGalleryRequest, gallery.DeleteGalleryResponse)

CREATE_SUBJECT = _write(_G, "CreateSubject", gallery.CreateSubjectRequest, gallery.CreateSubjectResponse)
GET_SUBJECT = _read(_G, "GetSubject", gallery.GetSubjectRequest, gallery.GetSubjectResponse)
LIST_SUBJECTS = _read(_G, "ListSubjects", gallery.ListSubjectsRequest, gallery.ListSubjectsResponse)
UPDATE_SUBJECT = _write(_G, "UpdateSubject", gallery.UpdateSubjectRequest, gallery.UpdateSubjectResponse)
DELETE_SUBJECT = _write(_G, "DeleteSubject", gallery.DeleteSubjectRequest, gallery.DeleteSubjectResponse)

GET_FACE = _read(_G, "GetFace", gallery.GetFaceRequest, gallery.GetFaceResponse)
GET_FACE_IMAGE = _read(_G, "GetFaceImage", gallery.GetFaceImageRequest, gallery.GetFaceImageResponse)
LIST_FACES = _read(_G, "ListFaces", gallery.ListFacesRequest, gallery.ListFacesResponse)
UPDATE_FACE = _write(_G, "UpdateFace", gallery.UpdateFaceRequest, gallery.UpdateFaceResponse)
DELETE_FACE = _write(_G, "DeleteFace", gallery.DeleteFaceRequest, gallery.DeleteFaceResponse)

ENROLL_FACES = _protected(_E, "EnrollFaces", enrollment.EnrollFacesRequest, enrollment.EnrollFacesResponse)
STREAM_ENROLL_FACES = _protected(
    _E, "StreamEnrollFaces", enrollment.StreamEnrollFacesRequest, enrollment.StreamEnrollFacesResponse
)

IDENTIFY = _read(_I, "Identify", identification.IdentifyRequest, identification.IdentifyResponse)
BATCH_IDENTIFY = _read(_I, "BatchIdentify", identification.BatchIdentifyRequest, identification.BatchIdentifyResponse)
STREAM_IDENTIFY = _read(
    _I, "StreamIdentify", identification.StreamIdentifyRequest, identification.StreamIdentifyResponse
)
VERIFY = _read(_I, "Verify", identification.VerifyRequest, identification.VerifyResponse)

CREATE_PROFILE = _write(
    _R, "CreateProfile", recognizability.CreateProfileRequest, recognizability.CreateProfileResponse
)
GET_PROFILE = _read(_R, "GetProfile", recognizability.GetProfileRequest, recognizability.GetProfileResponse)
LIST_PROFILES = _read(_R, "ListProfiles", recognizability.ListProfilesRequest, recognizability.ListProfilesResponse)
SCORE = _read(_R, "Score", recognizability.ScoreRequest, recognizability.ScoreResponse)

_C = "CalibrationService"

CALIBRATE_GAMMA = _write(_C, "CalibrateGamma", calibration.CalibrateGammaRequest, calibration.CalibrateGammaResponse)
CALIBRATE_TAU = _write(_C, "CalibrateTau", calibration.CalibrateTauRequest, calibration.CalibrateTauResponse)
CALIBRATE_PROFILE = _write(
    _C, "CalibrateProfile", calibration.CalibrateProfileRequest, calibration.CalibrateProfileResponse
)
PREVIEW_GAMMA_GALLERY = _read(
    _C, "PreviewGammaGallery", calibration.PreviewGammaGalleryRequest, calibration.PreviewGammaGalleryResponse
)
GET_OPERATION = _read(_C, "GetOperation", calibration.GetOperationRequest, calibration.GetOperationResponse)
LIST_OPERATIONS = _read(_C, "ListOperations", calibration.ListOperationsRequest, calibration.ListOperationsResponse)
WAIT_OPERATION = _read(_C, "WaitOperation", calibration.WaitOperationRequest, calibration.WaitOperationResponse)
CANCEL_OPERATION = _write(
    _C, "CancelOperation", calibration.CancelOperationRequest, calibration.CancelOperationResponse
)
DELETE_OPERATION = _write(
    _C, "DeleteOperation", calibration.DeleteOperationRequest, calibration.DeleteOperationResponse
)

_H = "HygieneService"

FIND_MAGNETS = _write(_H, "FindMagnets", hygiene.FindMagnetsRequest, hygiene.FindMagnetsResponse)
FIND_DUPLICATE_SUBJECTS = _write(
    _H, "FindDuplicateSubjects", hygiene.FindDuplicateSubjectsRequest, hygiene.FindDuplicateSubjectsResponse
)
FIND_LOW_ERS_SUBJECTS = _read(
    _H, "FindLowErsSubjects", hygiene.FindLowErsSubjectsRequest, hygiene.FindLowErsSubjectsResponse
)
