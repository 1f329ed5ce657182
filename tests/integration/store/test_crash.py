"""A process that is killed while it writes loses nothing acknowledged and resurrects nothing deleted."""

import subprocess
import sys
from pathlib import Path

from ersgallery_server.store import Store

ROOT = Path(__file__).parents[3]
FACES_AT_ONCE = 3
WRITER = """
import sys
from ersgallery_server.store import Store
from tests.support.stores import (create_gallery, enroll, write)

store = Store.open(sys.argv[1])
gallery = create_gallery(store)
for turn in range(1_000_000):
    enrolled = enroll(store, gallery, *[f"s{turn}"] * 3, request=(str(turn), b""))
    print("stored", turn, *enrolled.face_ids.tolist(), flush=True)
    if turn % 4 == 3:
        deleted = write(store, lambda t: t.delete_subject(gallery.key, f"s{turn - 1}"))
        print("deleted", turn - 1, *deleted.face_ids.tolist(), flush=True)
"""


def killed_writer(url: str, lines: int) -> list[list[str]]:
    """Start a writer, kill it after some lines, and return what it acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        if process.stdout is None:
            raise RuntimeError("the writer has no output")
        acknowledged = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        acknowledged += process.stdout.readlines()
    return [line.split() for line in acknowledged if line.endswith("\n")]


def test_a_killed_writer_keeps_exactly_what_was_acknowledged(store_url: str) -> None:
    acknowledged = killed_writer(store_url, 60)
    assert len(acknowledged) >= 60
    expected = {int(word) for kind, _, *ids in acknowledged if kind == "stored" for word in ids}
    expected -= {int(word) for kind, _, *ids in acknowledged if kind == "deleted" for word in ids}
    with Store.open(store_url) as store:
        gallery = store.gallery("people")
        chunks = list(store.load_faces(gallery.key))
        stored = {face_id for chunk in chunks for face_id in chunk.face_ids.tolist()}
        # One piece of work may have been committed without its submitter hearing of it; then it is there as a whole.
        unheard = stored ^ expected
        assert len(unheard) in {0, FACES_AT_ONCE}
        assert unheard <= stored or unheard <= expected
        changes = store.changes(gallery.key, 0, limit=10_000)
        assert [change.revision for change in changes] == list(range(1, gallery.revision + 1))
        assert gallery.revision - len(acknowledged) in {0, 1}
        assert gallery.counts.enrollment_attempts == FACES_AT_ONCE * sum(1 for c in changes if len(c.added_face_ids))
        remembered = store.find_request(gallery.key, acknowledged[0][1])
        assert remembered is not None
        assert remembered.revision == 1
        again = store.submit(lambda t: t.create_subject(gallery.key, "next")).result(60)
        assert again.key > max(key for chunk in chunks for key in chunk.subject_keys.tolist())
