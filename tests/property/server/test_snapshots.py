"""After any history an index from a snapshot and the log holds what an index from the store holds, bit by bit."""

import os
import tempfile
import uuid
from pathlib import Path

import numpy as np
import pytest
from ersgallery_index import Weighting
from ersgallery_server.call import Call
from ersgallery_server.gallery import saving
from ersgallery_server.snapshots import RowFile, layout, saved_index
from ersgallery_server.values import FaceRecord, SubjectSearch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support.cores import Core, assert_same_rows, enroll, rows_of, save
from tests.support.stores import empty_tables, unit_rows

DIMENSION = 4
POOL = unit_rows(40, 7, DIMENSION)
CENTROIDS = unit_rows(3, 8, DIMENSION)
PEOPLE = ("ann", "bob", "eve", "kim")
BLOCK_ROWS = 3

Change = list[tuple[str, int]] | tuple[str, int]
"""People and vectors that are enrolled, or what is deleted and which of those there are."""

people = st.lists(st.tuples(st.sampled_from(PEOPLE), st.integers(0, len(POOL) - 1)), min_size=1, max_size=5)
deletions = st.tuples(st.sampled_from(["face", "subject"]), st.integers(0, 1000))
changes = st.one_of(people, deletions)


class SnapshotMachine(RuleBasedStateMachine):
    """Drives galleries that are saved, killed and started again."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.folder = tempfile.TemporaryDirectory()
        self.core = Core(url, Path(self.folder.name))
        self.profiles = [
            self.core.profile("one", CENTROIDS[:1]),
            self.core.profile("two", CENTROIDS[1:], POOL[5] / np.float32(3)),
        ]
        self.core.create("g", self.profiles[0])

    def teardown(self) -> None:
        self.restart()
        self.core.close()
        self.folder.cleanup()

    def present(self) -> list[FaceRecord]:
        """Return the faces that are there."""
        return list(self.core.store.list_faces(self.core.gallery().record.key, None, 10_000).items)

    @invariant()
    def nothing_of_who_is_gone_is_on_the_disk(self) -> None:
        there = {face.face_id for face in self.present()} | {face.subject_key for face in self.present()}
        for path in self.core.snapshots.glob("*"):
            file, _ = RowFile.open(path)
            blocks = [file.read(number) for number in range(file.blocks)]
            file.close()
            for block in blocks:
                assert set(block.living.face_ids.tolist()) <= there
                erased = block.ers < 0
                assert not block.vectors[erased].any()
                assert not block.subject_ids[erased].any()

    @initialize(pick=st.integers(0, 20))
    def begin_with_faces(self, pick: int) -> None:
        self.change([(PEOPLE[i % 4], pick + i) for i in range(10)])

    @rule(change=changes)
    def change(self, change: Change) -> None:
        gallery = self.core.gallery()
        if isinstance(change, list):
            rows = POOL[[vector for _, vector in change]]
            enroll(gallery, [person for person, _ in change], rows, [("", "film")[v % 2] for _, v in change])
            return
        if faces := self.present():
            kind, pick = change
            face = faces[pick % len(faces)]
            before = set(map(bytes, rows_of(gallery).vectors))
            if kind == "face":
                gallery.delete_face(face.subject_id, face.face_id, Call())
            else:
                gallery.delete_subject(face.subject_id, Call())
            gone = before - set(map(bytes, rows_of(gallery).vectors))
            on_disk = b"".join(path.read_bytes() for path in self.core.snapshots.glob("*"))
            assert [vector for vector in gone if vector in on_disk] == []

    @rule(gate=st.sampled_from([None, 0.0, 0.5, 0.9]))
    def change_gate(self, gate: float | None) -> None:
        self.core.update(self.core.gallery(), gamma_gallery=gate)

    @rule(profile=st.integers(0, 1), enhance=st.booleans())
    def change_profile(self, profile: int, enhance: bool) -> None:
        self.core.update(self.core.gallery(), profile=self.profiles[profile], enhance_features=enhance)

    @rule(search=st.sampled_from(SubjectSearch), weighting=st.sampled_from(Weighting), pooling=st.booleans())
    def change_search(self, search: SubjectSearch, weighting: Weighting, pooling: bool) -> None:
        fields = {"subject_search": search, "template_weighting": weighting, "template_media_pooling": pooling}
        self.core.update(self.core.gallery(), **fields)

    @rule(meanwhile=st.lists(changes, max_size=4), afterwards=st.lists(changes, max_size=2), given_up=st.booleans())
    def save_while_it_changes_and_restart(
        self, meanwhile: list[Change], afterwards: list[Change], given_up: bool
    ) -> None:
        waiting = list(meanwhile)

        def pause(_seconds: float) -> bool:
            if waiting:
                self.change(waiting.pop())
            return given_up and not waiting

        self.core.gallery().save(pause)
        for change in afterwards:
            self.change(change)
        self.restart()

    @rule(afterwards=st.lists(changes, max_size=3))
    def save_and_change_and_restart(self, afterwards: list[Change]) -> None:
        if self.present():
            save(self.core.gallery())
        for change in afterwards:
            self.change(change)
        self.restart()

    @rule()
    def save(self) -> None:
        save(self.core.gallery())

    @rule()
    def remake(self) -> None:
        self.core.galleries.delete("g", None, Call())
        self.core.create("g", self.profiles[0])

    @rule()
    def restart(self) -> None:
        """Restart without saving, as after a kill."""
        before = rows_of(self.core.gallery())
        self.start_again()
        assert_same_rows(rows_of(self.core.gallery()), before)

    def start_again(self) -> None:
        self.core.close()
        self.core = Core(self.url, Path(self.folder.name))
        gallery = self.core.gallery()
        assert_same_rows(rows_of(gallery), self.core.rebuilt(gallery))

    @rule(pick=st.integers(0, 1000))
    def be_killed_between_a_deletion_and_all_that_follows_it(self, pick: int) -> None:
        gallery = self.core.gallery()
        if faces := self.present():
            save(gallery)
            face, key = faces[pick % len(faces)], gallery.record.key
            self.core.store.submit(lambda t: t.delete_face(key, face.subject_id, face.face_id)).result()
        self.start_again()

    @rule(place=st.integers(0, 10_000), bit=st.integers(0, 7))
    def flip_a_bit_and_restart(self, place: int, bit: int) -> None:
        path = self.core.gallery().saved.path
        if path.exists():
            content = bytearray(path.read_bytes())
            content[place % len(content)] ^= 1 << bit
            path.write_bytes(content)
        self.restart()

    @rule(share=st.floats(0, 1, exclude_max=True))
    def cut_short_and_restart(self, share: float) -> None:
        path = self.core.gallery().saved.path
        if path.exists():
            os.truncate(path, int(share * path.stat().st_size))
        self.restart()


LIMITS = settings(max_examples=20, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make blocks of three rows, so that a few faces are many blocks."""
    for module in (layout, saved_index, saving):
        monkeypatch.setattr(module, "usual_block_rows", lambda _: BLOCK_ROWS)


def test_on_sqlite_a_restart_from_a_snapshot_is_one_from_the_store(migrated_sqlite: Path, tmp_path: Path) -> None:
    class SqliteMachine(SnapshotMachine):
        def __init__(self) -> None:
            path = tmp_path / f"{uuid.uuid4().hex}.db"
            path.write_bytes(migrated_sqlite.read_bytes())
            super().__init__(f"sqlite:///{path}")

    run_state_machine_as_test(SqliteMachine, settings=LIMITS)


def test_on_postgresql_a_restart_from_a_snapshot_is_one_from_the_store(migrated_postgres: str) -> None:
    class PostgresMachine(SnapshotMachine):
        def __init__(self) -> None:
            empty_tables(migrated_postgres)
            super().__init__(migrated_postgres)

    run_state_machine_as_test(PostgresMachine, settings=settings(LIMITS, max_examples=4))
