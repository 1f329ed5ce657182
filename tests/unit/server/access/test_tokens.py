"""The text of a token: found by its id, guessed by nobody, and not told by anything that is printed."""

import datetime as dt
import hashlib
import re
from pathlib import Path

import pytest
from ersgallery_server.access.tokens import PREFIX, digest_of, id_of, new_token
from ersgallery_server.call import Call
from ersgallery_server.config import Settings, TlsFiles
from ersgallery_server.exposure import is_loopback, missing_protection
from ersgallery_server.grants import EVERYTHING, TokenRecord

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_a_token_has_256_random_bits_behind_a_prefix_and_its_id() -> None:
    made = [new_token() for _ in range(1000)]
    assert len({text for _, text in made}) == len({token_id for token_id, _ in made}) == 1000
    for token_id, text in made:
        assert re.fullmatch(rf"{PREFIX}[0-9a-f]{{16}}_[A-Za-z0-9_-]{{43}}", text)
        assert id_of(text) == token_id
        assert digest_of(text) == hashlib.sha256(text.encode()).digest()


@pytest.mark.parametrize(
    "text", ["", "ersg_", "x" * 1000, "ersg_0123456789abcdef_short", "ersg_0123456789ABCDEF_" + "a" * 43]
)
def test_another_text_has_no_id(text: str) -> None:
    assert id_of(text) is None


def test_a_record_prints_no_digest() -> None:
    record = TokenRecord("ab" * 8, "door", b"\x01secret\x02", EVERYTHING, NOW)
    assert "secret" not in repr(record)


def test_a_call_prints_no_token() -> None:
    assert "ersg_" not in repr(Call(metadata=(("authorization", "Bearer ersg_secret"),)))


def test_a_token_is_valid_until_it_expires_or_is_revoked() -> None:
    def valid(expire_time: dt.datetime | None, revoke_time: dt.datetime | None) -> bool:
        record = TokenRecord("a", "a", b"", EVERYTHING, NOW, expire_time=expire_time, revoke_time=revoke_time)
        return record.is_valid(NOW)

    second = dt.timedelta(seconds=1)
    assert valid(None, None)
    assert valid(NOW + second, None)
    assert not valid(NOW, None)
    assert not valid(NOW - second, None)
    assert not valid(None, NOW - second)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_protection(host: str) -> None:
    assert is_loopback(host)
    assert missing_protection(host, encrypted=False, callers_known=False) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "192.168.1.5", "example.org", "", "127.0.0.1.example.org"])
def test_what_others_can_reach_is_told_what_it_lacks(host: str) -> None:
    assert missing_protection(host, encrypted=False, callers_known=False) == "TLS and tokens"
    assert missing_protection(host, encrypted=True, callers_known=False) == "tokens"
    assert missing_protection(host, encrypted=False, callers_known=True) == "TLS"
    assert missing_protection(host, encrypted=True, callers_known=True) == ""


def test_a_certificate_of_the_caller_counts_as_being_known_and_tokens_are_needed_beyond_loopback() -> None:
    def served(host: str, tls: TlsFiles | None = None, *, required: bool | None = None) -> tuple[bool, str]:
        told = Settings(Path("data"), Path("models"), host=host, tls=tls, require_tokens=required)
        return told.tokens_required, told.missing_protection

    one_sided, mutual = TlsFiles(Path("c"), Path("k")), TlsFiles(Path("c"), Path("k"), Path("a"))
    assert served("127.0.0.1") == (False, "")
    assert served("127.0.0.1", required=True) == (True, "")
    assert served("0.0.0.0") == (True, "TLS")
    assert served("0.0.0.0", one_sided) == (True, "")
    assert served("0.0.0.0", one_sided, required=False) == (False, "tokens")
    assert served("0.0.0.0", mutual, required=False) == (False, "")
