"""The process keeps its memory to itself: its user may not read, trace or dump it.

Extension and function run as the same user. Without this, code that got into the
function, or into anything that it starts, could read every cached secret from
/proc/<pid>/mem, also those that the function never asks for, and nothing would show it.

It is no wall. Root reads everything. Whoever has the token may ask the port, for what
the function's role allows. /proc/<pid>/environ is closed too, but says no more than the
function's own environment. What was opened before, and the standard streams, stay open.
What LD_PRELOAD names has been loaded by the system before any of this runs: no dynamic
program can refuse it, so who sets the function's variables can run code in here.
"""

from __future__ import annotations

import posix
import sys

# Type checkers take this name for true. Before registering, nothing is imported for it.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from rotaware.log import Logger

_PR_SET_DUMPABLE = 4
_OWNER_ONLY = 0o077


def at_start() -> None:
    """Do what costs next to nothing: before it has registered, no function runs."""
    posix.umask(_OWNER_ONLY)  # no file is written; should one be, it is private
    if _is_built_in():
        try:  # noqa: SIM105  contextlib costs start-up time
            _refuse_dumps()
        except OSError:
            pass  # said later, when there is a log


def refuse_dumps(log: Logger) -> None:
    """Close the process, by whatever way this Python has; one log line if none works.

    The kernel then writes no core either, whatever limit and pattern are set.
    """
    try:
        _refuse_dumps()
    except (ImportError, OSError) as fault:
        log.info("processes of this user can read this one's memory", reason=str(fault))


def _is_built_in() -> bool:
    """Whether this is the layer's own interpreter, which has a module for it."""
    return "_hardening" in sys.builtin_module_names


def _refuse_dumps() -> None:
    if _is_built_in():
        from _hardening import (  # type: ignore[import-not-found]  # noqa: PLC0415
            refuse_dumps as refuse,
        )

        refuse()
        return
    # The package around it takes longer to import than all of the rest here.
    import _ctypes  # noqa: PLC0415

    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    if _ctypes.call_function(prctl, (_PR_SET_DUMPABLE, 0, 0, 0, 0)) != 0:
        raise OSError("the kernel refuses PR_SET_DUMPABLE")
