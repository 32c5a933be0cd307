"""Signing: the parts that the published vectors leave open, and the dates."""

from __future__ import annotations

import calendar
from datetime import datetime, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotaware.credentials import Credentials
from rotaware.sigv4 import (
    Request,
    Signer,
    amz_date,
    canonical_request,
    string_to_sign,
    utc_seconds,
)

NOON = 1_440_938_160.0  # 2015-08-30 12:36:00
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


def _request(path: str = "/", query: str = "", *headers: tuple[str, str]) -> Request:
    return Request("POST", path, query, (("Host", "h.test"), *headers), b"")


def _authorization(request: Request) -> str:
    return dict(request.headers)["Authorization"]


def test_a_request_is_signed_for_its_day_region_and_service() -> None:
    """The Authorization header names key, scope and signed headers."""
    signed = Signer("service", "us-east-1").sign(_request(), KEYS, NOON)

    assert signed.headers[1] == ("X-Amz-Date", "20150830T123600Z")
    assert _authorization(signed).startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
        "aws4_request, SignedHeaders=host;x-amz-date, Signature="
    )


def test_a_session_token_is_sent_and_signed() -> None:
    """Temporary credentials put their token among the signed headers."""
    keys = Credentials("AKIDEXAMPLE", "secret", "token")

    signed = Signer("service", "us-east-1").sign(_request(), keys, NOON)

    assert dict(signed.headers)["X-Amz-Security-Token"] == "token"
    assert "host;x-amz-date;x-amz-security-token" in _authorization(signed)


def test_a_request_is_shown_without_what_it_holds() -> None:
    """The session token, the signature and the body are in no repr."""
    keys = Credentials("AKIDEXAMPLE", "secret", "canary")
    request = _request("/a", "b=c")._replace(body=b"canary")

    signed = Signer("service", "us-east-1").sign(request, keys, NOON)

    assert "<Request POST /a>" == repr(signed)


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        pytest.param(KEYS, NOON + 86400, id="the next day"),
        pytest.param(Credentials("AKIDEXAMPLE", "another"), NOON, id="another key"),
    ],
)
def test_a_kept_signing_key_serves_its_day_and_secret_only(
    keys: Credentials, seconds: float
) -> None:
    """A signer that has signed before signs as a new one does."""
    used = Signer("service", "us-east-1")
    first = used.sign(_request(), KEYS, NOON)

    assert first == used.sign(_request(), KEYS, NOON)
    assert Signer("service", "us-east-1").sign(_request(), keys, seconds) == used.sign(
        _request(), keys, seconds
    )


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/..", "/"),
        ("/a/../..", "/"),
        ("/a/./b/", "/a/b/"),
        ("/a//b", "/a/b"),
        ("/a/..//", "/"),
        ("/a b%20ä", "/a%20b%2520%C3%A4"),
        ("/-._~", "/-._~"),
    ],
)
def test_a_path_is_normalised_and_encoded_once_more(path: str, canonical: str) -> None:
    """Dot segments and empty ones go; what is encoded is encoded again."""
    text, _ = canonical_request(_request(path))

    assert canonical == text.split("\n")[1]


@pytest.mark.parametrize(
    ("query", "canonical"),
    [("", ""), ("b=2&a=1", "a=1&b=2"), ("a=2&a=1&a", "a=&a=1&a=2"), ("&a=1&", "a=1")],
)
def test_a_query_is_sorted(query: str, canonical: str) -> None:
    """Parameters stand in order of name, then value, each with an equals sign."""
    text, _ = canonical_request(_request("/", query))

    assert canonical == text.split("\n")[2]


def test_headers_are_folded_trimmed_and_sorted() -> None:
    """A header that stands twice is one line; runs of white space are one space."""
    text, names = canonical_request(
        _request("/", "", ("B", " 1  2 "), ("a", "x"), ("b", "3"))
    )

    assert names == "a;b;host"
    assert text.split("\n")[3:7] == ["a:x", "b:1 2,3", "host:h.test", ""]


def test_the_string_to_sign_holds_a_hash_of_the_request() -> None:
    """Algorithm, date, scope and the canonical request's hash, a line each."""
    text = string_to_sign("20150830T123600Z", "scope", "")

    assert text == (
        "AWS4-HMAC-SHA256\n20150830T123600Z\nscope\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


@given(st.integers(0, 253402300799))
@example(951782400)  # 2000-02-29
@example(4107542399)  # 2100-02-28, the last second before a March
def test_dates_agree_with_the_standard_library(seconds: int) -> None:
    """Both directions of the date arithmetic are the standard library's."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)

    assert moment.strftime("%Y%m%dT%H%M%SZ").zfill(16) == amz_date(seconds)
    assert calendar.timegm(moment.timetuple()) == utc_seconds(*moment.timetuple()[:6])
