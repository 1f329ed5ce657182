"""IdentificationService."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_index import InvalidEmbedding
from numpy.typing import NDArray

from ersgallery_server.call import Call
from ersgallery_server.errors import InvalidRequest, ModelMismatch
from ersgallery_server.gallery.acquisition import Acquired, score_each
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.inputs import AcquiredEmbedding, EmbeddingInput
from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.probes import PreparedProbe, arrange, prepare
from ersgallery_server.gallery.search import Applied, RawProbes, SearchAnswer, applied_to
from ersgallery_server.handlers import answers, checks, names
from ersgallery_server.handlers.columns import identification_columns
from ersgallery_server.handlers.streams import Begun, answer_ahead
from ersgallery_server.status import to_status

MAX_MATRIX_ROWS = 4096
MAX_LIST_PROBES = 256


class IdentificationHandlers:
    """Identifies probes."""

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    def identify(self, request: pb.IdentifyRequest, call: Call) -> pb.IdentifyResponse:
        """Identify one probe."""
        gallery = self._galleries.get(names.parse_gallery("gallery", request.gallery))
        overrides = checks.overrides(request.policy)
        several = checks.several_faces("policy.several_faces", request.policy.several_faces)
        probe = checks.probe("probe", request.probe)
        if isinstance(probe, EmbeddingInput):
            return _identify_embedding(gallery, probe, overrides, call)
        (prepared,) = prepare(gallery, [probe], several, call)
        if prepared.error:
            raise prepared.error
        found, rows, applied = _search(gallery, [prepared], overrides, call)
        return pb.IdentifyResponse(
            identification=_identification(gallery, prepared, found, rows[0], applied),
            applied=answers.applied(applied),
        )

    def batch_identify(self, request: pb.BatchIdentifyRequest, call: Call) -> pb.BatchIdentifyResponse:
        """Identify many probes as one search."""
        return self._begin(request, call).finish()

    def stream_identify(
        self, requests: Iterable[pb.StreamIdentifyRequest], call: Call
    ) -> Iterator[pb.StreamIdentifyResponse]:
        """Identify batch after batch; a batch that is refused does not end the stream."""
        return answer_ahead(requests, lambda batch: self._begin(batch, call), pb.StreamIdentifyResponse)

    def _begin(self, request: pb.BatchIdentifyRequest, call: Call) -> Begun[pb.BatchIdentifyResponse]:
        """Begin the search of a matrix; probes of other kinds are acquired and searched in their turn."""
        gallery = self._galleries.get(names.parse_gallery("gallery", request.gallery))
        overrides = checks.overrides(request.policy)
        match request.WhichOneof("probes"):
            case "matrix":
                return _begin_matrix(gallery, request, overrides, call)
            case "list":
                return Begun(lambda: _identify_list(gallery, request, overrides, call))
            case _:
                raise InvalidRequest.field("probes", "must be a matrix or a list")


def _identify_embedding(
    gallery: Gallery, probe: EmbeddingInput, overrides: PolicyOverrides, call: Call
) -> pb.IdentifyResponse:
    """Identify an embedding; all that needs numbers is done for a whole batch, by the owner."""
    raw = _of_gallery(gallery, probe.vector[np.newaxis], probe.model)
    answer = gallery.search(RawProbes(raw), overrides, call)
    if answer.errors:
        raise InvalidEmbedding(answer.errors[0].problem)
    return pb.IdentifyResponse(
        identification=answers.identification(gallery.record.gallery_id, answer, 0, answer.norms[answer.start]),
        applied=answers.applied(answer.applied),
    )


def _search(
    gallery: Gallery, prepared: Sequence[PreparedProbe], overrides: PolicyOverrides, call: Call
) -> tuple[SearchAnswer | None, list[int | None], Applied]:
    """Search what can be searched; where nothing can, only say what would have been applied."""
    state = gallery.state
    for probe in prepared:
        if probe.reasons:
            gallery.figures.unsearched(probe.reasons[0])
    probes, rows = arrange(prepared, state.index.dimension)
    if not len(probes):
        return None, rows, applied_to(state, overrides.over(state.policy))
    answer = gallery.search(probes, overrides, call)
    return answer, rows, answer.applied


def _identification(
    gallery: Gallery, prepared: PreparedProbe, found: SearchAnswer | None, row: int | None, applied: Applied
) -> pb.Identification:
    if found is None or row is None:
        message = pb.Identification(decision=pb.DECISION_UNSURE, reasons=answers.reasons(prepared.reasons))
    else:
        face = prepared.content if isinstance(prepared.content, AcquiredEmbedding) else None
        message = answers.identification(
            gallery.record.gallery_id, found, row, face.norm if face else 0.0, face.box if face else None
        )
    message.members.extend(_members(applied, prepared.members))
    return message


def _identify_list(
    gallery: Gallery, request: pb.BatchIdentifyRequest, overrides: PolicyOverrides, call: Call
) -> pb.BatchIdentifyResponse:
    checks.check_count("list.probes", len(request.list.probes), MAX_LIST_PROBES)
    several = checks.several_faces("policy.several_faces", request.policy.several_faces)
    inputs = [
        checks.or_refusal(partial(checks.probe, f"list.probes[{i}]", probe))
        for i, probe in enumerate(request.list.probes)
    ]
    prepared = iter(prepare(gallery, [probe for probe in inputs if not isinstance(probe, Exception)], several, call))
    every = [probe if isinstance(probe, Exception) else next(prepared) for probe in inputs]
    searched = [probe for probe in every if isinstance(probe, PreparedProbe)]
    found, rows, applied = _search(gallery, searched, overrides, call)
    row = iter(rows)
    outcomes = [
        pb.IdentifyOutcome(error=to_status(probe))
        if isinstance(probe, Exception)
        else _outcome(gallery, probe, found, next(row), applied)
        for probe in every
    ]
    return pb.BatchIdentifyResponse(outcomes=pb.IdentifyOutcomes(outcomes=outcomes), applied=answers.applied(applied))


def _outcome(
    gallery: Gallery, probe: PreparedProbe, found: SearchAnswer | None, row: int | None, applied: Applied
) -> pb.IdentifyOutcome:
    if probe.error:
        return pb.IdentifyOutcome(error=to_status(probe.error))
    return pb.IdentifyOutcome(identification=_identification(gallery, probe, found, row, applied))


def _begin_matrix(
    gallery: Gallery, request: pb.BatchIdentifyRequest, overrides: PolicyOverrides, call: Call
) -> Begun[pb.BatchIdentifyResponse]:
    message = request.matrix
    raw = _of_gallery(gallery, checks.matrix("matrix", message, MAX_MATRIX_ROWS), message.model)
    search = gallery.begin_search(RawProbes(raw), overrides, call)

    def finish() -> pb.BatchIdentifyResponse:
        answer = call.wait(search)
        columns = identification_columns(gallery.record.gallery_id, answer, len(raw))
        return pb.BatchIdentifyResponse(columns=columns, applied=answers.applied(answer.applied))

    return Begun(finish, search)


def _of_gallery(gallery: Gallery, raw: NDArray[np.float32], model: str) -> NDArray[np.float32]:
    """Return embeddings (n, d) that say they are of the gallery's model; raises ModelMismatch and InvalidEmbedding."""
    state = gallery.state
    if model and model != state.record.profile.profile.model:
        raise ModelMismatch(model, state.record.profile.profile.model)
    if raw.shape[1] != state.index.dimension:
        raise InvalidEmbedding(f"has {raw.shape[1]} numbers; the gallery's have {state.index.dimension}")
    return raw


def _members(applied: Applied, outcomes: Sequence[Acquired]) -> list[pb.MemberOutcome]:
    """Return what became of each member of a template, scored alone."""
    return [
        pb.MemberOutcome(error=to_status(outcome))
        if isinstance(outcome, Exception)
        else pb.MemberOutcome(recognizability=answers.recognizability(score, outcome.norm, outcome.box))
        for outcome, score in zip(outcomes, score_each(applied.derivation, outcomes), strict=True)
    ]
