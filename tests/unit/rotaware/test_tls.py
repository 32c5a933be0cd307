"""Whom a connection to AWS trusts, and what reading that costs."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from rotaware.connection import _Socket
from rotaware.tls import Secured, Tls
from tests.support.hostile_aws import (
    AMAZON,
    BY_AMAZON,
    BY_ITSELF,
    BY_SUBJECT,
    CA,
    LOCALHOST,
    PATIENCE_SECONDS,
    HostileAws,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    """Where CA certificates are."""
    return tmp_path / "ca-bundle.crt"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HostileAws]:
    """A server with a certificate by the tests' own authority."""
    with HostileAws(certificate=LOCALHOST, directory=tmp_path) as server:
        yield server


def _trusted(tls: Tls) -> int:
    return tls._context.cert_store_stats()["x509_ca"]


def _shake_hands(
    tls: Tls, server: HostileAws, host: str = "localhost"
) -> str | OSError:
    """What came of it: an answer's first line, or the error."""
    connection = _Socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE_SECONDS)
    try:
        connection.connect(("127.0.0.1", server.port))
        secured = tls.secured(connection, host)
        secured.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return secured.recv(17).decode()
    except OSError as error:
        return error
    finally:
        connection.close()


def test_of_many_authorities_only_amazons_are_read(ca_file: Path) -> None:
    """The others are not even parsed: that is what takes the time."""
    ca_file.write_text(f"# a comment\n{CA}{AMAZON}{CA}")

    assert 1 == _trusted(Tls(str(ca_file)))
    assert 2 == _trusted(Tls(str(ca_file), everybody=True))


def test_amazons_authorities_vouch_for_aws(ca_file: Path, server: HostileAws) -> None:
    """A host with a certificate by one of them is connected to at once."""
    ca_file.write_text(CA + AMAZON)
    server.present(BY_AMAZON)

    assert "HTTP/1.1 200 Host" == _shake_hands(Tls(str(ca_file)), server)


def test_without_amazons_all_are_read(ca_file: Path, server: HostileAws) -> None:
    """A private CA file says by itself whom to trust."""
    ca_file.write_text(CA)
    tls = Tls(str(ca_file))

    assert "HTTP/1.1 200 Host" == _shake_hands(tls, server)


def test_another_authority_is_worth_a_second_look(
    ca_file: Path, server: HostileAws
) -> None:
    """Amazon's do not vouch for a proxy's certificate; one of the others may."""
    ca_file.write_text(AMAZON + CA)
    few = Tls(str(ca_file))

    error = _shake_hands(few, server)

    assert isinstance(error, OSError)
    assert few.is_too_narrow(error)
    everybody = Tls(str(ca_file), everybody=True)
    assert "HTTP/1.1 200 Host" == _shake_hands(everybody, server)
    assert not everybody.is_too_narrow(error)
    assert not few.is_too_narrow(ConnectionResetError())


def test_a_certificate_that_vouches_for_itself_may_be_in_the_file(
    ca_file: Path, server: HostileAws
) -> None:
    """Behind Amazon's, it is found at the second look as well."""
    ca_file.write_text(AMAZON + BY_ITSELF)
    server.present(BY_ITSELF)
    few = Tls(str(ca_file))

    error = _shake_hands(few, server)

    assert isinstance(error, OSError)
    assert few.is_too_narrow(error)
    everybody = Tls(str(ca_file), everybody=True)
    assert "HTTP/1.1 200 Host" == _shake_hands(everybody, server)


def test_for_another_host_no_authority_will_do(
    ca_file: Path, server: HostileAws
) -> None:
    """Amazon's vouch for the certificate, so asking the others is no use."""
    ca_file.write_text(CA + AMAZON)
    server.present(BY_AMAZON)
    few = Tls(str(ca_file))

    error = _shake_hands(few, server, "elsewhere.test")

    assert isinstance(error, OSError)
    assert "Hostname mismatch" in str(error)
    assert not few.is_too_narrow(error)


def test_a_host_s_name_in_the_subject_counts_for_nothing(
    ca_file: Path, server: HostileAws
) -> None:
    """It has to be among the names for which the certificate was made."""
    ca_file.write_text(BY_SUBJECT)
    server.present(BY_SUBJECT)

    error = _shake_hands(Tls(str(ca_file)), server)

    assert "Hostname mismatch" in str(error)
    assert server.requests == []


@pytest.mark.parametrize("everybody", [False, True])
def test_whom_nobody_vouches_for_is_refused(
    ca_file: Path, server: HostileAws, *, everybody: bool
) -> None:
    """An unknown authority gets no request, however many are trusted."""
    ca_file.write_text(AMAZON)

    error = _shake_hands(Tls(str(ca_file), everybody=everybody), server)

    assert "certificate verify failed" in str(error)
    assert server.requests == []


def test_a_block_that_is_no_certificate_is_left_to_openssl(ca_file: Path) -> None:
    """A file that cannot be taken apart is read as a whole."""
    broken = "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"
    ca_file.write_text(AMAZON + CA + broken)

    with pytest.raises(OSError, match="holds no usable CA certificates"):
        Tls(str(ca_file))


@pytest.mark.parametrize("everybody", [False, True])
@pytest.mark.parametrize("content", ["", "no certificate"])
def test_without_a_certificate_there_is_no_tls(
    ca_file: Path, content: str, *, everybody: bool
) -> None:
    """The file that is to be mended is named."""
    ca_file.write_text(content)

    with pytest.raises(OSError, match="crt holds no usable CA certificates"):
        Tls(str(ca_file), everybody=everybody)


@pytest.mark.parametrize("everybody", [False, True])
def test_a_file_that_cannot_be_read_says_why(ca_file: Path, *, everybody: bool) -> None:
    """In the system's own words."""
    with pytest.raises(OSError, match=r"crt cannot be read \(No such file"):
        Tls(str(ca_file), everybody=everybody)


def test_without_a_ca_file_there_is_no_tls() -> None:
    """The setting that mends it is named."""
    with pytest.raises(OSError, match="set AWS_CA_BUNDLE"):
        Tls(None)


def test_everything_is_sent_however_little_goes_at_once() -> None:
    """Writing goes on where the layer stopped."""

    class Slow:
        def __init__(self) -> None:
            self.written = b""

        def write(self, data: bytes) -> int:
            self.written += data[:3]
            return len(data[:3])

    slow = Slow()

    Secured(slow).sendall(b"0123456789")

    assert b"0123456789" == slow.written
