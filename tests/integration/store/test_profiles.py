"""Profiles are versioned, immutable and come back bit by bit."""

import datetime as dt

import numpy as np
import pytest
from ersgallery_server.store import PageKeyInvalid, ProfileNotFound, Store

from tests.support.stores import create_profile, make_profile, write


@pytest.mark.parametrize("mean", [False, True])
def test_a_profile_comes_back_bit_by_bit(store: Store, mean: bool) -> None:
    made = make_profile(3, centroids=4, mean=mean)
    write(store, lambda t: t.create_profile("sface", made, description="of clean faces", sha256="ab"))
    stored = store.profile("sface")
    assert np.array_equal(stored.profile.centroids, made.centroids)
    assert (stored.profile.mean is None) == (made.mean is None)
    assert made.mean is None or np.array_equal(stored.profile.mean, made.mean)  # type: ignore[arg-type] # is None with it
    assert (stored.profile.model, stored.profile.gamma) == ("made", 0.3)
    assert (stored.reference, stored.description, stored.sha256) == ("sface@1", "of clean faces", "ab")
    assert stored.create_time.tzinfo is dt.UTC
    assert store.profile_by_key(stored.key).reference == "sface@1"


def test_another_digest_makes_the_next_version_and_the_same_makes_none(store: Store) -> None:
    first = create_profile(store, "sface", seed=1)
    assert create_profile(store, "sface", seed=1).key == first.key
    second = create_profile(store, "sface", seed=2)
    assert (first.version, second.version) == (1, 2)
    assert create_profile(store, "sface", seed=1).version == 3, "only the newest is compared"
    assert store.profile("sface").version == 3
    assert store.profile("sface", 2).sha256 == "2"


@pytest.mark.parametrize("version", [None, 7, 1 << 70])
def test_a_profile_that_is_not_there_is_named(store: Store, version: int | None) -> None:
    with pytest.raises(ProfileNotFound, match="nobody"):
        store.profile("nobody", version)


def test_an_unknown_key_is_no_profile(store: Store) -> None:
    with pytest.raises(ProfileNotFound):
        store.profile_by_key(99)


def test_profiles_are_listed_by_id_and_number_of_version(store: Store) -> None:
    for seed in range(11):
        create_profile(store, "b", seed=seed)
    create_profile(store, "a")
    listed, after = [], None
    while True:
        page = store.list_profiles(5, after)
        listed += [profile.reference for profile in page.items]
        if (after := page.next_key) is None:
            break
    assert listed == ["a@1", *(f"b@{version}" for version in range(1, 12))]


@pytest.mark.parametrize("key", ["", "b", "b@", "b@x", "b@-1", "b\0@1", "b@99999999999999999999"])
def test_a_made_up_page_key_is_refused(store: Store, key: str) -> None:
    with pytest.raises(PageKeyInvalid):
        store.list_profiles(5, key)
