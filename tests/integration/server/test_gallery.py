"""A gallery on a real store and index, without a transport: what races and failures leave behind."""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ersgallery_index import DECISIONS, Decision, Profile, Template, Weighting
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.errors import InvalidEmbedding
from ersgallery_server.call import Call
from ersgallery_server.errors import Cancelled, DeadlineExceeded, IndexBehind, Overloaded, ProfileModelMismatch
from ersgallery_server.gallery import state as state_module
from ersgallery_server.gallery.enrollment import EnrollmentItem, EnrollmentReport
from ersgallery_server.gallery.galleries import Galleries, GalleryChange
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.inputs import EmbeddingInput, Member
from ersgallery_server.gallery.models import Models
from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.search import ProbeSet, RawProbes
from ersgallery_server.snapshots import SnapshotFolder
from ersgallery_server.store import GalleryNotFound, Replay, Store, StoreLimits, SubjectNotFound
from ersgallery_server.values import GallerySettings, ProfileVersion
from structlog.testing import capture_logs

from tests.support.held import Held
from tests.support.indexes import AddOnlyBackend
from tests.support.requests import DIMENSION, MODEL, axis

PLENTY = 1 << 40


class Core:
    """Galleries on a store of their own; `device` is where their indexes are, and its room can be changed."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.open(f"sqlite:///{folder / 'gallery.db'}", limits=StoreLimits(max_waiting=8))
        self.device = AddOnlyBackend()
        self.galleries = Galleries(
            self.store,
            Models(lambda _: None, max_waiting_images=4),
            SnapshotFolder(folder / "snapshots"),
            place=state_module.IndexPlace("cpu"),
            max_waiting_searches=4,
            snapshot_changed_faces=0,
        )
        self.galleries.load()

    def close(self) -> None:
        self.galleries.close()
        self.store.close()

    def profile(self, ui_axis: int = 0, dimension: int = DIMENSION, model: str = MODEL) -> ProfileVersion:
        profile = Profile(model, np.eye(dimension)[ui_axis : ui_axis + 1], gamma=0.5)
        made = self.store.submit(
            lambda t: t.create_profile(f"p{ui_axis}-{dimension}", profile, description="", sha256=f"{ui_axis}{model}")
        )
        return made.result()

    def create(self, gallery_id: str = "g") -> Gallery:
        return self.galleries.create(gallery_id, GallerySettings(tau=0.8), self.profile(), Call())

    def update(self, gallery: Gallery, **fields: Any) -> None:
        profile = fields.pop("profile", None)
        self.galleries.update(gallery, GalleryChange(fields, profile), None, Call())

    def stored(self, gallery: Gallery) -> int:
        return self.store.totals(gallery.record.key, 0.0).faces


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Core]:
    made = Core(tmp_path)
    monkeypatch.setattr(state_module, "open_index", lambda dimension, **_: ExactIndex(dimension, made.device))
    yield made
    made.close()


def enroll(
    gallery: Gallery, *numbers: int, request_id: str = "", call: Call | None = None
) -> EnrollmentReport | Replay:
    items = [EnrollmentItem(f"s{n}", (Member(EmbeddingInput(axis(n))),), {}) for n in numbers]
    request = (request_id, b"body") if request_id else None
    return gallery.enroll(items, request, lambda report: str(report.revision).encode(), call or Call())


def decide(gallery: Gallery, number: int) -> tuple[Decision, list[str]]:
    answer = gallery.search(ProbeSet(axis(number)[None]), PolicyOverrides(), Call())
    found = answer.identifications.row(0)
    return found.decision, [answer.subject_ids[candidate.subject_id] for candidate in found.candidates]


def searchable(gallery: Gallery) -> set[str]:
    return set(decide(gallery, DIMENSION - 1)[1])


def test_a_gallery_that_was_deleted_is_not_found_by_who_still_holds_it(core: Core) -> None:
    old = core.create()
    enroll(old, 1)
    assert core.galleries.delete("g", None, Call()).faces == 1
    new = core.create()
    old._actor.close()  # the thread that ends it has had its time
    for use in (
        lambda: decide(old, 1),
        lambda: enroll(old, 2),
        lambda: old.delete_subject("s1", Call()),
        lambda: core.update(old, tau=0.1),
        lambda: core.update(old, profile=core.profile(1)),
    ):
        with pytest.raises(GalleryNotFound):
            use()
    assert (new.record.settings.tau, new.record.version, core.stored(new)) == (0.8, 1, 0)
    enroll(new, 3)
    assert searchable(new) == {"s3"}


def test_searches_that_wait_while_their_gallery_is_deleted_are_answered(core: Core) -> None:
    gallery = core.create()
    enroll(gallery, 1)
    held = Held(gallery._actor.ask)
    waiting = gallery._actor.search(ProbeSet(axis(1)[None]), PolicyOverrides())
    core.galleries.delete("g", None, Call())
    held.let_go()
    assert waiting.result().identifications.row(0).decision is Decision.MATCH


def test_an_index_that_cannot_take_a_committed_enrolment_says_so_and_lives_on(core: Core) -> None:
    gallery = core.create()
    enroll(gallery, 1, 2)
    core.device.room = 2
    with capture_logs() as logs:
        with pytest.raises(IndexBehind, match="the change is stored, but searches do not know"):
            enroll(gallery, 3, 4, 5, request_id="once")
        assert searchable(gallery) == {"s1", "s2"}  # answered by the owner, after it has logged
    assert [entry["revision"] for entry in logs if entry["log_level"] == "critical"] == [2]
    assert core.stored(gallery) == 5
    with pytest.raises(IndexBehind):  # the repetition must not say that they can be found
        enroll(gallery, 3, 4, 5, request_id="once")
    gallery.delete_subject("s1", Call())
    assert searchable(gallery) == {"s2"}
    core.device.room = PLENTY
    core.update(gallery, display_name="build it anew")
    assert searchable(gallery) == {"s2", "s3", "s4", "s5"}
    assert isinstance(enroll(gallery, 3, 4, 5, request_id="once"), Replay)


def test_a_rebuild_that_fails_leaves_the_old_index_answering_until_another_update(core: Core) -> None:
    gallery = core.create()
    enroll(gallery, 1, 2)
    core.device.room = 0
    other = core.profile(1)
    with capture_logs(), pytest.raises(IndexBehind, match="the change is stored"):
        core.update(gallery, profile=other)
    answer = gallery.search(ProbeSet(axis(1)[None]), PolicyOverrides(), Call())
    assert answer.applied.profile == "p0-16@1"
    with pytest.raises(IndexBehind, match="nothing was stored"):
        enroll(gallery, 3)
    assert core.stored(gallery) == 2
    core.device.room = PLENTY
    core.update(gallery, tau=0.7)
    answer = gallery.search(ProbeSet(axis(2)[None]), PolicyOverrides(), Call())
    assert (answer.applied.profile, answer.applied.policy.tau) == (other.reference, 0.7)
    assert decide(gallery, 1)[0] is Decision.UNSURE
    enroll(gallery, 3)
    assert searchable(gallery) == {"s2", "s3"}


def test_a_gallery_for_which_there_is_no_room_is_not_made(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_dimension: int, **_: object) -> ExactIndex:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(state_module, "open_index", full)
        with pytest.raises(MemoryError):
            core.create()
    assert not core.store.list_galleries(10).items
    enroll(core.create(), 1)


def test_a_profile_of_another_dimension_is_refused(core: Core) -> None:
    gallery = core.create()
    with pytest.raises(ProfileModelMismatch, match="8 numbers"):
        core.update(gallery, profile=core.profile(0, 8))
    with pytest.raises(ProfileModelMismatch, match="other"):
        core.update(gallery, profile=core.profile(0, 16, "other"))
    assert gallery.record.version == 1


def test_a_search_that_fails_fails_alone(core: Core) -> None:
    gallery = core.create()
    enroll(gallery, 1)
    held = Held(gallery._actor.ask)
    good, bad = ProbeSet(axis(1)[None]), ProbeSet(np.ones((1, 3), np.float32))
    answers = [gallery._actor.search(probes, PolicyOverrides()) for probes in (good, bad, good)]
    held.let_go()
    assert [answers[i].result().identifications.row(0).decision for i in (0, 2)] == [Decision.MATCH] * 2
    with pytest.raises(InvalidEmbedding):
        answers[1].result()


def test_a_huge_search_lets_small_ones_pass_and_no_change(core: Core) -> None:
    gallery = core.create()
    enroll(gallery, 1)
    rows = np.tile(axis(1), (2 * gallery.state.index.batch_rows + 5, 1))
    rows[-1] = np.nan
    ends: list[object] = []
    held = Held(gallery._actor.ask)
    huge = gallery._actor.search(RawProbes(rows), PolicyOverrides())
    with ThreadPoolExecutor(1) as pool:
        enrolled = pool.submit(enroll, gallery, 2)
        while len(gallery._actor._queue._jobs) < 2:
            time.sleep(0.001)
        behind = gallery._actor.ask(lambda state: len(state.subject_ids))
        small = gallery._actor.search(ProbeSet(axis(2)[None]), PolicyOverrides())
        for waited in (huge, behind, small):
            waited.add_done_callback(ends.append)
        held.let_go()
        enrolled.result()
    assert behind.result() == 2
    assert ends == [small, huge, behind]
    assert small.result().identifications.row(0).decision is Decision.NO_MATCH
    answer = huge.result()
    assert answer.identifications.decisions.tolist() == [DECISIONS.index(Decision.MATCH)] * (len(rows) - 1)
    assert list(answer.errors) == [len(rows) - 1]
    assert answer.errors[len(rows) - 1].row == len(rows) - 1
    assert answer.applied.revision == 1
    assert len(answer.norms) == len(rows) - 1


def test_a_huge_search_ends_between_two_parts_when_its_time_is_over(core: Core) -> None:
    gallery = core.create()
    deadline_s = time.monotonic() + 0.2
    rows = np.tile(axis(1), (2 * gallery.state.index.batch_rows, 1))
    held = Held(gallery._actor.ask)
    huge = gallery._actor.search(RawProbes(rows), PolicyOverrides(), deadline_s)
    slow = gallery._actor.ask(lambda _: time.sleep(max(0.0, deadline_s - time.monotonic())))
    held.let_go()
    slow.result()
    with pytest.raises(DeadlineExceeded):
        huge.result()


def test_a_full_queue_refuses_searches_and_takes_what_is_committed(core: Core) -> None:
    gallery = core.create()
    held = Held(gallery._actor.ask)
    waiting = [gallery._actor.search(ProbeSet(axis(1)[None]), PolicyOverrides()) for _ in range(4)]
    with pytest.raises(Overloaded, match="gallery g is full \\(4 waiting\\)"):
        decide(gallery, 1)
    with ThreadPoolExecutor(1) as pool:
        enrolled = pool.submit(enroll, gallery, 1)
        while core.stored(gallery) == 0:
            time.sleep(0.001)
        assert not enrolled.done()
        held.let_go()
        assert isinstance(enrolled.result(), EnrollmentReport)
    assert [answer.result().identifications.row(0).decision for answer in waiting] == [Decision.NO_MATCH] * 4
    assert decide(gallery, 1)[0] is Decision.MATCH


def test_what_was_cancelled_or_expired_while_it_waited_is_not_done(core: Core) -> None:
    gallery = core.create()
    held = Held(gallery._actor.ask)
    writer = Held(core.store.submit)
    gone = Call()
    gone.cancellation.happen()
    for call, error in ((gone, Cancelled), (Call(deadline_s=time.monotonic()), DeadlineExceeded)):
        with pytest.raises(error):
            enroll(gallery, 1, call=call)
        with pytest.raises(error):
            gallery.search(ProbeSet(axis(1)[None]), PolicyOverrides(), call)
    writer.let_go()
    held.let_go()
    assert searchable(gallery) == set()
    assert core.stored(gallery) == 0


def test_a_commit_that_has_begun_is_finished_whoever_goes_away(core: Core) -> None:
    gallery = core.create()
    with ThreadPoolExecutor(1) as pool:
        held = Held(core.store.submit)
        enrolled = pool.submit(enroll, gallery, 1, call=Call())
        while not core.store._writer._waiting:
            time.sleep(0.001)
        held.let_go()
        held.work.result()
        assert isinstance(enrolled.result(), EnrollmentReport)
        with Held(gallery._actor.ask):
            deadline_s = time.monotonic() + 2.0
            call = Call(deadline_s=deadline_s)
            late = pool.submit(enroll, gallery, 2, call=call)
            while core.stored(gallery) < 2:
                assert not late.done()
                time.sleep(0.001)
            call.cancellation.happen()
            time.sleep(max(0.0, deadline_s - time.monotonic()) + 0.05)
        assert isinstance(late.result(), EnrollmentReport)
    assert searchable(gallery) == {"s1", "s2"}


def test_enrolments_meet_changes_of_the_profile_and_every_face_is_scored_under_the_present_one(core: Core) -> None:
    gallery = core.create()
    profiles = [core.profile(0), core.profile(1)]
    stop = threading.Event()

    def change() -> None:
        for turn in range(1000):
            if stop.is_set():
                return
            core.update(gallery, profile=profiles[turn % 2])

    reports: list[EnrollmentReport | Replay] = []
    with ThreadPoolExecutor(4) as pool:
        changing = pool.submit(change)
        enrolling = [pool.submit(enroll, gallery, n % 4) for n in range(24)]
        reports = [future.result() for future in enrolling]
        stop.set()
        changing.result()
    assert all(isinstance(report, EnrollmentReport) for report in reports)
    assert core.stored(gallery) == 24
    assert gallery.state.index.count(0.0) == 24
    present = core.store.gallery("g").profile
    assert gallery.record.profile.key == present.key
    ui_face = f"s{[profile.key for profile in profiles].index(present.key)}"
    faces = core.store.list_faces(gallery.record.key, None, 100).items
    assert {(face.subject_id, face.ers) for face in faces} == {
        (f"s{n}", 0.0 if f"s{n}" == ui_face else 1.0) for n in range(4)
    }


def test_racing_updates_and_deletions_leave_index_and_store_in_step(core: Core) -> None:
    gallery = core.create()
    rng = np.random.default_rng(5)
    enroll(gallery, *range(1, 15))

    def work(seed: int) -> None:
        choose = np.random.default_rng(seed)
        for _ in range(15):
            match choose.integers(5):
                case 0:
                    core.update(gallery, gamma_gallery=float(choose.choice([0.0, 0.5, 1.0])))
                case 1:
                    core.update(gallery, enhance_features=bool(choose.integers(2)))
                case 2:
                    enroll(gallery, *choose.integers(1, 15, 3).tolist())
                case 3:
                    with contextlib.suppress(SubjectNotFound):  # another was faster
                        gallery.delete_subject(f"s{choose.integers(1, 15)}", Call())
                case _:
                    decide(gallery, int(choose.integers(1, 15)))

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, int(seed)) for seed in rng.integers(1000, size=4)]:
            future.result()
    record = core.store.gallery("g")
    answering = gallery.record
    assert (answering.settings, answering.version) == (record.settings, record.version)
    assert answering.revision == gallery.state.index.revision == record.revision
    assert gallery.state.index.count(0.0) == core.stored(gallery)
    assert gallery.state.derivation.enhance == record.settings.enhance_features
    keys = set(core.store.subject_ids(record.key))
    assert set(gallery.state.index.snapshot().subject_ids.tolist()) <= keys <= set(gallery.state.subject_ids)


def test_a_template_among_the_probes_that_wait_changes_nothing_for_the_others(core: Core) -> None:
    gallery = core.create()
    enroll(gallery, 1, 2)
    held = Held(gallery._actor.ask)
    template = Template(np.stack([axis(1), axis(2)]), ("", ""), Weighting.UNIFORM, media_pooling=False)
    plain = gallery._actor.search(ProbeSet(axis(1)[None]), PolicyOverrides(max_candidates=1))
    both = gallery._actor.search(ProbeSet(axis(2)[None], (template,)), PolicyOverrides())
    held.let_go()
    assert len(plain.result().identifications) == 1
    found = both.result().identifications
    assert [len(found.row(row).candidates) for row in range(2)] == [2, 2]
    assert found.row(1).decision is Decision.NO_MATCH
