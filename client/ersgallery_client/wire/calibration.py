"""Operations and the results of calibrations, read from messages."""

from ersgallery.v1 import calibration_service_pb2 as pb

from ersgallery_client.statuses import error_from_status
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
    OperationResult,
    ProfileCalibration,
    TauCalibration,
)
from ersgallery_client.wire.enums import OPERATION_KIND, OPERATION_STATE, WEIGHTING
from ersgallery_client.wire.hygiene import read_duplicates, read_magnets
from ersgallery_client.wire.inputs import unpack, unpack_matrix
from ersgallery_client.wire.names import last_part
from ersgallery_client.wire.times import read_time


def read_operation(message: pb.Operation) -> Operation:
    """Return an operation with its result or error."""
    return Operation(
        id=last_part(message.name),
        kind=OPERATION_KIND.read(message.kind),
        gallery_id=last_part(message.gallery),
        state=OPERATION_STATE.read(message.state),
        done_units=message.done_units,
        total_units=message.total_units,
        create_time=read_time(message.create_time),
        start_time=read_time(message.start_time) if message.HasField("start_time") else None,
        end_time=read_time(message.end_time) if message.HasField("end_time") else None,
        result=_read_result(message),
        error=error_from_status(message.error) if message.HasField("error") else None,
    )


def read_preview(message: pb.PreviewGammaGalleryResponse) -> GatePreview:
    """Return a preview of a gate."""
    return GatePreview(
        present_gamma_gallery=message.present_gamma_gallery,
        excluded_faces=message.excluded_faces,
        admitted_faces=message.admitted_faces,
        searchable_faces=message.searchable_faces,
        faces=message.faces,
        lost_subjects=message.lost_subjects,
        gained_subjects=message.gained_subjects,
        lost=tuple(LostSubject(last_part(each.subject), each.best_ers, each.faces) for each in message.lost),
        next_page_token=message.next_page_token,
    )


def _read_result(message: pb.Operation) -> OperationResult | None:
    match message.WhichOneof("result"):
        case "gamma":
            return _read_gamma(message.gamma)
        case "tau":
            return _read_tau(message.tau)
        case "profile":
            return _read_profile(message.profile)
        case "magnets":
            return read_magnets(message.magnets)
        case "duplicates":
            return read_duplicates(message.duplicates)
    return None


def _read_gamma(message: pb.GammaCalibration) -> GammaCalibration:
    return GammaCalibration(
        gamma=message.gamma,
        far=message.far,
        frr=_estimate(message.frr),
        gain=_estimate(message.gain),
        supported=message.supported,
        rule=message.rule,
        rows=tuple(map(_read_row, message.rows)),
        faces=message.faces,
        identities=message.identities,
        genuine_pairs=message.genuine_pairs,
        impostor_pairs=message.impostor_pairs,
        largest_share=message.largest_share,
        application=_application(message.application) if message.HasField("application") else None,
        set_faces=message.set_faces,
        set_weighting=WEIGHTING.read(message.set_weighting),
    )


def _read_row(message: pb.GammaTradeRow) -> GammaRow:
    return GammaRow(
        gamma=message.gamma,
        faces_unsure=message.faces_unsure,
        genuine_unsure=message.genuine_unsure,
        impostor_unsure=message.impostor_unsure,
        cells=tuple(GammaCell(cell.far, cell.tau, _estimate(cell.frr), cell.supported) for cell in message.cells),
    )


def _read_tau(message: pb.TauCalibration) -> TauCalibration:
    return TauCalibration(
        tau=_estimate(message.tau),
        target_fpir=message.target_fpir,
        gallery_size=message.gallery_size,
        fpir=_estimate(message.fpir),
        calibration_subjects=message.calibration_subjects,
        extrapolation=message.extrapolation,
        probes=message.probes,
        unsure=message.unsure,
        supported=message.supported,
        warnings=tuple(CalibrationWarning(each.code, each.message) for each in message.warnings),
        method=message.method,
        application=_application(message.application) if message.HasField("application") else None,
    )


def _read_profile(message: pb.ProfileCalibration) -> ProfileCalibration:
    profile = message.profile
    return ProfileCalibration(
        model=profile.model,
        dimension=profile.dimension,
        mean=unpack(profile.mean) if profile.HasField("mean") else None,
        centroids=unpack_matrix(profile.centroids),
        gamma=profile.gamma,
        checks=tuple(map(_read_check, message.checks)),
        decisions=tuple(message.decisions),
        figures=dict(message.figures),
    )


def _read_check(message: pb.CalibrationCheck) -> CalibrationCheck:
    return CalibrationCheck(
        name=message.name,
        passed=message.passed if message.HasField("passed") else None,
        value=message.value if message.HasField("value") else None,
        limit=message.limit if message.HasField("limit") else None,
        text=message.text,
    )


def _application(message: pb.Application) -> Application:
    error = error_from_status(message.error) if message.HasField("error") else None
    return Application(message.applied, message.etag, error)


def _estimate(message: pb.Estimate) -> Estimate:
    return Estimate(message.value, message.low, message.high)
