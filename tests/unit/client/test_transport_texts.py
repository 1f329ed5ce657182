"""The words of gRPC that mean something; those of several of its versions."""

import pytest
from ersgallery_client.errors import GalleryError, HandshakeFailed, MessageTooLarge, ServerUnreachable
from ersgallery_client.transport_texts import error_from_text

CONNECTING = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "


def read(code: str, text: str) -> GalleryError:
    error = error_from_text(code, text)
    assert error is not None
    assert error.code == code
    return error


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "SERVER: Received message larger than max (500 vs. 400)",
            "the request has 500 bytes; the server's limit is 400",
        ),
        ("Received message larger than max (500 vs. 400)", "the answer has 500 bytes; the client's limit is 400"),
        (
            "CLIENT: Received message larger than max (500 vs. 400)",
            "the answer has 500 bytes; the client's limit is 400",
        ),
        ("CLIENT: Sent message larger than max (500 vs. 400)", "the request has 500 bytes; the client's limit is 400"),
    ],
)
def test_a_message_that_is_too_large_is_not_an_overload(text: str, words: str) -> None:
    error = read("RESOURCE_EXHAUSTED", text)
    assert type(error) is MessageTooLarge
    assert words in error.message
    assert (error.metadata["bytes"], error.metadata["limit_bytes"]) == ("500", "400")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "Ssl handshake failed (TSI_PROTOCOL_FAILURE): ...OPENSSL_internal:WRONG_VERSION_NUMBER: ...",
            "does not speak TLS",
        ),
        ("...CERTIFICATE_VERIFY_FAILED: certificate has expired: OK", "not accepted (certificate has expired)"),
        ("...CERTIFICATE_VERIFY_FAILED", "not accepted (it cannot be verified)"),
        (
            "Custom verification check failed with error: UNAUTHENTICATED: Hostname Verification Check failed.",
            "another name",
        ),
        ("Peer name localhost is not in peer certificate", "another name"),
        ("Socket closed", "closed the connection at once"),
        ("recvmsg:Connection reset by peer", "closed the connection at once"),
    ],
)
def test_a_handshake_that_fails_comes_with_advice(text: str, words: str) -> None:
    error = read("UNAVAILABLE", CONNECTING + text)
    assert type(error) is HandshakeFailed
    assert words in error.message


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("UNAVAILABLE", CONNECTING + "Failed to connect to remote host: Connection refused"),
        ("UNAVAILABLE", "Socket closed"),
        ("RESOURCE_EXHAUSTED", "the queue is full"),
        ("INTERNAL", "SERVER: Received message larger than max (500 vs. 400)"),
    ],
)
def test_other_texts_mean_nothing(code: str, text: str) -> None:
    assert error_from_text(code, text) is None


def test_a_call_that_the_server_reset_is_told_from_one_that_was_cancelled_here() -> None:
    assert type(read("CANCELLED", "CANCELLED")) is ServerUnreachable
    for text in ("Channel closed!", "Locally cancelled by application!"):
        assert error_from_text("CANCELLED", text) is None
