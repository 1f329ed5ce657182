"""Keys: how they are given, and what they seal."""

from pathlib import Path

import pytest
from ersgallery_server.keys import (
    NO_KEYS,
    OVERHEAD_BYTES,
    Key,
    KeyMissing,
    KeyRing,
    KeysUnusable,
    SealBroken,
    sealing_key_id,
)

OLD, NEW = Key.generate("old"), Key.generate("new")
PLACES = [b"a", b"b", b"c"]
CONTENTS = [b"one", b"", bytes(2048)]


def test_what_the_first_key_sealed_opens_with_any_ring_that_has_it() -> None:
    sealed = KeyRing([OLD]).seal("face", PLACES, CONTENTS)
    assert KeyRing([NEW, OLD]).open("face", PLACES, sealed) == CONTENTS
    assert [sealing_key_id(each) for each in sealed] == ["old"] * 3
    assert [len(each) for each in sealed] == [len(content) + OVERHEAD_BYTES for content in CONTENTS]
    assert [sealing_key_id(each) for each in KeyRing([NEW, OLD]).seal("face", PLACES, CONTENTS)] == ["new"] * 3


def test_nothing_is_sealed_twice_in_the_same_way() -> None:
    ring = KeyRing([OLD])
    assert len(set(ring.seal("face", [b""] * 100, [b"same"] * 100))) == 100


def test_without_keys_contents_stay_what_they_are() -> None:
    assert NO_KEYS.seal("face", PLACES, CONTENTS) == CONTENTS
    assert KeyRing([OLD]).open("face", PLACES, CONTENTS) == CONTENTS
    assert KeyRing([OLD]).without_sealing().seal("face", PLACES, CONTENTS) == CONTENTS


def test_what_is_sealed_opens_in_no_other_place_for_no_other_purpose_and_with_no_other_key() -> None:
    sealed = KeyRing([OLD]).seal("face", PLACES, CONTENTS)
    for purpose, places, ring in (
        ("face", [b"b", b"a", b"c"], KeyRing([OLD])),
        ("image", PLACES, KeyRing([OLD])),
        ("face", PLACES, KeyRing([Key.generate("old")])),
    ):
        with pytest.raises(SealBroken, match="'old'"):
            ring.open(purpose, places, sealed)
    with pytest.raises(KeyMissing, match="'old'"):
        KeyRing([NEW]).open("face", PLACES, sealed)


def test_any_changed_byte_behind_the_magic_is_noticed() -> None:
    (sealed,) = KeyRing([OLD]).seal("face", [b"a"], [b"content"])
    for position in range(4, len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises((SealBroken, KeyMissing)):
            KeyRing([OLD]).open("face", [b"a"], [bytes(changed)])


def test_a_file_has_one_key_a_line_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# the first encrypts\n{NEW.text}\n\n{OLD.text}\n")
    path.chmod(0o640)
    with pytest.raises(KeysUnusable, match="chmod 600"):
        KeyRing.of_file(path)
    path.chmod(0o600)
    ring = KeyRing.of_file(path)
    assert (ring.current, ring.key("old")) == (NEW, OLD)
    path.write_bytes(NEW.text.encode() + b"\xff")
    with pytest.raises(KeysUnusable, match="no text in UTF-8") as refused:
        KeyRing.of_file(path)
    assert refused.value.__cause__ is None
    path.write_text("# nothing yet\n")
    with pytest.raises(KeysUnusable, match="no key"):
        KeyRing.of_file(path)


@pytest.mark.parametrize(
    "text", ["", "2026", "2026:", "2026:AAAA", "UPPER:AAAA", "2026:" + "A" * 43 + "é", "x" * 17 + ":"]
)
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(KeysUnusable) as refused:
        Key.parse(text)
    assert "AAAA" not in str(refused.value)


def test_two_keys_of_one_id_are_refused() -> None:
    with pytest.raises(KeysUnusable, match="same id"):
        KeyRing.parse(f"{OLD.text},{Key.generate('old').text}")


def test_no_repr_has_a_secret() -> None:
    ring = KeyRing([OLD])
    shown = f"{ring!r} {OLD!r} {ring!s} {KeyRing}"
    assert OLD.text.partition(":")[2] not in shown
    assert repr(OLD.secret) not in shown
