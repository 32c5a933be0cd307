"""Who reads where no extension listens: this very process, if the function asks for it.

The first read decides, for the rest of the process: only a port that refuses its
connection means that there is no extension. One that answers, with an error too, or is
silent, is kept: an extension in trouble shall be seen, not bypassed.
"""

from __future__ import annotations

from threading import Lock

from rotaware import parsers
from rotaware.errors import NobodyListensError, SettingsError
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rotaware.reader import Reader, Reading
    from rotaware.secret import Query

FALLBACK_VARIABLE = "ROTAWARE_FALLBACK"
_TOKEN_VARIABLES = (
    "AWS_SESSION_TOKEN",
    "AWS_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "ROTAWARE_TOKEN_FILE",
)
"""Around a Lambda function there is one of them at least."""


class FallbackReader:
    """One reader, or another one from the start.

    Args:
        first: Whom to ask.
        make_other: Makes who is asked instead, once, if nobody listens at ``first``.
    """

    def __init__(self, first: Reader, make_other: Callable[[], Reader]) -> None:
        self._reader = first
        self._make_other = make_other
        self._decided = False
        self._lock = Lock()

    def read(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Reading:
        """See ``Reader``."""
        decided, reader = self._decided, self._reader  # in this order
        try:
            reading = reader.read(query, refresh=refresh, instead_of=instead_of)
        except NobodyListensError:
            if decided:
                raise
        else:
            self._decided = True
            return reading
        other = self._other()
        return other.read(query, refresh=refresh, instead_of=instead_of)

    def close(self) -> None:
        """See ``Reader``."""
        self._reader.close()

    def _other(self) -> Reader:
        with self._lock:
            if not self._decided:
                self._reader = self._make_other()
                self._decided = True
            return self._reader


class _Nobody:
    """Who reads where there cannot be an extension."""

    def read(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Reading:
        """See ``Reader``."""
        del query, refresh, instead_of
        raise NobodyListensError("without a token there is no extension to ask")

    def close(self) -> None:
        """See ``Reader``."""


def with_fallback(reader: Reader, environ: Mapping[str, str]) -> Reader:
    """The reader, or one that falls back, as ``ROTAWARE_FALLBACK`` says.

    Raises:
        SettingsError: The variable says neither.
    """
    try:
        mode = parsers.one_of("none", "in-process")(environ[FALLBACK_VARIABLE])
    except ValueError as error:
        raise SettingsError([f"{FALLBACK_VARIABLE}: {error}"]) from None
    if mode == "none":
        return reader

    def make_other() -> Reader:
        from rotaware.own_process import reader_from_environ  # noqa: PLC0415  boto3 is slow

        return reader_from_environ(environ)

    if not any(environ.get(name) for name in _TOKEN_VARIABLES):
        reader = _Nobody()
    return FallbackReader(reader, make_other)
