"""The one table of what each method needs: a scope, a grant on a gallery, and how many faces it carries."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from ersgallery_server.errors import InvalidRequest, OperationNotFound
from ersgallery_server.grants import Scope
from ersgallery_server.handlers.names import gallery_of, parse_operation
from ersgallery_server.operations import Operations

MOST_FACES = 4096
"""A batch that claims more is refused anyhow, and would leave its caller in debt for days."""


class Place(enum.Enum):
    """What a call is about, where it is not one gallery."""

    SERVER = "SERVER"
    """What all galleries share, to be changed only by a grant on all of them."""

    SHARED = "SHARED"
    """What every caller may know of, or a list that shows a caller only what the grant sees."""


Where = Callable[[Any, Operations], "str | Place"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a method needs.

    where: the id of the gallery that a request is about, or what else. faces: that count against the caller's rate.
    besides: further scopes that what a request holds needs.
    """

    scope: Scope
    where: Where
    faces: Callable[[Any], int] = lambda _request: 1
    besides: Callable[[Any], frozenset[Scope]] = lambda _request: frozenset()


def _named(path: str) -> Where:
    """Return what finds the gallery by the name in a field, of the gallery itself or of anything in it."""
    read = attrgetter(path)
    return lambda request, _operations: gallery_of(read(request))


def _shared(_request: Any, _operations: Operations) -> Place:
    return Place.SHARED


def _server(_request: Any, _operations: Operations) -> Place:
    return Place.SERVER


def _new_gallery(request: Any, _operations: Operations) -> str:
    return str(request.gallery_id)


def _operation(request: Any, operations: Operations) -> str | Place:
    """Return the gallery of an operation; one that is not there is nobody's, so that it cannot be told apart."""
    try:
        return operations.get(parse_operation("name", request.name)).gallery_id or Place.SERVER
    except (InvalidRequest, OperationNotFound):
        return Place.SERVER


def _scored(request: Any, operations: Operations) -> str | Place:
    return Place.SHARED if request.WhichOneof("under") == "profile" else _named("gallery")(request, operations)


def _members(message: Any) -> int:
    return max(1, len(message.template.members)) if message.WhichOneof("source") == "template" else 1


def _probes(batch: Any) -> int:
    if batch.WhichOneof("probes") == "matrix":
        return min(int(batch.matrix.rows), MOST_FACES)
    return sum(_members(probe) for probe in batch.list.probes)


def _enrollments(batch: Any) -> int:
    return sum(_members(each) for each in batch.enrollments)


def _verified(request: Any) -> int:
    two = request.WhichOneof("reference") == "reference_probe"
    return _members(request.probe) + (_members(request.reference_probe) if two else 0)


def _magnet_probes(request: Any) -> frozenset[Scope]:
    """Return what probes need: which face wins them says who is on them."""
    return frozenset({Scope.IDENTIFY} if request.HasField("probes") else ())


_READ, _IDENTIFY, _ENROLL, _ADMIN = (partial(Rule, scope) for scope in Scope)

RULES: Mapping[str, Rule] = {
    "ersgallery.v1.GalleryService.CreateGallery": _ADMIN(_new_gallery),
    "ersgallery.v1.GalleryService.GetGallery": _READ(_named("name")),
    "ersgallery.v1.GalleryService.ListGalleries": _READ(_shared),
    "ersgallery.v1.GalleryService.UpdateGallery": _ADMIN(_named("gallery.name")),
    "ersgallery.v1.GalleryService.DeleteGallery": _ADMIN(_named("name")),
    "ersgallery.v1.GalleryService.CreateSubject": _ENROLL(_named("parent")),
    "ersgallery.v1.GalleryService.GetSubject": _READ(_named("name")),
    "ersgallery.v1.GalleryService.ListSubjects": _READ(_named("parent")),
    "ersgallery.v1.GalleryService.UpdateSubject": _ENROLL(_named("subject.name")),
    "ersgallery.v1.GalleryService.DeleteSubject": _ENROLL(_named("name")),
    "ersgallery.v1.GalleryService.GetFace": _READ(_named("name")),
    "ersgallery.v1.GalleryService.GetFaceImage": _READ(_named("name")),
    "ersgallery.v1.GalleryService.ListFaces": _READ(_named("parent")),
    "ersgallery.v1.GalleryService.UpdateFace": _ENROLL(_named("face.name")),
    "ersgallery.v1.GalleryService.DeleteFace": _ENROLL(_named("name")),
    "ersgallery.v1.EnrollmentService.EnrollFaces": _ENROLL(_named("parent"), _enrollments),
    "ersgallery.v1.EnrollmentService.StreamEnrollFaces": _ENROLL(
        _named("batch.parent"), lambda request: _enrollments(request.batch)
    ),
    "ersgallery.v1.IdentificationService.Identify": _IDENTIFY(
        _named("gallery"), lambda request: _members(request.probe)
    ),
    "ersgallery.v1.IdentificationService.BatchIdentify": _IDENTIFY(_named("gallery"), _probes),
    "ersgallery.v1.IdentificationService.StreamIdentify": _IDENTIFY(
        _named("batch.gallery"), lambda request: _probes(request.batch)
    ),
    "ersgallery.v1.IdentificationService.Verify": _IDENTIFY(_named("gallery"), _verified),
    "ersgallery.v1.RecognizabilityService.CreateProfile": _ADMIN(_server),
    "ersgallery.v1.RecognizabilityService.GetProfile": _READ(_shared),
    "ersgallery.v1.RecognizabilityService.ListProfiles": _READ(_shared),
    "ersgallery.v1.RecognizabilityService.Score": _IDENTIFY(_scored, lambda request: len(request.faces)),
    "ersgallery.v1.CalibrationService.CalibrateGamma": _ADMIN(_named("gallery")),
    "ersgallery.v1.CalibrationService.CalibrateTau": _ADMIN(_named("gallery")),
    "ersgallery.v1.CalibrationService.CalibrateProfile": _ADMIN(_server),
    "ersgallery.v1.CalibrationService.PreviewGammaGallery": _READ(_named("gallery")),
    "ersgallery.v1.CalibrationService.GetOperation": _ADMIN(_operation),
    "ersgallery.v1.CalibrationService.ListOperations": _ADMIN(_shared),
    "ersgallery.v1.CalibrationService.WaitOperation": _ADMIN(_operation),
    "ersgallery.v1.CalibrationService.CancelOperation": _ADMIN(_operation),
    "ersgallery.v1.CalibrationService.DeleteOperation": _ADMIN(_operation),
    "ersgallery.v1.HygieneService.FindMagnets": _ADMIN(
        _named("gallery"), lambda request: min(int(request.probes.rows), MOST_FACES), _magnet_probes
    ),
    "ersgallery.v1.HygieneService.FindDuplicateSubjects": _ADMIN(_named("gallery")),
    "ersgallery.v1.HygieneService.FindLowErsSubjects": _READ(_named("gallery")),
}
"""By the methods' full names; a method without a row is not served."""
