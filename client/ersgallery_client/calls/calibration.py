"""Calls about calibrations, which go on in the server after the call, and about the preview of a gate."""

from collections.abc import Sequence

from ersgallery.v1 import calibration_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from numpy.typing import ArrayLike

from ersgallery_client import rpcs
from ersgallery_client.call import Call, call
from ersgallery_client.surface import Calls, Unary
from ersgallery_client.values.calibration import GatePreview, Operation
from ersgallery_client.values.policies import Weighting
from ersgallery_client.wire.calibration import read_operation, read_preview
from ersgallery_client.wire.enums import WEIGHTING
from ersgallery_client.wire.inputs import write_matrix
from ersgallery_client.wire.names import gallery_name, operation_name


class CalibrationCalls(Calls):
    """Calibrations: gamma, tau, profile. Operations: get, list, cancel, delete. Gates: preview."""

    @Unary
    def calibrate_gamma(
        self,
        gallery: str,
        *,
        faces: ArrayLike | None = None,
        subjects: Sequence[str] = (),
        fars: Sequence[float] = (),
        gammas: Sequence[float] = (),
        pick_far: float | None = None,
        apply: bool = False,
        set_faces: int = 0,
        set_weighting: Weighting = Weighting.UNSPECIFIED,
    ) -> Call[Operation]:
        """Begin to measure FRR at several FARs under several gammas; wait_operation gives the result.

        faces: (n, d) with n subjects, who each shows; None: the gallery's own. fars, gammas: none for the server's
        choice. apply: set the gallery's gamma to the pick, where it is supported and nothing has changed meanwhile.
        set_faces: measure on templates of at most so many faces of one person, for a gamma that gates a template's ERS;
        set_weighting: of their faces, UNSPECIFIED for the gallery's. Raises GalleryNotFound, InvalidRequest,
        InvalidEmbedding, OperationsFull.
        """
        request = pb.CalibrateGammaRequest(
            gallery=gallery_name(gallery),
            faces=None if faces is None else _labelled(faces, subjects),
            fars=fars,
            gammas=gammas,
            pick_far=pick_far,
            apply=apply,
            set_faces=set_faces,
            set_weighting=WEIGHTING.write(set_weighting),
        )
        return call(rpcs.CALIBRATE_GAMMA, request, lambda answer: read_operation(answer.operation))

    @Unary
    def calibrate_tau(
        self,
        gallery: str,
        *,
        target_fpir: float,
        gallery_size: int = 0,
        non_mated_probes: ArrayLike | None = None,
        apply: bool = False,
    ) -> Call[Operation]:
        """Begin to choose tau for a wanted FPIR; wait_operation gives the result.

        gallery_size: intended number of subjects, 0 for the present one. non_mated_probes: (n, d) of people who are not
        enrolled; None: every subject's faces among all others. apply: as in calibrate_gamma. Raises as calibrate_gamma.
        """
        request = pb.CalibrateTauRequest(
            gallery=gallery_name(gallery),
            target_fpir=target_fpir,
            gallery_size=gallery_size,
            non_mated_probes=None if non_mated_probes is None else write_matrix(non_mated_probes),
            apply=apply,
        )
        return call(rpcs.CALIBRATE_TAU, request, lambda answer: read_operation(answer.operation))

    @Unary
    def calibrate_profile(
        self,
        model: str,
        faces: ArrayLike,
        *,
        subjects: Sequence[str],
        kinds: Sequence[str],
        ui_set: ArrayLike | None = None,
        centre: bool | None = None,
        seed: int = 0,
    ) -> Call[Operation]:
        """Begin to build a profile; wait_operation gives the result, create_profile stores it.

        faces: (n, d). subjects: who each shows. kinds: what was done to each, such as "BLUR"; "CLEAN" for nothing,
        "UNKNOWN" where nobody knows. ui_set: (m, d) unrecognizable faces; with them nothing is clustered. centre: None
        for by measurement. Raises InvalidRequest, InvalidEmbedding, OperationsFull.
        """
        request = pb.CalibrateProfileRequest(
            model=model,
            faces=_labelled(faces, subjects),
            kinds=kinds,
            ui_set=None if ui_set is None else write_matrix(ui_set),
            centre=centre,
            seed=seed,
        )
        return call(rpcs.CALIBRATE_PROFILE, request, lambda answer: read_operation(answer.operation))

    @Unary
    def preview_gamma_gallery(
        self, gallery: str, gamma_gallery: float, *, page_size: int = 0, page_token: str = ""
    ) -> Call[GatePreview]:
        """Tell which faces another gamma_gallery would exclude or admit, and which subjects would be lost.

        page_size: of the lost subjects (1 to 1,000; 0: 50). Raises GalleryNotFound, InvalidRequest.
        """
        request = pb.PreviewGammaGalleryRequest(
            gallery=gallery_name(gallery), gamma_gallery=gamma_gallery, page_size=page_size, page_token=page_token
        )
        return call(rpcs.PREVIEW_GAMMA_GALLERY, request, read_preview)

    @Unary
    def get_operation(self, operation: str) -> Call[Operation]:
        """Return an operation as it now is. Raises OperationNotFound."""
        request = pb.GetOperationRequest(name=operation_name(operation))
        return call(rpcs.GET_OPERATION, request, lambda answer: read_operation(answer.operation))

    @Unary
    def list_operations(self) -> Call[tuple[Operation, ...]]:
        """Return all operations that the server keeps, oldest first, without their results."""
        return call(
            rpcs.LIST_OPERATIONS,
            pb.ListOperationsRequest(),
            lambda answer: tuple(map(read_operation, answer.operations)),
        )

    @Unary
    def cancel_operation(self, operation: str) -> Call[Operation]:
        """Ask an operation to end, and return it; it may go on for a moment. Raises OperationNotFound."""
        request = pb.CancelOperationRequest(name=operation_name(operation))
        return call(rpcs.CANCEL_OPERATION, request, lambda answer: read_operation(answer.operation))

    @Unary
    def delete_operation(self, operation: str) -> Call[None]:
        """Forget an operation; one that has not ended is cancelled. Raises OperationNotFound."""
        request = pb.DeleteOperationRequest(name=operation_name(operation))
        return call(rpcs.DELETE_OPERATION, request, lambda _: None)


def waiting(operation: str, wait_s: float) -> Call[Operation]:
    """Describe one wait for an operation, at most wait_s long (the server waits 10 s at most)."""
    seconds = int(wait_s)
    timeout = Duration(seconds=seconds, nanos=int((wait_s - seconds) * 1e9))
    request = pb.WaitOperationRequest(name=operation_name(operation), timeout=timeout)
    return call(rpcs.WAIT_OPERATION, request, lambda answer: read_operation(answer.operation))


def _labelled(faces: ArrayLike, subjects: Sequence[str]) -> pb.LabelledEmbeddings:
    return pb.LabelledEmbeddings(embeddings=write_matrix(faces), subjects=subjects)
