"""Where a sandbox runs: mount and process namespaces of its own, laid out as Lambda's.

Root makes them directly, anybody else by a user namespace. What is bound inside is not
seen outside, and when the first process in there ends, the kernel ends all the others.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ProcessError

# The namespace hides these, so neither the interpreter nor its library may lie there.
HIDDEN = ("/opt", "/tmp", "/var")  # noqa: S108  places, not files
# Everything is bound below a stage first, since the places that are replaced last may
# hold what is bound. /opt and /var/task are read-only, as they are in Lambda.
SCRIPT = r"""
set -eu
stage=$1 layer=$2 function=$3 runtime=$4 rapid=$5 tmp=$6
shift 6
mount -t tmpfs -o mode=755 tmpfs "$stage"
cd "$stage"
mkdir opt task runtime rapid tmp
mount --bind "$layer" opt
mount --bind "$function" task
mount --bind "$runtime" runtime
mount --bind "$rapid" rapid
mount --bind "$tmp" tmp
mount --rbind "$stage" /var
mount --bind /var/opt /opt
mount -o remount,bind,ro /opt
mount -o remount,bind,ro /var/task
mount --bind /var/tmp /tmp
cd /var/task
unset OLDPWD
exec "$@"
"""


def in_namespace(*places: str) -> list[str]:
    """The command to put before another one, so that it runs inside.

    Args:
        places: The stage (an empty folder), and what becomes /opt, /var/task,
            /var/runtime, /var/rapid and /tmp.
    """
    return [*_unshare(), SCRIPT, "sandbox", *places]


def interpreter() -> str:
    """The Python on which the venv stands; the venv itself is not in the sandbox."""
    real = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    for hidden in HIDDEN:
        if real.is_relative_to(hidden):
            raise ProcessError(
                f"{real} lies in {hidden}, which the sandbox replaces: make the venv "
                "from a Python elsewhere (rm -r .venv; make PYTHON=/usr/bin/python3)"
            )
    return str(real)


@functools.cache
def _unshare() -> tuple[str, ...]:
    """The command that runs a shell in namespaces of its own, with or without root."""
    flags = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
    as_root = ("unshare", *flags, "sh", "-c")
    as_anybody = ("unshare", "--user", "--map-root-user", *flags, "sh", "-c")
    for command in (as_root, as_anybody):
        probe = [*command, "mount -t tmpfs tmpfs /var"]
        if subprocess.run(probe, check=False, capture_output=True).returncode == 0:
            return command
    raise ProcessError(
        "the sandbox needs root, or user namespaces for everybody: on Ubuntu, "
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    )
