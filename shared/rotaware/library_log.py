"""What the cache says of itself, where the program around it is not its own.

It goes to the logger ``rotaware`` of ``logging``, so the program decides what becomes
of it. Lambda's Python prints warnings and errors, unless told otherwise.
"""

from __future__ import annotations

import logging
import traceback

LOGGER = logging.getLogger("rotaware")
LOGGER.addHandler(logging.NullHandler())


class LibraryLog:
    """Satisfies ``rotaware.log.Log``."""

    def info(self, message: str, /, **fields: object) -> None:
        """Log what an operator may want to see."""
        _log(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        """Log what works, but not as it should."""
        _log(logging.WARNING, message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        """Log what failed; an ``exception`` field takes the exception itself."""
        _log(logging.ERROR, message, fields)


def _log(level: int, message: str, fields: dict[str, object]) -> None:
    if not LOGGER.isEnabledFor(level):
        return
    exception = fields.pop("exception", None)
    # As repr, so that no name of a secret can look like a line of its own.
    told = [f"{name}={value!r}" for name, value in fields.items() if value is not None]
    text = f"{message}: {', '.join(told)}" if told else message
    if isinstance(exception, BaseException):
        # Without its causes, and without local values: they are others' words.
        text += "\n" + "".join(traceback.format_exception(exception, chain=False))
    LOGGER.log(level, "%s", text, stacklevel=3)
