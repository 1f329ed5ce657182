"""Every metric there is: its name, kind, labels and meaning. Docs, alerts and dashboard are tested by it."""

import enum
from dataclasses import dataclass

METHOD, GALLERY, MODEL = "method", "gallery", "model"


class Kind(enum.Enum):
    """How a metric behaves; as Prometheus has it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Merge(enum.Enum):
    """What becomes of a metric of galleries beyond those that have a label of their own."""

    SUM = "sum"
    LARGEST = "largest"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `name` is that of its samples, but for the _bucket, _sum and _count of a histogram."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    merge: Merge = Merge.SUM


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"ersgallery_{name}_total", Kind.COUNTER, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str, merge: Merge = Merge.SUM) -> Metric:
    return Metric(f"ersgallery_{name}", Kind.GAUGE, meaning, labels, merge)


def _histogram(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"ersgallery_{name}", Kind.HISTOGRAM, meaning, labels)


BUILD = _gauge("build_info", "1; versions of the server and of what it runs on.", "version", "python", "faiss")
READY = _gauge("ready", "1 while calls are served: galleries are loaded and no drain has begun.")
START = _gauge("start_duration_seconds", "How long the start took until the server was ready.")
CERTIFICATE_EXPIRY = _gauge(
    "certificate_expiry_timestamp_seconds", "When the certificate that new connections are shown ends, in Unix time."
)
THREADS = _gauge("process_threads", "Threads of the process.")
GALLERIES = _gauge("galleries", "Galleries that are served.")

RPC_HANDLED = _counter(
    "rpc_handled", "Calls answered, by status and reason (OK for an answer).", METHOD, "code", "reason"
)
RPC_SECONDS = _histogram(
    "rpc_duration_seconds", "Time of a unary call in its thread, until its answer is made.", METHOD
)
RPC_IN_FLIGHT = _gauge("rpc_in_flight", "Calls and streams that have a thread.", METHOD)
RPC_BATCHES = _counter(
    "rpc_stream_batches", "Batches answered on streams, by reason (OK for an answer).", METHOD, "reason"
)
RPC_WAITING = _gauge("rpc_waiting", "Calls accepted that wait for a thread.")
RPC_WAIT_SECONDS = _histogram("rpc_wait_seconds", "How long calls waited for a thread.")
RPC_REFUSED = _counter("rpc_refused", "Calls refused before anything was done for them.", "reason")
RPC_OPEN_STREAMS = _gauge("rpc_open_streams", "Streams that are open, reflection included.")

DECISIONS = _counter(
    "decisions", "Probes identified, by decision; the reason of UNSURE, else empty.", GALLERY, "decision", "reason"
)
VERIFICATIONS = _counter(
    "verifications", "Comparisons 1:1, by decision; the reason of UNSURE, else empty.", GALLERY, "decision", "reason"
)
PROBE_ERS = _histogram("probe_ers", "ERS of probes.", GALLERY)
SEARCH_WAITING = _gauge("search_waiting", "Searches and other jobs that wait for a gallery's index.", GALLERY)
SEARCH_WAIT_SECONDS = _histogram("search_wait_seconds", "How long searches waited for their batch.", GALLERY)
SEARCH_SECONDS = _histogram("search_batch_duration_seconds", "Time of a batch on the index.", GALLERY)
SEARCH_PROBES = _histogram("search_batch_probes", "Probes that one batch had.", GALLERY)
SEARCH_DROPPED = _counter(
    "search_dropped",
    "Searches not begun: refused (queue full), expired (deadline passed) or cancelled (caller gone).",
    GALLERY,
    "cause",
)

ERS_DRIFT = _gauge(
    "ers_drift_ratio",
    "Share of the last probes' ERS that lies lower (direction down) or higher (up) than expected; "
    "reference: profile, or first_probes where the profile does not tell.",
    GALLERY,
    "direction",
    "reference",
    merge=Merge.LARGEST,
)
ERS_WINDOW = _gauge("ers_window_probes", "Weight of the probes that the drift is of; at most about 720.", GALLERY)
BELOW_GAMMA = _gauge("probes_below_gamma_ratio", "Share of the last probes below gamma.", GALLERY, merge=Merge.LARGEST)
BELOW_GAMMA_EXPECTED = _gauge(
    "probes_below_gamma_expected_ratio", "Share of probes expected below gamma.", GALLERY, merge=Merge.LARGEST
)

ENROLLED = _counter(
    "enrolled_faces", "Faces by what became of them; ERROR counts items that were wrong.", GALLERY, "disposition"
)
INDEX_FACES = _gauge(
    "index_faces",
    "Rows of the index: searchable, below_gate, or tombstone (removed, not yet reused).",
    GALLERY,
    "state",
)
INDEX_BYTES = _gauge("index_row_bytes", "Bytes of the rows on the host, tombstones included, codes excluded.", GALLERY)
INDEX_CAPACITY = _gauge("index_capacity_faces", "Faces that fit, where that is known.", GALLERY, merge=Merge.NONE)
INDEX_INFO = _gauge(
    "index_info", "1; how a gallery is searched.", GALLERY, "kind", "device", "profile", merge=Merge.NONE
)
REVISION = _gauge("gallery_revision", "Changes of a gallery so far.", GALLERY, merge=Merge.NONE)
BEHIND = _gauge("gallery_behind", "1 where the index could not follow the store (INDEX_BEHIND).", GALLERY)

SNAPSHOT_AGE = _gauge("snapshot_age_seconds", "Since the snapshot was written.", GALLERY, merge=Merge.LARGEST)
SNAPSHOT_BYTES = _gauge("snapshot_bytes", "Size of the snapshot.", GALLERY)
SNAPSHOT_CHANGED = _gauge("snapshot_changed_faces", "Faces that came or went since the snapshot.", GALLERY)

STORE_UP = _gauge("store_up", "1 where the database answered when it was last asked.")
STORE_WAITING = _gauge("store_waiting", "Writes that wait for the writer.")
STORE_WAIT_SECONDS = _histogram("store_wait_seconds", "How long writes waited for the writer.")
STORE_COMMIT_SECONDS = _histogram("store_commit_duration_seconds", "Time of a transaction with all its writes.")
STORE_GROUP = _histogram("store_group_writes", "Writes that shared a transaction.")
STORE_WRITES = _counter("store_writes", "Writes by what became of them: done, failed, refused or cancelled.", "outcome")
STORE_READ_SECONDS = _histogram("store_read_duration_seconds", "How long reads had their connection.")

MODEL_WAITING = _gauge("model_waiting", "Calls whose photographs wait for a model.", MODEL)
MODEL_WAIT_SECONDS = _histogram("model_wait_seconds", "How long calls with photographs waited for a model.", MODEL)
MODEL_SECONDS = _histogram("model_batch_duration_seconds", "Time of a batch: decode, detect, align and embed.", MODEL)
MODEL_IMAGES = _histogram("model_batch_images", "Photographs that one batch had.", MODEL)
ACQUISITIONS = _counter("acquisitions", "Photographs by outcome: FACE, or why there was none.", MODEL, "outcome")
MODEL_DROPPED = _counter(
    "model_dropped", "Calls not begun: refused (queue full) or cancelled (caller gone).", MODEL, "cause"
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of them, in the order of this file."""
