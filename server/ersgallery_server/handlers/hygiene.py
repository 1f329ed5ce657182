"""HygieneService."""

from collections.abc import Mapping, Sequence

import numpy as np
from ersgallery.v1 import hygiene_service_pb2 as pb
from ersgallery_index import Derivation, normalize, represent
from numpy.typing import NDArray

from ersgallery_server.call import Call
from ersgallery_server.errors import InvalidRequest, ModelMismatch
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.handlers import checks, names, paging
from ersgallery_server.handlers.calibration_messages import operation_message
from ersgallery_server.hygiene import DuplicateTask, MagnetProbes, MagnetTask
from ersgallery_server.hygiene.other_subjects import STRANGER
from ersgallery_server.operations import Kind, Operations
from ersgallery_server.store import LowErsSubject, LowErsSubjects, Store
from ersgallery_server.values import GalleryRecord, SubjectSearch

MAX_PROBES = 50_000
MAX_LABEL_CHARACTERS = 128
MAX_NEIGHBORS, DEFAULT_NEIGHBORS = 100, 10
MAX_MAGNETS, DEFAULT_MAGNETS = 1000, 50
MAX_PAIRS, DEFAULT_PAIRS = 1000, 200

WHICH: Mapping[int, LowErsSubjects] = {
    pb.LOW_ERS_SUBJECTS_UNSPECIFIED: LowErsSubjects.BOTH,
    pb.LOW_ERS_SUBJECTS_UNFINDABLE: LowErsSubjects.UNFINDABLE,
    pb.LOW_ERS_SUBJECTS_ONE_FACE: LowErsSubjects.ONE_FACE,
}


class HygieneHandlers:
    """Finds what spoils a gallery."""

    def __init__(self, store: Store, galleries: Galleries, operations: Operations) -> None:
        self._store = store
        self._galleries = galleries
        self._operations = operations

    def find_magnets(self, request: pb.FindMagnetsRequest, call: Call) -> pb.FindMagnetsResponse:
        """Begin to count which faces win probes of others."""
        gallery = self._galleries.get(names.parse_gallery("gallery", request.gallery))
        record = gallery.record
        gate = checks.optional_number(request, "gamma_gallery", 0, 1)
        threshold = checks.optional_number(request, "threshold", -1, 1)
        task = MagnetTask(
            gallery,
            record,
            record.settings.tau if threshold is None else threshold,
            record.settings.policy(record.profile.profile).gamma_gallery if gate is None else gate,
            self._probes(request, gallery, record, call),
            _count("neighbors", request.neighbors, MAX_NEIGHBORS) or DEFAULT_NEIGHBORS,
            _count("max_magnets", request.max_magnets, MAX_MAGNETS) or DEFAULT_MAGNETS,
        )
        begun = self._operations.start(Kind.FIND_MAGNETS, record.gallery_id, task.run)
        return pb.FindMagnetsResponse(operation=operation_message(begun))

    def find_duplicate_subjects(
        self, request: pb.FindDuplicateSubjectsRequest, call: Call
    ) -> pb.FindDuplicateSubjectsResponse:
        """Begin to compare all subjects with each other."""
        gallery = self._galleries.get(names.parse_gallery("gallery", request.gallery))
        record = gallery.record
        threshold = checks.optional_number(request, "threshold", -1, 1)
        task = DuplicateTask(
            gallery,
            record,
            record.settings.tau if threshold is None else threshold,
            _count("max_pairs", request.max_pairs, MAX_PAIRS) or DEFAULT_PAIRS,
        )
        begun = self._operations.start(Kind.FIND_DUPLICATE_SUBJECTS, record.gallery_id, task.run)
        return pb.FindDuplicateSubjectsResponse(operation=operation_message(begun))

    def find_low_ers_subjects(self, request: pb.FindLowErsSubjectsRequest, call: Call) -> pb.FindLowErsSubjectsResponse:
        """List the subjects that cannot be found, or by one face alone."""
        record = self._galleries.get(names.parse_gallery("gallery", request.gallery)).record
        gate = checks.optional_number(request, "gamma_gallery", 0, 1)
        if gate is None:
            gate = record.settings.policy(record.profile.profile).gamma_gallery
        checks.check_enum("which", request.which, WHICH)
        which = WHICH[request.which]
        listing = f"low-ers {record.gallery_id} {gate!r} {which.value}"
        found = self._store.low_ers_subjects(
            record.key,
            gate,
            which,
            paging.page_size(request.page_size),
            paging.page_key(listing, request.page_token),
            by_mean=record.settings.subject_search is SubjectSearch.TEMPLATE,
        )
        return pb.FindLowErsSubjectsResponse(
            subjects=[_subject(record.gallery_id, each) for each in found.page.items],
            next_page_token=paging.page_token(listing, found.page.next_key),
            unfindable_subjects=found.unfindable,
            one_face_subjects=found.one_face,
            gamma_gallery=gate,
        )

    def _probes(
        self, request: pb.FindMagnetsRequest, gallery: Gallery, record: GalleryRecord, call: Call
    ) -> MagnetProbes | None:
        if not request.HasField("probes"):
            if request.probe_subjects:
                raise InvalidRequest.field("probe_subjects", "needs probes: enrolled faces have subjects already")
            return None
        profile = record.profile.profile
        if request.probes.model and request.probes.model != profile.model:
            raise ModelMismatch(request.probes.model, profile.model)
        units = normalize(checks.matrix("probes", request.probes, MAX_PROBES), profile.dimension).vectors
        labels = _labels(request.probe_subjects, len(units))
        shown = represent(Derivation(profile, enhance=record.settings.enhance_features), units)
        owners, people = self._owners(gallery, labels, len(units), call)
        kept = shown.usable
        return MagnetProbes(shown.vectors[kept], shown.ers[kept], owners[kept], people[kept])

    def _owners(
        self, gallery: Gallery, labels: Sequence[str], count: int, call: Call
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the subject that each probe shows, or STRANGER, and one number for each person."""
        if not labels:
            strangers = np.full(count, STRANGER, np.int64)
            return strangers, STRANGER - np.arange(count)
        wanted = set(labels)
        keys = gallery.ask(lambda state: {name: key for key, name in state.subject_ids.items() if name in wanted}, call)
        owners = np.array([keys.get(label, STRANGER) for label in labels], np.int64)
        unknown = {label: STRANGER - 1 - number for number, label in enumerate(sorted(wanted - keys.keys()))}
        return owners, np.array([(keys | unknown)[label] for label in labels], np.int64)


def _labels(given: Sequence[str], rows: int) -> list[str]:
    if not given:
        return []
    if len(given) != rows:
        raise InvalidRequest.field("probe_subjects", f"has {len(given)} labels for {rows} probes")
    if not all(given):
        raise InvalidRequest.field("probe_subjects", "has an empty label")
    return [checks.check_text("probe_subjects", label, MAX_LABEL_CHARACTERS) for label in given]


def _count(field: str, value: int, limit: int) -> int:
    return int(checks.check_number(field, value, 0, limit))


def _subject(gallery_id: str, found: LowErsSubject) -> pb.LowErsSubject:
    return pb.LowErsSubject(
        subject=names.subject_name(gallery_id, found.subject_id),
        best_ers=found.best_ers,
        template_ers=found.mean_ers,
        faces=found.faces,
        recognizable_faces=found.recognizable_faces,
        findable=found.findable,
    )
