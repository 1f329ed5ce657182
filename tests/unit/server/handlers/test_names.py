"""Resource names and page tokens."""

import unicodedata

import pytest
from ersgallery_server.errors import InvalidRequest, PageTokenInvalid
from ersgallery_server.handlers import names, paging
from hypothesis import given
from hypothesis import strategies as st

subject_ids = st.from_regex(names.SUBJECT_ID, fullmatch=True)


@given(subject_ids, st.integers(0, 2**59))
def test_a_name_is_parsed_into_what_it_was_made_of(subject_id: str, face_id: int) -> None:
    normal = unicodedata.normalize("NFC", subject_id)
    assert names.parse_face("name", names.face_name("g", subject_id, face_id)) == ("g", normal, face_id)
    assert names.parse_subject("name", names.subject_name("g", subject_id)) == ("g", normal)


@pytest.mark.parametrize(
    "name",
    ["", "g", "galleries/", "galleries/G", "galleries/g/subjects/s", "/galleries/g", "galleries/g\n", "galleries/-"],
)
def test_a_wrong_gallery_name_says_how_it_should_be(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"name: must be galleries/\{gallery\}"):
        names.parse_gallery("name", name)


@pytest.mark.parametrize("name", ["profiles/p@0", "profiles/p@x", "profiles/P", "p", "profiles/p@", "profiles/p@1@2"])
def test_a_wrong_profile_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        names.parse_profile("profile", name)


def test_a_profile_without_a_version_means_the_newest() -> None:
    assert names.parse_profile("profile", "profiles/p") == ("p", None)
    assert names.parse_profile("profile", "profiles/p@12") == ("p", 12)


@given(st.text(min_size=1), st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))
def test_a_page_token_gives_its_key_back_to_its_own_list_alone(key: str, listing: str) -> None:
    key = key.encode("utf-8", "ignore").decode()
    token = paging.page_token(listing, key)
    assert paging.page_key(listing, token) == key
    with pytest.raises(PageTokenInvalid):
        paging.page_key(listing + "x", token)


@given(st.text())
def test_any_other_text_is_no_page_token(text: str) -> None:
    if text:
        with pytest.raises(PageTokenInvalid):
            paging.page_key("galleries", text)


def test_page_sizes_have_a_default_and_limits() -> None:
    assert [paging.page_size(size) for size in (0, 1, 1000)] == [50, 1, 1000]
    for size in (-1, 1001):
        with pytest.raises(InvalidRequest):
            paging.page_size(size)
