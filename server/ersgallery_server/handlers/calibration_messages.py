"""Translates operations and what calibrations found into messages."""

from ersgallery.v1 import calibration_service_pb2 as pb
from ersgallery.v1 import face_input_pb2 as face_pb
from ersgallery.v1 import recognizability_service_pb2 as recognizability_pb
from ersgallery_index.calibration import BuiltProfile
from ersgallery_index.calibration.estimates import Estimate
from ersgallery_index.calibration.gamma import TradeCell, TradeRow

from ersgallery_server.calibrations import Application, GammaResult, TauResult
from ersgallery_server.handlers.hygiene_messages import duplicate_report, magnet_report
from ersgallery_server.handlers.names import gallery_name
from ersgallery_server.handlers.resources import timestamp
from ersgallery_server.hygiene import DuplicateFindings, MagnetFindings
from ersgallery_server.operations import Operation
from ersgallery_server.status import to_status


def operation_message(operation: Operation, *, with_result: bool = True) -> pb.Operation:
    """Return the message of an operation, with what it found or why it failed."""
    message = pb.Operation(
        name=f"operations/{operation.operation_id}",
        kind=pb.OperationKind.Value(f"OPERATION_KIND_{operation.kind.value}"),
        gallery=gallery_name(operation.gallery_id) if operation.gallery_id else "",
        state=pb.OperationState.Value(f"OPERATION_STATE_{operation.state.value}"),
        done_units=operation.done_units,
        total_units=operation.total_units,
        create_time=timestamp(operation.create_time),
        start_time=None if operation.start_time is None else timestamp(operation.start_time),
        end_time=None if operation.end_time is None else timestamp(operation.end_time),
    )
    if operation.error is not None:
        message.error.CopyFrom(to_status(operation.error))
    if not with_result:
        return message
    match operation.result:
        case GammaResult() as found:
            message.gamma.CopyFrom(_gamma(found))
        case TauResult() as found:
            message.tau.CopyFrom(_tau(found))
        case BuiltProfile() as found:
            message.profile.CopyFrom(_profile(found))
        case MagnetFindings() as found:
            message.magnets.CopyFrom(magnet_report(found))
        case DuplicateFindings() as found:
            message.duplicates.CopyFrom(duplicate_report(found))
    return message


def _gamma(found: GammaResult) -> pb.GammaCalibration:
    trade, pick = found.trade, found.trade.pick
    return pb.GammaCalibration(
        gamma=pick.gamma,
        far=pick.far,
        frr=_estimate(pick.frr),
        gain=_estimate(pick.gain),
        supported=pick.supported,
        rule=pick.rule,
        rows=[_row(row) for row in trade.rows],
        faces=trade.faces,
        identities=trade.identities,
        genuine_pairs=trade.genuine,
        impostor_pairs=trade.impostor,
        largest_share=trade.largest_share,
        application=_application(found.application),
        set_faces=0 if trade.sets is None else trade.sets.most_faces,
        set_weighting=face_pb.Weighting.Value(
            f"WEIGHTING_{trade.sets.weighting.name if trade.sets else 'UNSPECIFIED'}"
        ),
    )


def _row(row: TradeRow) -> pb.GammaTradeRow:
    return pb.GammaTradeRow(
        gamma=row.gamma,
        faces_unsure=row.faces_unsure,
        genuine_unsure=row.genuine_unsure,
        impostor_unsure=row.impostor_unsure,
        cells=[_cell(cell) for cell in row.cells],
    )


def _cell(cell: TradeCell) -> pb.GammaTradeCell:
    return pb.GammaTradeCell(far=cell.far, tau=cell.tau, frr=_estimate(cell.frr), supported=cell.supported)


def _tau(found: TauResult) -> pb.TauCalibration:
    choice = found.choice
    return pb.TauCalibration(
        tau=_estimate(choice.tau),
        target_fpir=choice.target_fpir,
        gallery_size=choice.gallery_size,
        fpir=_estimate(choice.fpir),
        calibration_subjects=choice.calibration_subjects,
        extrapolation=choice.extrapolation,
        probes=choice.probes,
        unsure=choice.unsure,
        supported=choice.supported,
        warnings=[pb.CalibrationWarning(code=each.code, message=each.message) for each in choice.warnings],
        method=choice.method,
        application=_application(found.application),
    )


def _profile(built: BuiltProfile) -> pb.ProfileCalibration:
    profile = built.profile
    mean = None if profile.mean is None else face_pb.Embedding(packed=profile.mean.astype("<f4").tobytes())
    draft = recognizability_pb.Profile(
        model=profile.model,
        dimension=profile.dimension,
        mean=mean,
        centroids=face_pb.EmbeddingMatrix(
            packed=profile.centroids.astype("<f4").tobytes(), rows=len(profile.centroids), dimension=profile.dimension
        ),
        gamma=profile.gamma,
    )
    return pb.ProfileCalibration(
        profile=draft,
        checks=[
            pb.CalibrationCheck(
                name=check.name, passed=check.passed, value=check.value, limit=check.limit, text=check.text
            )
            for check in built.checks
        ],
        decisions=[choice.reason for choice in built.choices],
        figures={name: float(value) for name, value in built.figures.items() if isinstance(value, int | float)},
    )


def _application(application: Application | None) -> pb.Application | None:
    if application is None:
        return None
    if application.error is not None:
        return pb.Application(error=to_status(application.error))
    return pb.Application(applied=True, etag=str(application.version))


def _estimate(estimate: Estimate) -> pb.Estimate:
    return pb.Estimate(value=estimate.value, low=estimate.low, high=estimate.high)
