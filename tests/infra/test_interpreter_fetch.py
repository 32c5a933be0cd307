"""A download is whole and as pinned, or it is one line that says what to do."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

import pytest

from infra.interpreter.fetch import FetchError, fetch, fetch_wheel, mirror

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "source_1.0.orig.tar.gz"
NOBODY = "http://127.0.0.1:1"


class Mirror:
    """A mirror with one file.

    Attributes:
        url: Its address.
        content: The file's bytes.
        stops_after: Where its next answer breaks off, if it does.
        ranges: What was asked for: the Range of each request.
    """

    def __init__(self) -> None:
        self.content = CONTENT
        self.stops_after: int | None = None
        self.ranges: list[str | None] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.mirror = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    mirror: Mirror


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        mirror = self.server.mirror
        asked = self.headers["Range"]
        mirror.ranges.append(asked)
        if not self.path.startswith("/here/"):
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(mirror.content):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(mirror.content) - start))
        self.end_headers()
        self.wfile.write(mirror.content[start : mirror.stops_after])
        mirror.stops_after = None

    def log_message(self, *_: object) -> None:
        """The test looks at what was asked."""


@pytest.fixture
def debian() -> Iterator[Mirror]:
    """A mirror."""
    with Mirror() as started:
        yield started


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once(debian: Mirror, tmp_path: Path) -> None:
    """What is there with the right hash is not asked for again."""
    folders = [f"{debian.url}/elsewhere", f"{debian.url}/here"]
    for _ in range(2):
        assert fetch(NAME, SHA256, folders, tmp_path).read_bytes() == CONTENT
    assert names(tmp_path) == [NAME]
    assert len(debian.ranges) == 2


def test_a_broken_download_is_resumed(debian: Mirror, tmp_path: Path) -> None:
    """Half a download is no file; the next run asks for the other half."""
    debian.stops_after = 1000
    with pytest.raises(FetchError, match=r"ended at 1,000 of 1,048,576 bytes") as error:
        fetch(NAME, SHA256, [f"{debian.url}/here"], tmp_path)

    assert "again" in str(error.value)
    assert names(tmp_path) == [f"{NAME}.part"]

    fetched = fetch(NAME, SHA256, [f"{debian.url}/here"], tmp_path)

    assert fetched.read_bytes() == CONTENT
    assert debian.ranges == [None, "bytes=1000-"]
    assert names(tmp_path) == [NAME]


def test_a_wrong_hash_leaves_nothing(debian: Mirror, tmp_path: Path) -> None:
    """Other bytes than the pinned ones are thrown away, and both hashes are named."""
    debian.content = CONTENT[:-1] + b"x"
    found = hashlib.sha256(debian.content).hexdigest()
    with pytest.raises(FetchError, match=found) as error:
        fetch(NAME, SHA256, [f"{debian.url}/here"], tmp_path)

    assert SHA256 in str(error.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("rest", [b"", b"the rest of another file"])
def test_half_of_another_file_is_no_half(
    debian: Mirror, tmp_path: Path, rest: bytes
) -> None:
    """A part that does not fit what follows costs one more run, and no more."""
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[: len(CONTENT) - len(rest)] + b"x")
    with pytest.raises(FetchError, match="its SHA-256 is"):
        fetch(NAME, SHA256, [f"{debian.url}/here"], tmp_path)

    assert names(tmp_path) == []
    assert fetch(NAME, SHA256, [f"{debian.url}/here"], tmp_path).exists()


def test_a_damaged_file_is_fetched_again(debian: Mirror, tmp_path: Path) -> None:
    """What lies there under the right name is not trusted for that."""
    (tmp_path / NAME).write_bytes(CONTENT[:-1])
    fetched = fetch(NAME, SHA256, [f"{debian.url}/here"], tmp_path)

    assert fetched.read_bytes() == CONTENT


def test_a_superseded_file_says_so(debian: Mirror, tmp_path: Path) -> None:
    """A file that Debian has replaced by a newer one names the pins to change."""
    with pytest.raises(FetchError, match="superseded") as error:
        fetch(NAME, SHA256, [f"{debian.url}/elsewhere"], tmp_path)

    assert "pins.toml" in str(error.value)
    assert "DEBIAN_MIRROR" in str(error.value)
    assert names(tmp_path) == []


def test_no_network_says_so(tmp_path: Path) -> None:
    """A mirror that cannot be reached is named, and how to name another."""
    with pytest.raises(FetchError, match="refused") as error:
        fetch(NAME, SHA256, [NOBODY], tmp_path)

    assert "DEBIAN_MIRROR" in str(error.value)
    assert names(tmp_path) == []


def test_no_registry_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler's wheel, too, is there whole or not at all."""
    for name, value in {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": NOBODY,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FetchError, match=r"ziglang 0\.0 could not be downloaded"):
        fetch_wheel("ziglang", "0.0", SHA256, tmp_path)

    assert names(tmp_path) == []


def test_the_mirror_can_be_chosen() -> None:
    """DEBIAN_MIRROR says where; a slash at its end does no harm."""
    assert mirror({}) == "http://deb.debian.org"
    assert mirror({"DEBIAN_MIRROR": "http://here/"}) == "http://here"
