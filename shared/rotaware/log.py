"""JSON log lines with the keys, order and formats of Powertools' Logger.

As with Powertools, they are JSON whatever Lambda's log format is set to. A line goes
out in one write. A logger never raises: a field that JSON cannot hold is written as
text, a stream that is gone takes nothing. Payloads stay hidden: a ``secret.Value``
prints as its repr, bytes as their length, and an exception as its own text and stack,
without its causes and without local values.
"""

from __future__ import annotations

import sys
from threading import RLock
from time import localtime, strftime

from rotaware import lean_json as json
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from rotaware.clock import Clock

    class Stream(Protocol):
        """As much of a text file as lines need."""

        def write(self, text: str, /) -> object:
            """Take a line."""

        def flush(self) -> object:
            """Pass on what was taken."""

    class Log(Protocol):
        """What the parts that hold values log to; ``Logger`` is one."""

        def info(self, message: str, /, **fields: object) -> None:
            """Log what an operator may want to see."""

        def warning(self, message: str, /, **fields: object) -> None:
            """Log what works, but not as it should."""

        def error(self, message: str, /, **fields: object) -> None:
            """Log what failed; ``exception`` may be the exception itself."""


LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "NONE": 50}


class Logger:
    """Writes log lines to a stream.

    Args:
        service: ``service`` in every line.
        level: The least level that is written: a key of ``LEVELS``.
        stream: Where lines go.
        clock: Where timestamps come from.
        function_name: ``function_name`` in every line, if given.

    Attributes:
        cold_start: ``cold_start`` in every later line, unless None.
        function_request_id: The same; which invocation it is.
    """

    __slots__ = (
        "_clock",
        "_function_name",
        "_lock",
        "_service",
        "_stream",
        "_threshold",
        "_xray_trace_id",
        "cold_start",
        "function_request_id",
    )

    def __init__(
        self,
        *,
        service: str,
        level: str,
        stream: Stream,
        clock: Clock,
        function_name: str | None = None,
    ) -> None:
        self._service = service
        self._threshold = LEVELS[level]
        self._stream = stream
        self._clock = clock
        self._function_name = function_name
        self._xray_trace_id: str | None = None
        # Reentrant, because a signal handler may log in the middle of a write.
        self._lock = RLock()
        self.cold_start: bool | None = None
        self.function_request_id: str | None = None

    @property
    def xray_trace_id(self) -> str | None:
        """``xray_trace_id`` in every later line; a whole trace header may be set."""
        return self._xray_trace_id

    @xray_trace_id.setter
    def xray_trace_id(self, header: str | None) -> None:
        root = header.split(";")[0].removeprefix("Root=") if header else None
        self._xray_trace_id = root

    def debug(self, message: str, /, **fields: object) -> None:
        """Log what explains a decision."""
        self._log("DEBUG", message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        """Log what an operator may want to see."""
        self._log("INFO", message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        """Log what works, but not as it should."""
        self._log("WARNING", message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        """Log what failed; an ``exception`` field takes the exception itself."""
        self._log("ERROR", message, fields)

    def _log(self, level: str, message: str, fields: Mapping[str, object]) -> None:
        if LEVELS[level] < self._threshold:
            return
        caller = sys._getframe(2)  # noqa: SLF001  the documented way to one's caller
        location = f"{caller.f_code.co_name}:{caller.f_lineno}"
        try:  # noqa: SIM105  contextlib costs start-up time
            self._write(self._line(level, location, message, fields))
        except Exception:  # noqa: BLE001, S110  no memory, or the stream is gone
            pass

    def _line(
        self, level: str, location: str, message: str, fields: Mapping[str, object]
    ) -> str:
        wall = self._clock.now().wall
        line: dict[str, object] = {
            "level": level,
            "location": location,
            "message": message,
            "timestamp": _timestamp(wall),
            "service": self._service,
            "cold_start": self.cold_start,
            "function_name": self._function_name,
            "function_request_id": self.function_request_id,
        }
        for key, value in fields.items():
            # The keys that every line has are not to be forged by a field.
            line.setdefault(key, value)
        exception = fields.get("exception")
        if isinstance(exception, BaseException):
            del line["exception"]
            line.update(_described(exception))
        line["xray_trace_id"] = self._xray_trace_id
        return _encoded({k: v for k, v in line.items() if v is not None})

    def write(self, line: str) -> None:
        """Put a line of another kind, whatever the level, between those of the log."""
        try:  # noqa: SIM105  see above
            self._write(line)
        except Exception:  # noqa: BLE001, S110  likewise
            pass

    def _write(self, line: str) -> None:
        with self._lock:
            try:
                self._stream.write(line + "\n")
            except UnicodeError:  # the stream's encoding, or a lone surrogate
                self._stream.write(json.dumps(json.loads(line)) + "\n")
            self._stream.flush()


def _timestamp(wall: float) -> str:
    """Local time with milliseconds, such as ``2026-01-31 23:59:59,999+0000``."""
    milliseconds = int((wall - int(wall)) * 1000)
    return strftime(f"%Y-%m-%d %H:%M:%S,{milliseconds:03d}%z", localtime(wall))


def _described(exception: BaseException) -> dict[str, object]:
    """The exception's keys; its causes stay out, for they are others' words."""
    try:
        return _traced(exception)
    except Exception:  # noqa: BLE001  not even a module can be read in some troubles
        return {"exception": _text(exception), "exception_name": _name(exception)}


def _traced(exception: BaseException) -> dict[str, object]:
    import traceback  # noqa: PLC0415  costly, and only a failure needs it

    lines = traceback.format_exception(exception, chain=False)
    return {
        "exception": "".join(lines).removesuffix("\n"),
        "exception_name": _name(exception),
        "exception_notes": getattr(exception, "__notes__", None),
        "stack_trace": {
            "type": _name(exception),
            "value": _text(exception),
            "module": type(exception).__module__,
            "frames": [
                {
                    "file": frame.filename,
                    "line": frame.lineno,
                    "function": frame.name,
                    "statement": frame.line,
                }
                for frame in traceback.extract_tb(exception.__traceback__)
            ],
        },
    }


def _name(exception: BaseException) -> str:
    return type(exception).__name__


def _text(value: object) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"  # what is binary here may be a secret
    try:
        return str(value)
    except Exception:  # noqa: BLE001  a foreign __str__ may do anything
        return f"<unprintable {type(value).__name__}>"


_encode = json.encoder(
    default=_text, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def _encoded(line: Mapping[str, object]) -> str:
    try:
        return _encode(line)
    except Exception:  # noqa: BLE001  a cycle, not a number, a key that is no text
        return _encode({key: _encodable(value) for key, value in line.items()})


def _encodable(value: object) -> object:
    try:
        _encode(value)
    except Exception:  # noqa: BLE001  see above
        return _text(value)
    return value
