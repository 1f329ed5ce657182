"""Calls that search a gallery or compare two faces."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery.v1.face_input_pb2 import EmbeddingMatrix
from numpy.typing import NDArray

from ersgallery_client import rpcs
from ersgallery_client.batching import rows_per_message, split
from ersgallery_client.call import Call, Plan, Stream, call, plan, serialize, stream
from ersgallery_client.options import Limits
from ersgallery_client.surface import Calls, Unary
from ersgallery_client.values.identification import Identification, IdentificationBatch, Verification
from ersgallery_client.values.inputs import Embedding, ProbeSource
from ersgallery_client.values.policies import SearchPolicy
from ersgallery_client.wire.batches import join, read_batch, read_streamed_batch
from ersgallery_client.wire.identification import read_identify, read_verify, write_policy
from ersgallery_client.wire.inputs import pack, write_matrix, write_probe
from ersgallery_client.wire.names import gallery_name, subject_name

ProbeBatch: TypeAlias = NDArray[Any] | Embedding | Sequence[ProbeSource]
"""Several queries: a matrix (n, d) of embeddings, an Embedding of one, or a sequence of probes of any kind."""

DEFAULT_CANDIDATES = 10
# The most a candidate takes in an answer, by column and, with its names, as a message of its own.
COLUMN_BYTES = 64
CANDIDATE_BYTES = 512


class IdentificationCalls(Calls):
    """Open-set search and verification; streams are with the clients."""

    @Unary
    def identify(self, gallery: str, probe: ProbeSource, *, policy: SearchPolicy | None = None) -> Call[Identification]:
        """Identify one probe: an embedding (d,), a photograph as bytes or Path, or a Template.

        policy: what this request decides differently from the gallery. MATCH, NO_MATCH and UNSURE are answers, and so
        is a photograph without a face. Raises GalleryNotFound, InvalidEmbedding, ImageCorrupt, ImageTooLarge,
        ModelNotInstalled, Overloaded.
        """
        request = pb.IdentifyRequest(
            gallery=gallery_name(gallery), probe=write_probe(probe), policy=write_policy(policy)
        )
        return call(rpcs.IDENTIFY, request, read_identify)

    @Unary
    def identify_batch(
        self, gallery: str, probes: ProbeBatch, *, policy: SearchPolicy | None = None
    ) -> Plan[IdentificationBatch]:
        """Identify many probes: a matrix (n, d), or a sequence of probes of any kind; in as many calls as needed.

        A matrix is much the fastest. What is wrong with one probe is in `errors` of the answer. Raises as identify.
        """
        name, limits = gallery_name(gallery), self.options.limits
        wire_policy = write_policy(policy)
        if isinstance(probes, (np.ndarray, Embedding)):
            parts: Iterable[EmbeddingMatrix | pb.ProbeList] = _matrices(probes, _candidates(policy), limits)
        else:
            parts = _lists(probes, _candidates(policy), limits)

        def part(content: EmbeddingMatrix | pb.ProbeList) -> Call[IdentificationBatch]:
            return call(rpcs.BATCH_IDENTIFY, _request(name, content, wire_policy), read_batch)

        return plan(map(part, parts), join)

    @Unary
    def verify(
        self,
        gallery: str,
        probe: ProbeSource,
        reference: ProbeSource | None = None,
        *,
        subject: str | None = None,
        policy: SearchPolicy | None = None,
    ) -> Call[Verification]:
        """Compare a probe with a reference, which is another probe or an enrolled subject (eq. 2).

        UNSURE if either side is below its gate. Raises as identify, SubjectNotFound; ValueError where not one of
        reference and subject is given.
        """
        if (reference is None) == (subject is None):
            raise ValueError("give either a reference or a subject")
        request = pb.VerifyRequest(
            gallery=gallery_name(gallery),
            probe=write_probe(probe),
            policy=write_policy(policy),
        )
        if reference is not None:
            request.reference_probe.CopyFrom(write_probe(reference))
        elif subject is not None:
            request.subject = subject_name(gallery, subject)
        return call(rpcs.VERIFY, request, read_verify)


def identification_stream(window: int) -> Stream[IdentificationBatch]:
    """Describe the stream of identify_stream."""
    return stream(rpcs.STREAM_IDENTIFY, read_streamed_batch, window)


class ProbeEncoder:
    """Makes the messages of identify_stream: one for every batch of probes."""

    def __init__(self, gallery: str, limits: Limits, policy: SearchPolicy | None) -> None:
        self._gallery = gallery_name(gallery)
        self._limits = limits
        self._policy = write_policy(policy)
        self._sequence = 0

    def add(self, probes: ProbeBatch) -> bytes:
        """Return the message for a batch; raises MessageTooLarge, InvalidEmbedding."""
        content = (
            write_matrix(probes)
            if isinstance(probes, (np.ndarray, Embedding))
            else pb.ProbeList(probes=map(write_probe, probes))
        )
        message = pb.StreamIdentifyRequest(
            sequence=self._sequence, batch=_request(self._gallery, content, self._policy)
        )
        self._sequence += 1
        return serialize(message, self._limits)

    def rest(self) -> None:
        """Return nothing: no message waits for a further batch."""


def _request(
    gallery: str, content: EmbeddingMatrix | pb.ProbeList, policy: pb.SearchPolicy | None
) -> pb.BatchIdentifyRequest:
    if isinstance(content, EmbeddingMatrix):
        return pb.BatchIdentifyRequest(gallery=gallery, matrix=content, policy=policy)
    return pb.BatchIdentifyRequest(gallery=gallery, list=content, policy=policy)


def _candidates(policy: SearchPolicy | None) -> int:
    """Return how many candidates one probe can get."""
    policy = policy or SearchPolicy()
    return (policy.max_candidates or DEFAULT_CANDIDATES) * (2 if policy.include_filtered else 1)


def _matrices(source: NDArray[Any] | Embedding, candidates: int, limits: Limits) -> Iterator[EmbeddingMatrix]:
    model = source.model if isinstance(source, Embedding) else ""
    matrix = pack(source.values if isinstance(source, Embedding) else source, 2)
    step = rows_per_message(limits, matrix.shape[1] * matrix.itemsize, candidates * COLUMN_BYTES)
    for start in range(0, max(1, len(matrix)), step):
        yield write_matrix(Embedding(matrix[start : start + step], model))


def _lists(probes: Sequence[ProbeSource], candidates: int, limits: Limits) -> Iterator[pb.ProbeList]:
    max_probes = min(limits.max_probes, rows_per_message(limits, 0, candidates * CANDIDATE_BYTES))
    for batch in split(map(write_probe, probes), limits, max_probes):
        yield pb.ProbeList(probes=batch)
