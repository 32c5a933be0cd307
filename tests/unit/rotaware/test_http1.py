"""The HTTP grammar: whole answers in any portions, and everything that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware.http1 import (
    BadAnswerError,
    Incoming,
    Response,
    encode_request,
    percent_encoded,
    read_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def _in_portions(data: bytes, size: int) -> Callable[[], bytes]:
    portions = [data[at : at + size] for at in range(0, len(data), size)]
    return lambda: portions.pop(0) if portions else b""


def _read(data: bytes, size: int = 65536) -> tuple[Response, bool]:
    return read_response(Incoming(_in_portions(data, size)))


def test_a_request_is_one_piece() -> None:
    """Request line, headers and body follow each other as HTTP/1.1 has them."""
    assert (
        encode_request("POST", "/a", [("Host", "h"), ("Content-Length", "2")], b"{}")
        == b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
    )


@given(st.text())
def test_percent_encoding_is_the_standard_librarys(text: str) -> None:
    """Every octet but the unreserved ones is escaped, a slash too."""
    assert quote(text, safe="") == percent_encoded(text)


@pytest.mark.parametrize("size", [1, 2, 7, 65536])
@pytest.mark.parametrize(
    ("data", "expected", "reusable"),
    [
        pytest.param(
            OK + b"Content-Length: 2\r\nX-A: 1\r\nx-a:2\r\n\r\n{}",
            Response(200, {"content-length": "2", "x-a": "1, 2"}, b"{}"),
            True,
            id="length",
        ),
        pytest.param(
            OK + b"Content-Length: 0\n\n",
            Response(200, {"content-length": "0"}, b""),
            True,
            id="bare line ends",
        ),
        pytest.param(
            b"HTTP/1.1 404\r\nContent-Length: 1\r\nConnection: Close\r\n\r\n1",
            Response(404, {"content-length": "1", "connection": "Close"}, b"1"),
            False,
            id="close",
        ),
        pytest.param(
            b"HTTP/1.0 599 x y\r\nContent-Length: 1\r\n\r\n1",
            Response(599, {"content-length": "1"}, b"1"),
            False,
            id="version 1.0",
        ),
        pytest.param(
            CHUNKED + b"3;x=y\r\nabc\r\n00a \r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n",
            Response(200, {"transfer-encoding": "chunked"}, b"abc0123456789"),
            True,
            id="chunked",
        ),
        pytest.param(
            OK + b"\r\nuntil the end",
            Response(200, {}, b"until the end"),
            False,
            id="no length",
        ),
    ],
)
def test_an_answer_is_read_in_any_portions(
    data: bytes,
    expected: Response,
    reusable: bool,  # noqa: FBT001  a table's column
    size: int,
) -> None:
    """How the bytes arrive makes no difference."""
    assert (expected, reusable) == _read(data, size)


def test_an_answer_is_shown_without_what_it_holds() -> None:
    """Body and headers may hold a secret, so no repr has them."""
    response = Response(200, {"set-cookie": "canary"}, b"canary")

    assert "<Response 200, 6 bytes>" == repr(response)


def test_bytes_after_the_answer_end_the_connections_use() -> None:
    """Whoever sends more than the answer is not asked again."""
    response, reusable = _read(OK + b"Content-Length: 1\r\n\r\n12")

    assert response.body == b"1"
    assert not reusable


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x16\x03\x01\x00\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 99 x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 600 x\r\n\r\n",
        b"HTTP/1.1 2x0 x\r\n\r\n",
        b"HTTP/1.1 -20 x\r\n\r\n",
        b"HTTP/1.1 \xb2\xb2\xb2 x\r\n\r\n",
        OK,
        OK + b"no colon\r\n\r\n",
        OK + b" folded: 1\r\n\r\n",
        OK + b"Content-Length : 1\r\n\r\n1",
        OK + b"Content-Length: 3\r\n\r\n12",
        OK + b"Content-Length: +1\r\n\r\n1",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        OK + b"Content-Length: 16777217\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        CHUNKED,
        CHUNKED + b"\r\n",
        CHUNKED + b"g\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"3\r\nabc",
        CHUNKED + b"1000001\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
        OK + b"X: " + b"x" * 65536,
        OK + b"X: y\r\n" * 20000 + b"Content-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_an_error(data: bytes) -> None:
    """Cut short, malformed, too large, or not HTTP at all."""
    with pytest.raises(BadAnswerError):
        _read(data)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(OK + b"\r\n", id="no length"),
        pytest.param(CHUNKED + b"ffffff\r\n", id="chunks"),
    ],
)
def test_no_answer_fills_the_memory(head: bytes) -> None:
    """More than 16 MB are not read, however they are announced."""
    chunk = b"x" * 0xFFFFFF

    with pytest.raises(BadAnswerError, match="too large"):
        _read(head + chunk + b"\r\n10\r\n" + b"y" * 16 + b"\r\n", 1 << 20)


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_an_answer_or_an_error(
    data: bytes,
    after_a_head: bool,  # noqa: FBT001  drawn
) -> None:
    """No bytes make the reader fail in another way, or for ever."""
    try:
        response, _ = _read((CHUNKED if after_a_head else b"") + data)
    except BadAnswerError:
        return

    assert response.status in range(200, 600)


@given(st.lists(st.binary(min_size=1, max_size=50)))
def test_chunks_are_put_together(chunks: list[bytes]) -> None:
    """Whatever the chunks, the body is their concatenation."""
    data = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)

    response, reusable = _read(CHUNKED + data + b"0\r\n\r\n", 3)

    assert b"".join(chunks) == response.body
    assert reusable
