"""HTTP/1.1 as the local port speaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension.http1 import (
    Request,
    Response,
    is_hopeless,
    parse_head,
    render,
    unquote,
)
from rotaware.errors import RequestError

HOST = b"\r\nHost: localhost"


def request(target: str, **fields: str) -> Request:
    """A GET that keeps its connection; fields besides Host, with ``_`` for a hyphen."""
    path, _, query = target.partition("?")
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return Request("GET", path, query, {"host": "localhost"} | headers, keep_alive=True)


def test_a_request_is_shown_without_its_headers() -> None:
    """The token that a reader sends is in no repr."""
    shown = repr(request("/a?b=c", x_vault_token="canary"))

    assert "<Request GET /a>" == shown


def test_an_answer_is_shown_without_its_body() -> None:
    """The secret that a reader is sent is in no repr."""
    assert "<Response 200, 6 bytes>" == repr(Response(200, b"canary"))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: a:1", request("/", host="a:1")),
        (b"GET /a/%2F?b=c&d=?e HTTP/1.1" + HOST, request("/a/%2F?b=c&d=?e")),
        (b"GET /? HTTP/1.1" + HOST, request("/")),
        (b"GET /caf\xc3\xa9 HTTP/1.1" + HOST, request("/caf\xc3\xa9")),
        (b"GET /voil\xc3\xa0 HTTP/1.1" + HOST, request("/voil\xc3\xa0")),
        (b"GET / HTTP/1.1" + HOST + b"\r\nX: \x80\xff", request("/", x="\x80\xff")),
        (b"GET / HTTP/1.1" + HOST + b"\r\nX-Empty:", request("/", x_empty="")),
        (
            b"GET / HTTP/1.1" + HOST + b"\r\nx-TABS:\t a\tb \t",
            request("/", x_tabs="a\tb"),
        ),
        (
            b"GET / HTTP/1.1" + HOST + b"\r\nAccept: a\r\naccept: b",
            request("/", accept="a, b"),
        ),
        (
            b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 0",
            request("/", content_length="0"),
        ),
        (b"GET / HTTP/1.0", Request("GET", "/", "", {}, keep_alive=False)),
        (
            b"BREW / HTTP/1.1" + HOST,
            request("/")._replace(method="BREW", keep_alive=False),
        ),
    ],
)
def test_well_formed_heads(head: bytes, expected: Request) -> None:
    """A head is read as it was sent: names in lower case, nothing decoded."""
    assert expected == parse_head(head)


@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"\r\nConnection: close", False),
        (b"1.1", b"\r\nConnection: Close", False),
        (b"1.1", b"\r\nConnection: upgrade , CLOSE", False),
        (b"1.1", b"\r\nConnection: keep-alive\r\nConnection: close", False),
        (b"1.1", b"\r\nConnection: keep-alive", True),
        (b"1.1", b"\r\nConnection: x-closer", True),
        (b"1.0", b"", False),
        (b"1.0", b"\r\nConnection: Keep-Alive", True),
        (b"1.0", b"\r\nConnection: keep-alive, close", False),
    ],
)
def test_when_a_connection_is_kept(
    version: bytes, connection: bytes, *, expected: bool
) -> None:
    """HTTP/1.1 keeps it unless told to close; HTTP/1.0 the other way round."""
    assert (
        expected == parse_head(b"GET / HTTP/" + version + HOST + connection).keep_alive
    )


@pytest.mark.parametrize("method", [b"HEAD", b"POST", b"OPTIONS"])
def test_after_another_method_the_connection_ends(method: bytes) -> None:
    """A client of HEAD expects no body: it would take ours for the next answer."""
    assert not parse_head(method + b" / HTTP/1.1" + HOST).keep_alive


@pytest.mark.parametrize(
    ("head", "status"),
    [
        # The request line.
        (b"", 400),
        (b"\r\nGET / HTTP/1.1" + HOST, 400),
        (b"GET /", 400),  # HTTP/0.9
        (b"GET  / HTTP/1.1" + HOST, 400),
        (b" GET / HTTP/1.1" + HOST, 400),
        (b"GET / HTTP/1.1 " + HOST, 400),
        (b" / HTTP/1.1" + HOST, 400),
        (b"GET\t/\tHTTP/1.1" + HOST, 400),
        (b"GET /a\tb HTTP/1.1" + HOST, 400),
        (b"GET /a\x00b HTTP/1.1" + HOST, 400),
        (b"GET /a\rb HTTP/1.1" + HOST, 400),
        (b"GET /a\x7fb HTTP/1.1" + HOST, 400),
        (b"GET / HTTP/1.1\r" + HOST, 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\n", 400),
        (b"GET /\nHost: localhost HTTP/1.1" + HOST, 400),
        (b"G(T / HTTP/1.1" + HOST, 400),
        (b"GET * HTTP/1.1" + HOST, 400),
        (b"GET localhost HTTP/1.1" + HOST, 400),
        (b"GET http://localhost/ping HTTP/1.1" + HOST, 400),  # we are nobody's proxy
        (b"CONNECT localhost:80 HTTP/1.1" + HOST, 400),
        # The version.
        (b"PRI * HTTP/2.0", 505),
        (b"GET / HTTP/1.2" + HOST, 505),
        (b"GET / http/1.1" + HOST, 505),
        (b"GET / RTSP/1.0" + HOST, 505),
        # Headers.
        (b"GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nNoColon", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\n: nameless", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nName : value", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\n folded: line", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nName: a\nHost: b", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nName: a\x00", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nName: a\x01b", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nName: a\rb", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nName: a\n b", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nName: a\r\n\tb", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nName\x0b: a", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nN\xc3\xa4me: a", 400),
        (b"GET / HTTP/1.1" + HOST + HOST, 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nX-Vault-Token: a\r\nx-vault-token: a", 400),
        (
            b"GET / HTTP/1.1" + HOST + b"\r\nX-Aws-Parameters-Secrets-Token: a"
            b"\r\nX-AWS-Parameters-Secrets-Token: b",
            400,
        ),
        # Bodies.
        (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 1", 413),
        (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 00", 413),
        (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: many", 413),
        (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked", 413),
        (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: identity", 413),
        (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding:\x0bchunked", 400),
        (b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding : chunked", 400),
        (
            b"GET / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked"
            b"\r\nContent-Length: 0",
            413,
        ),
        (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 0, 0", 413),
        (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: +0", 413),
        (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length:", 413),
        (b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: " + b"9" * 5000, 413),
        (
            b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 0\r\nContent-Length: 0",
            400,
        ),
    ],
)
def test_hostile_heads(head: bytes, status: int) -> None:
    """What is not plainly a well-formed request for this port is refused."""
    with pytest.raises(RequestError) as refusal:
        parse_head(head)

    assert status == refusal.value.status


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        (b"G", False),
        (b"GET / HTTP/1.1\r\nHost: a", False),
        (b"GET / HTTP/1.1\r\nHost: a\r", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", False),
        (b"", False),
        (b" GET", True),
        (b"\r\n", True),
        (b"\n", True),
        (b"\x16\x03\x01", True),  # TLS
        (b"{", True),
        (b"GET / HTTP/1.1\nHost: a", True),
        (b"GET / HTTP/1.1\rHost: a", True),
        (b"GET / HTTP/1.1\n\r", True),
    ],
)
def test_what_cannot_become_a_head(beginning: bytes, *, expected: bool) -> None:
    """Nobody need wait for the end of what has begun wrongly."""
    assert expected == is_hopeless(beginning)


@given(st.binary(max_size=100))
def test_nothing_good_is_given_up(tail: bytes) -> None:
    """No beginning of a head that would be taken is hopeless."""
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + tail
    try:
        parse_head(head)
    except RequestError:
        return
    beginnings = [head[:place] for place in range(len(head) + 1)]

    assert not any(map(is_hopeless, beginnings))


HEAD_PIECES = st.sampled_from(
    [
        b"GET",
        b" ",
        b"/",
        b"HTTP/1.1",
        b"\r\n",
        b"Host:",
        b"Content-Length: 0",
        b"\xff",
        b"\x00",
    ]
)


@given(
    st.binary(max_size=200)
    | st.lists(HEAD_PIECES | st.binary(max_size=5)).map(b"".join)
    | st.binary(max_size=50).map(lambda tail: b"GET / HTTP/1.1\r\nHost: a\r\n" + tail)
)
def test_any_bytes_are_a_request_or_refused(head: bytes) -> None:
    """Nothing but a Request or a RequestError ever comes out."""
    try:
        parsed = parse_head(head)
    except RequestError as refusal:
        status = refusal.status
    else:
        status = 200

        assert parsed.path.startswith("/")
        assert all(name == name.lower() for name in parsed.headers)
    assert status in {200, 400, 413, 505}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a+b", "a+b"),
        ("a%2Bb%2bc", "a+b+c"),
        ("%2Fa%3A/:", "/a:/:"),
        ("caf%C3%A9", "café"),
        ("caf\xc3\xa9", "café"),
        ("%25", "%"),
    ],
)
def test_unquote(text: str, expected: str) -> None:
    """Escapes and raw bytes are UTF-8; a plus sign is a plus sign."""
    assert expected == unquote(text)


@pytest.mark.parametrize("text", ["%", "%2", "%g0", "%+1", "% 1", "%ff", "\xff", "Ā"])
def test_unquote_refuses(text: str) -> None:
    """A malformed escape, or bytes that are no UTF-8, are a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        unquote(text)


@given(st.text())
def test_unquote_undoes_quoting(text: str) -> None:
    """Whatever is percent-encoded byte by byte comes back."""
    try:
        quoted = "".join(f"%{byte:02x}" for byte in text.encode())
    except UnicodeEncodeError:  # a lone surrogate is no text that a client can send
        return

    assert text == unquote(quoted)


def rendered_head(status: str, media_type: str, length: int, *others: str) -> bytes:
    """The head of an answer; others are its last fields."""
    fields = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {media_type}",
        f"Content-Length: {length}",
        "Cache-Control: no-store",
        *others,
    ]
    return "\r\n".join([*fields, "", ""]).encode()


STATUS = "Cache-Status: rotaware"
CLOSE = "Connection: close"


@pytest.mark.parametrize(
    ("response", "keep_alive", "expected"),
    [
        (
            Response(200, b"{}", "rotaware; hit; ttl=1"),
            True,
            rendered_head("200 OK", "application/json", 2, f"{STATUS}; hit; ttl=1")
            + b"{}",
        ),
        (
            Response(200, b"healthy", content_type="text/plain"),
            False,
            rendered_head("200 OK", "text/plain", 7, STATUS, CLOSE) + b"healthy",
        ),
        (
            Response(405, b""),
            False,
            rendered_head(
                "405 Method Not Allowed",
                "application/json",
                0,
                STATUS,
                CLOSE,
                "Allow: GET",
            ),
        ),
        (
            Response(418, b""),
            True,
            rendered_head("418 Error", "application/json", 0, STATUS),
        ),
    ],
)
def test_render(response: Response, expected: bytes, *, keep_alive: bool) -> None:
    """An answer is one run of bytes, complete with its length."""
    assert expected == render(response, keep_alive=keep_alive)


@pytest.mark.parametrize(
    ("method", "keep_alive", "expected"),
    [
        ("GET", True, rendered_head("200 OK", "a/b", 2, STATUS) + b"ok"),
        ("GET", False, rendered_head("200 OK", "a/b", 2, STATUS, CLOSE) + b"ok"),
        ("HEAD", False, rendered_head("200 OK", "a/b", 2, STATUS, CLOSE)),
    ],
)
def test_an_answer_suits_its_request(
    method: str, expected: bytes, *, keep_alive: bool
) -> None:
    """After HEAD there is no body: the client would take it for the next answer."""
    asked = request("/")._replace(method=method, keep_alive=keep_alive)

    assert expected == asked.rendered(Response(200, b"ok", content_type="a/b"))
