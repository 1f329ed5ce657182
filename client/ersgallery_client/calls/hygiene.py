"""Calls that find what spoils a gallery."""

from collections.abc import Sequence

from ersgallery.v1 import hygiene_service_pb2 as pb
from numpy.typing import ArrayLike

from ersgallery_client import rpcs
from ersgallery_client.call import Call, call
from ersgallery_client.surface import Calls, Unary
from ersgallery_client.values.calibration import Operation
from ersgallery_client.values.hygiene import LowErsReport, LowErsSubjects
from ersgallery_client.wire.calibration import read_operation
from ersgallery_client.wire.enums import LOW_ERS_SUBJECTS
from ersgallery_client.wire.hygiene import read_low_ers
from ersgallery_client.wire.inputs import write_matrix
from ersgallery_client.wire.names import gallery_name


class HygieneCalls(Calls):
    """Hygiene: magnets, duplicate subjects, subjects that cannot be found. Nothing is changed."""

    @Unary
    def find_magnets(
        self,
        gallery: str,
        *,
        probes: ArrayLike | None = None,
        probe_subjects: Sequence[str] = (),
        threshold: float | None = None,
        gamma_gallery: float | None = None,
        neighbors: int = 0,
        max_magnets: int = 0,
    ) -> Call[Operation]:
        """Begin to find faces that win probes of people they do not show; wait_operation gives a MagnetReport.

        probes: (n, d); None: every enrolled face. probe_subjects: whom each shows, a subject's id, whose own faces are
        left out, or another text; none: strangers, each by itself. threshold: similarity of a win, None for tau.
        gamma_gallery: to search under, None for the gallery's; 0 shows what the gate keeps out. neighbors: 1 to 100
        (0: 10). max_magnets: 1 to 1,000 (0: 50). Raises GalleryNotFound, InvalidRequest, InvalidEmbedding,
        OperationsFull.
        """
        request = pb.FindMagnetsRequest(
            gallery=gallery_name(gallery),
            probes=None if probes is None else write_matrix(probes),
            probe_subjects=probe_subjects,
            threshold=threshold,
            gamma_gallery=gamma_gallery,
            neighbors=neighbors,
            max_magnets=max_magnets,
        )
        return call(rpcs.FIND_MAGNETS, request, lambda answer: read_operation(answer.operation))

    @Unary
    def find_duplicate_subjects(
        self, gallery: str, *, threshold: float | None = None, max_pairs: int = 0
    ) -> Call[Operation]:
        """Begin to find subjects that look like one person; wait_operation gives a DuplicateReport.

        threshold: similarity of a pair, None for tau. max_pairs: 1 to 1,000 (0: 200). Raises GalleryNotFound,
        InvalidRequest, OperationsFull.
        """
        request = pb.FindDuplicateSubjectsRequest(
            gallery=gallery_name(gallery), threshold=threshold, max_pairs=max_pairs
        )
        return call(rpcs.FIND_DUPLICATE_SUBJECTS, request, lambda answer: read_operation(answer.operation))

    @Unary
    def find_low_ers_subjects(
        self,
        gallery: str,
        *,
        gamma_gallery: float | None = None,
        which: LowErsSubjects = LowErsSubjects.UNSPECIFIED,
        page_size: int = 0,
        page_token: str = "",
    ) -> Call[LowErsReport]:
        """List a page of the subjects that no probe can find, or by one face alone.

        gamma_gallery: the gate to count by, None for the gallery's. page_size: 1 to 1,000 (0: 50). Raises
        GalleryNotFound, InvalidRequest.
        """
        request = pb.FindLowErsSubjectsRequest(
            gallery=gallery_name(gallery),
            gamma_gallery=gamma_gallery,
            which=LOW_ERS_SUBJECTS.write(which),
            page_size=page_size,
            page_token=page_token,
        )
        return call(rpcs.FIND_LOW_ERS_SUBJECTS, request, read_low_ers)
