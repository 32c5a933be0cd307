"""TLS by the C half of the standard library's ``ssl``, trusting as few as will do.

Rules:
1. OpenSSL checks the host's name and certificate, always; the name among those that
   the certificate lists, not in its subject, which nobody uses any more.
2. Reading the 140 authorities of a usual CA file takes longer than the rest of a start.
   So only Amazon's are read, which vouch for AWS. Where they do not vouch for a host,
   the whole file is read, once, and the host is connected to again.
3. ``ssl`` itself is not imported: its other half defines enums and brings ``socket``.
4. OpenSSL's random numbers are stirred before each handshake: environments that were
   restored from one snapshot would else all draw the same, and not be told.
"""

from __future__ import annotations

import _ssl
from binascii import a2b_base64
from os import urandom

from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    import _socket
    from typing import Any

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"
_AMAZON = (b"Amazon", b"Starfield")
"""The names of its authorities; Starfield's are its older ones."""
_ISSUER_UNKNOWN = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's codes for a certificate that nobody who is trusted vouches for."""
_STIRRED_BYTES = 32


class Tls:
    """Whom to trust.

    Args:
        ca_file: Where certificates are; None when there is no such file.
        everybody: Whether to trust all of them, or Amazon's only if there are any.

    Raises:
        OSError: There are no usable certificates.
    """

    __slots__ = ("_context", "_everybody")

    def __init__(self, ca_file: str | None, *, everybody: bool = False) -> None:
        if ca_file is None:
            raise OSError("no CA certificates found; set AWS_CA_BUNDLE")
        context = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)  # noqa: SLF001  see rule 3
        context.minimum_version = _ssl.PROTO_TLSv1_2
        context._host_flags |= _ssl.HOSTFLAG_NEVER_CHECK_SUBJECT  # type: ignore[attr-defined]  # noqa: SLF001
        amazons = b""
        try:
            if not everybody:
                amazons = _amazons(ca_file)
            if amazons:
                context.load_verify_locations(cadata=amazons)
            else:
                context.load_verify_locations(ca_file)
        except OSError as error:
            raise OSError(f"{ca_file} {_fault(error)}") from error
        self._everybody = not amazons
        self._context = context

    def secured(self, connected: _socket.socket, host: str) -> Secured:
        """The connection after the handshake, which must outlive it.

        Raises:
            OSError: The peer is not that host, or does not speak TLS.
        """
        _ssl.RAND_add(urandom(_STIRRED_BYTES), 0.0)
        layer = self._context._wrap_socket(connected, False, host)  # type: ignore[attr-defined]  # noqa: FBT003, SLF001
        layer.do_handshake()
        return Secured(layer)

    def is_too_narrow(self, error: OSError) -> bool:
        """Whether the others in the file might vouch for the host."""
        return (
            not self._everybody
            and isinstance(error, _ssl.SSLCertVerificationError)
            and error.verify_code in _ISSUER_UNKNOWN
        )


class Secured:
    """A connection's inside. Time-outs are those of the connection itself."""

    __slots__ = ("_layer",)

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        while data:
            data = data[self._layer.write(data) :]

    def recv(self, size: int) -> bytes:
        """What has come; nothing at the end."""
        received: bytes = self._layer.read(size)
        return received


def _fault(error: OSError) -> str:
    if isinstance(error, _ssl.SSLError):  # its words are none that help
        return "holds no usable CA certificates"
    return f"cannot be read ({error.strerror})"


def _amazons(ca_file: str) -> bytes:
    """The certificates of Amazon's authorities, one after another."""
    found = []
    with open(ca_file, "rb") as file:  # noqa: PTH123  pathlib costs start-up time
        blocks = file.read().split(_BEGIN)[1:]
    for block in blocks:
        try:
            certificate = a2b_base64(block.partition(_END)[0])
        except ValueError:  # OpenSSL will say what is wrong
            return b""
        if any(name in certificate for name in _AMAZON):
            found.append(certificate)
    return b"".join(found)
