"""Samples of galleries, each with a label of its own up to a limit."""

import time
from collections.abc import Sequence

from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.metrics import catalogue as m
from ersgallery_server.metrics.samples import OTHER, Samples


def put_galleries(samples: Samples, galleries: Sequence[Gallery], most_labels: int) -> None:
    """Add the samples of all galleries; those made last share a label where there are more than `most_labels`."""
    samples.put(m.GALLERIES, len(galleries))
    for place, gallery in enumerate(sorted(galleries, key=lambda each: each.record.key)):
        own = place < most_labels
        label = gallery.record.gallery_id if own else OTHER
        _put_searches(samples, gallery, label)
        _put_drift(samples, gallery, label)
        _put_index(samples, gallery, label)
        _put_snapshot(samples, gallery, label)
        if own:
            _put_own(samples, gallery, label)


def _put_searches(samples: Samples, gallery: Gallery, label: str) -> None:
    figures = gallery.figures
    for (decision, reason), count in figures.decisions.read().items():
        samples.put(m.DECISIONS, count, label, decision, reason)
    for (decision, reason), count in figures.verifications.read().items():
        samples.put(m.VERIFICATIONS, count, label, decision, reason)
    for disposition, count in figures.enrolled.read().items():
        samples.put(m.ENROLLED, count, label, disposition)
    samples.put(m.PROBE_ERS, figures.ers.read(), label)
    samples.put(m.SEARCH_WAITING, len(figures.queue), label)
    samples.put(m.SEARCH_WAIT_SECONDS, figures.waits.read(), label)
    samples.put(m.SEARCH_SECONDS, figures.seconds.read(), label)
    samples.put(m.SEARCH_PROBES, figures.batches.read(), label)
    samples.put(m.SEARCH_DROPPED, figures.queue.refused, label, "refused")
    for cause, count in figures.dropped.read().items():
        samples.put(m.SEARCH_DROPPED, count, label, cause)


def _put_drift(samples: Samples, gallery: Gallery, label: str) -> None:
    drift = gallery.figures.drift.read()
    gamma = gallery.state.policy.gamma
    samples.put(m.ERS_WINDOW, drift.window.total, label)
    samples.put(m.BELOW_GAMMA, drift.window.share_below(gamma), label)
    if drift.expected is None:
        return
    reference = "profile" if drift.by_profile else "first_probes"
    samples.put(m.ERS_DRIFT, drift.down, label, "down", reference)
    samples.put(m.ERS_DRIFT, drift.up, label, "up", reference)
    samples.put(m.BELOW_GAMMA_EXPECTED, drift.expected.share_below(gamma), label)


def _put_index(samples: Samples, gallery: Gallery, label: str) -> None:
    state = gallery.state
    usage = state.index.usage()
    samples.put(m.INDEX_FACES, usage.passing, label, "searchable")
    samples.put(m.INDEX_FACES, usage.below_gate, label, "below_gate")
    samples.put(m.INDEX_FACES, usage.tombstones, label, "tombstone")
    samples.put(m.INDEX_BYTES, usage.row_bytes, label)
    samples.put(m.BEHIND, float(state.behind_since is not None), label)


def _put_own(samples: Samples, gallery: Gallery, label: str) -> None:
    state = gallery.state
    index = state.index
    samples.put(m.INDEX_INFO, 1, label, index.kind.value, index.device, state.record.profile.reference)
    samples.put(m.REVISION, state.record.revision, label)
    if (capacity := index.capacity) is not None:
        samples.put(m.INDEX_CAPACITY, capacity, label)


def _put_snapshot(samples: Samples, gallery: Gallery, label: str) -> None:
    saved = gallery.saved
    samples.put(m.SNAPSHOT_CHANGED, saved.changed_faces, label)
    try:
        found = saved.path.stat()
    except OSError:  # there is none, or it is being replaced
        return
    samples.put(m.SNAPSHOT_AGE, max(0.0, time.time() - found.st_mtime), label)
    samples.put(m.SNAPSHOT_BYTES, found.st_size, label)
