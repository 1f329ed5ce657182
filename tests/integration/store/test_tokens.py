"""Tokens in the store: what they permit comes back, changes are noticed, and no secret is in the files."""

import datetime as dt
import hmac
import threading
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path

import pytest
from ersgallery_server.access import TokenDirectory
from ersgallery_server.access.tokens import digest_of, new_token
from ersgallery_server.grants import Grant, Scope
from ersgallery_server.store import Store, StoreOverloaded, StoreUnavailable, TokenExists, TokenNotFound

from tests.support.stores import write
from tests.support.tokens import create_token
from tests.support.waiting import until

HOUR = dt.timedelta(hours=1)
SLOW_S = 1e6
"""A directory that looks so seldom looks only when a test tells it to."""


def revoke(store: Store, name: str) -> None:
    write(store, lambda t: t.revoke_token(name))


def test_a_token_comes_back_with_what_it_permits(store: Store) -> None:
    expire_time = dt.datetime.now(dt.UTC) + HOUR
    text = create_token(
        store, "door", [Scope.READ, Scope.IDENTIFY], ["a", "b"], expire_time=expire_time, max_calls_per_second=2.5
    )
    create_token(store, "ops")
    door, ops = store.tokens()
    assert door.grant == Grant(frozenset({Scope.READ, Scope.IDENTIFY}), frozenset({"a", "b"}), 2.5)
    assert (door.name, door.digest, door.expire_time) == ("door", digest_of(text), expire_time)
    assert (door.last_use_time, door.revoke_time) == (None, None)
    assert ops.grant == Grant(frozenset(Scope), None, None)


def test_a_name_is_free_again_once_its_token_is_revoked(store: Store) -> None:
    create_token(store, "door")
    with pytest.raises(TokenExists, match="door"):
        create_token(store, "door")
    revoke(store, "door")
    with pytest.raises(TokenNotFound, match="door"):
        revoke(store, "door")
    create_token(store, "door")
    assert [token.revoke_time is None for token in store.tokens()] == [False, True]


def test_every_making_and_revoking_is_noticed(store: Store) -> None:
    changes = [store.token_change()]
    for change in (
        lambda: create_token(store, "a"),
        lambda: create_token(store, "b"),
        lambda: revoke(store, "a"),
        lambda: revoke(store, "b"),
    ):
        change()
        changes.append(store.token_change())
    assert changes == sorted(set(changes))


def test_a_directory_follows_the_store_and_forgets_no_refusal(store: Store) -> None:
    directory = TokenDirectory(store, every_s=SLOW_S)
    text = create_token(store, "door")
    assert directory.find(text) is None
    directory.refresh()
    found = directory.find(text)
    assert found is not None
    assert found.name == "door"
    assert directory.find(text[:-1] + ("A" if text[-1] != "A" else "B")) is None
    assert directory.find(new_token()[1]) is None
    revoke(store, "door")
    directory.refresh()
    assert directory.find(text) is None
    directory.close()


@pytest.mark.parametrize("kind", ["right", "wrong", "unknown", "none"])
def test_every_token_is_compared_in_constant_time(store: Store, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    text = create_token(store, "door")
    texts = {"right": text, "wrong": text[:-2] + "--", "unknown": new_token()[1], "none": "x"}
    directory = TokenDirectory(store, every_s=SLOW_S)
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare_digest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert (directory.find(texts[kind]) is not None) == (kind == "right")
    assert compared == [(32, 32)]
    directory.close()


def test_a_token_expires_without_anybody_looking_at_the_store(store: Store) -> None:
    now = [dt.datetime.now(dt.UTC)]
    text = create_token(store, "door", expire_time=now[0] + HOUR)
    directory = TokenDirectory(store, every_s=SLOW_S, now=lambda: now[0])
    assert directory.find(text) is not None
    now[0] += HOUR
    assert directory.find(text) is None
    directory.close()


def test_use_is_written_down_once_an_hour(store: Store) -> None:
    now = [dt.datetime.now(dt.UTC)]
    text = create_token(store, "door")
    create_token(store, "idle")
    directory = TokenDirectory(store, every_s=SLOW_S, now=lambda: now[0])
    times: list[dt.datetime] = []
    for pause in (dt.timedelta(), HOUR / 2, HOUR):
        now[0] += pause
        directory.find(text)
        directory.refresh()
        if directory._noting is not None:
            directory._noting.result()
            directory.refresh()
        used, idle = (token.last_use_time for token in store.tokens())
        assert idle is None
        assert used is not None
        times.append(used)
    assert times[0] == times[1] < times[2]
    directory.close()


def test_known_tokens_stay_valid_while_the_store_is_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    text = create_token(store, "door")
    directory = TokenDirectory(store, every_s=0.01)

    def away() -> int:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(store, "token_change", away)
        with pytest.raises(StoreUnavailable):
            directory.refresh()
        assert directory.find(text) is not None
    revoke(store, "door")
    directory.refresh()
    assert directory.find(text) is None
    directory.close()


def test_revoking_takes_effect_while_nothing_can_be_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    text = create_token(store, "door")
    directory = TokenDirectory(store, every_s=SLOW_S)
    assert directory.find(text) is not None, "its use is to be written down"
    revoke(store, "door")

    def overloaded(*_: object) -> object:
        raise StoreOverloaded(1)

    monkeypatch.setattr(store, "submit", overloaded)
    with suppress(StoreOverloaded):
        directory.refresh()
    assert directory.find(text) is None
    directory.close()


def test_a_look_waits_for_no_write(store: Store) -> None:
    text = create_token(store, "door")
    directory = TokenDirectory(store, every_s=SLOW_S)
    assert directory.find(text) is not None, "its use is to be written down"
    revoke(store, "door")
    free = threading.Event()
    held = store.submit(lambda _: free.wait(60))
    looking = threading.Thread(target=directory.refresh)
    looking.start()
    looking.join(10)
    found = directory.find(text)
    free.set()
    held.result()
    looking.join()
    assert found is None
    directory.close()


def test_a_look_that_fails_in_whatever_way_is_not_the_last(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    text = create_token(store, "door")
    directory = TokenDirectory(store, every_s=0.01)
    failed = threading.Event()

    def broken() -> int:
        failed.set()
        raise ValueError("a scope that this version does not know")

    with monkeypatch.context() as patch:
        patch.setattr(store, "token_change", broken)
        assert failed.wait(60)
    revoke(store, "door")
    until(lambda: directory.find(text) is None)
    directory.close()


def test_a_million_wrong_tokens_leave_nothing_behind(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/gallery.db") as store:
        text = create_token(store, "door")
        directory = TokenDirectory(store, every_s=SLOW_S)
        known, size = dict(directory._tokens), len(vars(directory))
        stem, tail = text[:22], text[28:]
        wrong = (f"{stem}{number:06d}{tail}" if number % 2 else f"x{number}" for number in range(1_000_000))
        assert not any(directory.find(each) for each in wrong if each != text)
        assert (directory._tokens, directory._used, len(vars(directory))) == (known, set(), size)
        assert directory.find(text) is not None
        directory.close()


def test_no_secret_is_in_the_database(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/gallery.db") as store:
        text = create_token(store, "door")
        TokenDirectory(store, every_s=SLOW_S).close()
        secret = text.split("_", 2)[2].encode()
        assert all(secret not in path.read_bytes() for path in tmp_path.iterdir())
        assert any(text.split("_")[1].encode() in path.read_bytes() for path in tmp_path.iterdir())
