"""CalibrationService, what begins an operation, and the preview of a gate."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from ersgallery.v1 import calibration_service_pb2 as pb
from ersgallery.v1 import face_input_pb2 as face_pb
from ersgallery_index import normalize
from ersgallery_index.calibration import CLEAN, UNKNOWN, FaceSet
from ersgallery_index.calibration.gamma import FARS, SetPlan
from ersgallery_index.errors import CalibrationFailed
from numpy.typing import NDArray

from ersgallery_server.calibrations import MAX_FACES, GammaTask, LabelledFaces, ProfileTask, TauTask
from ersgallery_server.call import Call
from ersgallery_server.errors import BatchTooLarge, InvalidRequest, ModelMismatch
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.handlers import checks, names, paging
from ersgallery_server.handlers.calibration_messages import operation_message
from ersgallery_server.operations import Kind, Operation, Operations, Work
from ersgallery_server.store import Store
from ersgallery_server.values import GalleryRecord, SubjectSearch

MAX_FARS = 16
MAX_GAMMAS = 64
MAX_SUBJECT_CHARACTERS = 128
MAX_MODEL_CHARACTERS = 64
MAX_GALLERY_SIZE = 1_000_000_000
MAX_DIMENSION = 4096
MAX_KINDS = 64
MAX_SET_FACES = 1000
CLEAN_WORDS = frozenset(("", "CLEAN"))
UNKNOWN_WORD = "UNKNOWN"


class CalibrationHandlers:
    """Begins calibrations, and previews a gate."""

    def __init__(self, store: Store, galleries: Galleries, operations: Operations) -> None:
        self._store = store
        self._galleries = galleries
        self._operations = operations

    def calibrate_gamma(self, request: pb.CalibrateGammaRequest, call: Call) -> pb.CalibrateGammaResponse:
        """Begin to measure the trade between gamma and FRR."""
        gallery = self._galleries.get(names.parse_gallery("gallery", request.gallery))
        record = gallery.record
        fars = _rates("fars", request.fars, MAX_FARS)
        gammas = tuple(
            checks.check_number("gammas", gamma, 0, 1) for gamma in _at_most("gammas", request.gammas, MAX_GAMMAS)
        )
        pick_far = request.pick_far if request.HasField("pick_far") else None
        if pick_far is not None and pick_far not in (fars or FARS):
            raise InvalidRequest.field("pick_far", f"is not one of fars: {', '.join(map(str, fars or FARS))}")
        faces = None
        if request.HasField("faces"):
            rows = _unit_rows("faces.embeddings", request.faces.embeddings, record)
            faces = LabelledFaces(rows, _people("faces.subjects", request.faces.subjects, len(rows)))
        sets = _sets(request, record)
        task = GammaTask(gallery, record, faces, fars, gammas, pick_far, request.apply, sets)
        begun = self._begin(Kind.CALIBRATE_GAMMA, record.gallery_id, partial(task.run, self._store, self._galleries))
        return pb.CalibrateGammaResponse(operation=operation_message(begun))

    def calibrate_tau(self, request: pb.CalibrateTauRequest, call: Call) -> pb.CalibrateTauResponse:
        """Begin to choose tau for a wanted FPIR."""
        gallery = self._galleries.get(names.parse_gallery("gallery", request.gallery))
        record = gallery.record
        (target,) = _rates("target_fpir", [request.target_fpir], 1)
        size = int(checks.check_number("gallery_size", request.gallery_size, 0, MAX_GALLERY_SIZE))
        probes = None
        if request.HasField("non_mated_probes"):
            probes = _unit_rows("non_mated_probes", request.non_mated_probes, record)
        task = TauTask(gallery, record, target, size, probes, request.apply)
        begun = self._begin(Kind.CALIBRATE_TAU, record.gallery_id, partial(task.run, self._store, self._galleries))
        return pb.CalibrateTauResponse(operation=operation_message(begun))

    def calibrate_profile(self, request: pb.CalibrateProfileRequest, call: Call) -> pb.CalibrateProfileResponse:
        """Begin to build a profile."""
        model = checks.check_text("model", request.model, MAX_MODEL_CHARACTERS)
        if not model:
            raise InvalidRequest.field("model", "is required")
        raw = _raw_rows("faces.embeddings", request.faces.embeddings)
        people = _people("faces.subjects", request.faces.subjects, len(raw))
        faces = _face_set(raw, people, request.kinds)
        ui_set = None
        if request.HasField("ui_set"):
            ui_rows = _raw_rows("ui_set", request.ui_set)
            if ui_rows.shape[1] != faces.dimension:
                raise InvalidRequest.field(
                    "ui_set.dimension", f"is {ui_rows.shape[1]}, that of the faces is {faces.dimension}"
                )
            ui_set = FaceSet.of_raw(ui_rows, kind_names=faces.kind_names)
        task = ProfileTask(
            model,
            faces,
            ui_set,
            request.centre if request.HasField("centre") else None,
            request.seed,
        )
        return pb.CalibrateProfileResponse(
            operation=operation_message(self._begin(Kind.CALIBRATE_PROFILE, "", task.run))
        )

    def preview_gamma_gallery(
        self, request: pb.PreviewGammaGalleryRequest, call: Call
    ) -> pb.PreviewGammaGalleryResponse:
        """Tell what another gallery gate would do."""
        record = self._galleries.get(names.parse_gallery("gallery", request.gallery)).record
        proposed = checks.check_number("gamma_gallery", request.gamma_gallery, 0, 1)
        present = record.settings.policy(record.profile.profile).gamma_gallery
        listing = f"lost {record.gallery_id} {proposed!r}"
        preview = self._store.preview_gate(
            record.key,
            present,
            proposed,
            paging.page_size(request.page_size),
            paging.page_key(listing, request.page_token),
            by_mean=record.settings.subject_search is SubjectSearch.TEMPLATE,
        )
        return pb.PreviewGammaGalleryResponse(
            present_gamma_gallery=present,
            excluded_faces=preview.excluded,
            admitted_faces=preview.admitted,
            searchable_faces=preview.searchable,
            faces=preview.faces,
            lost_subjects=preview.lost,
            gained_subjects=preview.gained,
            lost=[
                pb.LostSubject(
                    subject=names.subject_name(record.gallery_id, each.subject_id),
                    best_ers=each.best_ers,
                    faces=each.faces,
                )
                for each in preview.page.items
            ],
            next_page_token=paging.page_token(listing, preview.page.next_key),
        )

    def _begin(self, kind: Kind, gallery_id: str, work: Work) -> Operation:
        return self._operations.start(kind, gallery_id, work)


def _sets(request: pb.CalibrateGammaRequest, record: GalleryRecord) -> SetPlan | None:
    """Return the templates to be measured in place of single faces; None for single faces."""
    most = int(checks.check_number("set_faces", request.set_faces, 0, MAX_SET_FACES))
    weighting = checks.weighting("set_weighting", request.set_weighting)
    if not most:
        if request.set_weighting:
            raise InvalidRequest.field("set_weighting", "needs set_faces: single faces have no weights")
        return None
    if request.apply and record.settings.subject_search is not SubjectSearch.TEMPLATE:
        raise InvalidRequest.field("apply", "a gamma of templates is for galleries with subject_search TEMPLATE alone")
    return SetPlan(most, weighting if request.set_weighting else record.settings.template_weighting)


def _rates(field: str, rates: Sequence[float], limit: int) -> tuple[float, ...]:
    for rate in _at_most(field, rates, limit):
        if not 0.0 < rate < 1.0:
            raise InvalidRequest.field(field, "must lie between 0 and 1, both excluded")
    return tuple(rates)


def _at_most(field: str, values: Sequence[float], limit: int) -> Sequence[float]:
    if len(values) > limit:
        raise BatchTooLarge(field, len(values), limit)
    return values


def _raw_rows(field: str, message: face_pb.EmbeddingMatrix) -> NDArray[np.float32]:
    """Return raw embeddings that can be normalised; raises InvalidEmbedding for others."""
    rows = checks.matrix(field, message, MAX_FACES)
    if rows.shape[1] > MAX_DIMENSION:
        raise InvalidRequest.field(f"{field}.dimension", f"is {rows.shape[1]}; the limit is {MAX_DIMENSION}")
    normalize(rows, rows.shape[1])
    return rows


def _unit_rows(field: str, message: face_pb.EmbeddingMatrix, record: GalleryRecord) -> NDArray[np.float32]:
    profile = record.profile.profile
    if message.model and message.model != profile.model:
        raise ModelMismatch(message.model, profile.model)
    return normalize(checks.matrix(field, message, MAX_FACES), profile.dimension).vectors


def _people(field: str, labels: Sequence[str], rows: int) -> NDArray[np.int64]:
    """Return a number for each label, the same for the same person."""
    if len(labels) != rows:
        raise InvalidRequest.field(field, f"has {len(labels)} labels for {rows} embeddings")
    numbers: dict[str, int] = {}
    for label in labels:
        if not label:
            raise InvalidRequest.field(field, "has an empty label")
        numbers.setdefault(checks.check_text(field, label, MAX_SUBJECT_CHARACTERS), len(numbers))
    return np.array([numbers[label] for label in labels], np.int64)


def _face_set(raw: NDArray[np.float32], people: NDArray[np.int64], kinds: Sequence[str]) -> FaceSet:
    if len(kinds) != len(raw):
        raise InvalidRequest.field("kinds", f"has {len(kinds)} words for {len(raw)} embeddings")
    kind_names = tuple(sorted(set(kinds) - CLEAN_WORDS - {UNKNOWN_WORD}))
    if len(kind_names) > MAX_KINDS:
        raise BatchTooLarge("kinds", len(kind_names), MAX_KINDS)
    number = {UNKNOWN_WORD: UNKNOWN, **dict.fromkeys(CLEAN_WORDS, CLEAN)}
    number |= {name: place for place, name in enumerate(kind_names)}
    column = np.array([number[kind] for kind in kinds], np.int16)
    try:
        return FaceSet.of_raw(raw, people, column, np.where(column == CLEAN, 0.0, np.nan), kind_names)
    except CalibrationFailed as failure:
        raise InvalidRequest.field("faces", failure.message) from failure
