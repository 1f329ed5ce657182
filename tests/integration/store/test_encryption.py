"""A store with keys: nothing of a face lies in it plainly, rows that are swapped do not open, and keys change."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ersgallery_server.keys import NO_KEYS, Key, KeyMissing, KeyRing, KeyWrong, SealBroken
from ersgallery_server.store import Store, WriteTransaction
from ersgallery_server.store.rotation import PLAIN, SEALED, RotationWrites, reseal_all
from ersgallery_server.values import GalleryRecord
from sqlalchemy import text

from tests.support.stores import DIMENSION, create_gallery, create_profile, enroll_within, new_faces, unit_rows, write

OLD, NEW = Key.generate("old"), Key.generate("new")
FACES = 30
PHOTOGRAPH = np.random.default_rng(5).bytes(500)


def people() -> list[str]:
    return [f"s{i % 10}" for i in range(FACES)]


def fill(store: Store) -> GalleryRecord:
    gallery = create_gallery(store)
    faces = [replace(face, image=PHOTOGRAPH) for face in new_faces(people())]
    write(store, lambda t: enroll_within(t, gallery, faces))
    return gallery


def contents(store: Store) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], list[bytes | None]]:
    """Return all embeddings and photographs as the store gives them."""
    key = store.gallery("people").key
    rows = np.concatenate([chunk.embeddings for chunk in store.load_faces(key)])
    faces = store.list_faces(key, None, FACES).items
    return rows, [store.face_image(key, face.subject_id, face.face_id) for face in faces]


def counts(store: Store) -> list[dict[str, int]]:
    return [dict(store.count_by_key(kind)) for kind in SEALED]


def assert_intact(store: Store) -> None:
    rows, photographs = contents(store)
    np.testing.assert_array_equal(rows, unit_rows(FACES))
    assert photographs == [PHOTOGRAPH] * FACES
    with store.snapshot(store.gallery("people").key) as snapshot:
        by_subject = [subject.embeddings for subjects in snapshot.subjects for subject in subjects]
    assert sum(len(rows) for rows in by_subject) == FACES


def on_disk(url: str) -> bytes:
    path = Path(url.removeprefix("sqlite:///"))
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def plain_parts(url: str) -> int:
    """Count the embeddings and photographs of which anything lies plainly in the files of a SQLite database."""
    held = on_disk(url)
    parts = [row.tobytes()[8:24] for row in unit_rows(FACES)] + [PHOTOGRAPH[100:116]]
    return sum(part in held for part in parts)


def test_a_store_with_keys_gives_what_it_was_given(store_url: str) -> None:
    with Store.open(store_url, keys=KeyRing([OLD])) as store:
        fill(store)
        assert_intact(store)
        assert counts(store) == [{"old": FACES}] * 2
        assert store.is_rotated()
    with Store.open(store_url, keys=KeyRing([OLD])) as store:
        assert_intact(store)


def test_nothing_of_a_face_lies_in_the_files(tmp_path: Path) -> None:
    plain, sealed = f"sqlite:///{tmp_path}/plain.db", f"sqlite:///{tmp_path}/sealed.db"
    for url, keys in ((plain, NO_KEYS), (sealed, KeyRing([OLD]))):
        with Store.open(url, keys=keys) as store:
            fill(store)
    assert plain_parts(plain) == FACES + 1
    assert plain_parts(sealed) == 0


def test_tokens_need_no_key(store_url: str) -> None:
    with Store.open(store_url, keys=KeyRing([OLD])) as store:
        fill(store)
    with Store.open(store_url, keys=None) as store:
        assert store.gallery("people").gallery_id == "people"
        with pytest.raises(KeyMissing):
            list(store.load_faces(store.gallery("people").key))


def test_a_store_does_not_open_without_the_key_or_with_another_of_its_id(store_url: str) -> None:
    with Store.open(store_url, keys=KeyRing([OLD])) as store:
        fill(store)
    for keys, error in (
        (NO_KEYS, KeyMissing),
        (KeyRing([NEW]), KeyMissing),
        (KeyRing([Key.generate("old")]), KeyWrong),
    ):
        with pytest.raises(error, match="'old'"):
            Store.open(store_url, keys=keys)
    with Store.open(store_url, keys=KeyRing([OLD])) as store:
        assert_intact(store)


@pytest.mark.parametrize("swapped", ["embedding", "subject_key", "gallery_key"])
def test_rows_that_are_swapped_in_the_database_do_not_open(store_url: str, swapped: str) -> None:
    with Store.open(store_url, keys=KeyRing([OLD])) as store:
        gallery = fill(store)
        write(store, lambda t: t.create_gallery("others", gallery.settings, gallery.profile.key))
        other = store.gallery("others").key if swapped == "gallery_key" else None
        with store._engines.writing.begin() as connection:
            first, second = connection.execute(
                text(f"SELECT face_id, {swapped} FROM faces ORDER BY face_id LIMIT 2")
            ).all()
            statement = text(f"UPDATE faces SET {swapped} = :value WHERE face_id = :face_id")
            connection.execute(statement, {"value": other or second[1], "face_id": first[0]})
        which = f"the embedding of face {first[0]} of gallery {other or gallery.key} .* changed or moved"
        with pytest.raises(SealBroken, match=which):
            list(store.load_faces(other or gallery.key))


def rotated(url: str, keys: KeyRing) -> int:
    with Store.open(url, keys=keys) as store:
        told: list[int] = []
        changed = reseal_all(store.submit, told.append)
        assert sum(told) == changed
        store.compact()
        write(store, lambda t: t.finish_rotation())
        assert store.is_rotated()
        assert store.is_finished()
        return changed


def test_a_plain_store_is_encrypted_gets_another_key_and_becomes_plain_again(store_url: str) -> None:
    with Store.open(store_url) as store:
        fill(store)
        assert counts(store) == [{PLAIN: FACES}] * 2
    for ring, opens, key_id in (
        (KeyRing([OLD]), KeyRing([OLD]), "old"),
        (KeyRing([NEW, OLD]), KeyRing([NEW]), "new"),
        (KeyRing([NEW]).without_sealing(), NO_KEYS, PLAIN),
    ):
        assert rotated(store_url, ring) == 2 * FACES
        with Store.open(store_url, keys=opens) as store:
            assert_intact(store)
            assert counts(store) == [{key_id: FACES}] * 2
        assert rotated(store_url, ring if key_id else NO_KEYS) == 0


def test_after_a_rotation_nothing_plain_is_left_in_the_files(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gallery.db"
    with Store.open(url) as store:
        fill(store)
    assert plain_parts(url) == FACES + 1
    rotated(url, KeyRing([OLD]))
    assert plain_parts(url) == 0


def test_a_rotation_that_was_broken_off_goes_on_and_a_server_serves_what_is_half_done(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(store_url) as store:
        fill(store)
    done = RotationWrites.reseal
    monkeypatch.setattr(
        "ersgallery_server.store.rotation.SEALED", tuple(replace(kind, chunk_rows=7) for kind in SEALED)
    )

    def broken(transaction: WriteTransaction, kind: object, after: int) -> tuple[int | None, int]:
        if after > 20:
            raise RuntimeError("killed")
        return done(transaction, kind, after)  # type: ignore[arg-type] # as it came

    with monkeypatch.context() as during, Store.open(store_url, keys=KeyRing([OLD])) as store:
        during.setattr(RotationWrites, "reseal", broken)
        with pytest.raises(RuntimeError, match="killed"):
            reseal_all(store.submit, lambda _: None)
        half = counts(store)[0]
        assert set(half) == {PLAIN, "old"}
        assert not store.is_rotated()
    with pytest.raises(KeyMissing):
        Store.open(store_url)
    with Store.open(store_url, keys=KeyRing([OLD])) as store:
        assert_intact(store)
    assert rotated(store_url, KeyRing([OLD])) == half[PLAIN] + FACES
    with Store.open(store_url, keys=KeyRing([OLD])) as store:
        assert_intact(store)


def test_a_profile_change_scores_encrypted_faces(store_url: str) -> None:
    with Store.open(store_url, keys=KeyRing([OLD])) as store:
        gallery = fill(store)
        profile = create_profile(store, "other", 9)
        seen: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []

        def score(
            rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
        ) -> Sequence[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
            seen.append(rows)
            return np.full(len(rows), 0.5), np.full(len(rows), 0.5)

        write(store, lambda t: t.rescore(gallery.key, profile.key, score))  # type: ignore[arg-type] # a pair
        np.testing.assert_array_equal(np.concatenate(seen), unit_rows(FACES, 0, DIMENSION))
        assert_intact(store)
