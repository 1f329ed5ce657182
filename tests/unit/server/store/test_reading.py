"""Page keys are checked before they reach a database."""

import pytest
from ersgallery_server.store import PageKeyInvalid
from ersgallery_server.store.reading import integer_page_key, text_page_key


@pytest.mark.parametrize("key", ["0", "7", str((1 << 63) - 1)])
def test_a_number_of_64_bits_is_a_page_key(key: str) -> None:
    assert integer_page_key(key) == int(key)


@pytest.mark.parametrize("key", ["", "-1", "+1", " 1", "1_0", "٣", "1e3", str(1 << 63), "9" * 5000])
def test_anything_else_is_none(key: str) -> None:
    with pytest.raises(PageKeyInvalid):
        integer_page_key(key)


def test_text_is_a_page_key_unless_postgresql_cannot_hold_it() -> None:
    assert text_page_key("Ä'%s") == "Ä'%s"
    with pytest.raises(PageKeyInvalid):
        text_page_key("a\0")
