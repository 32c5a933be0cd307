"""Where a sandbox runs: mount and process namespaces of its own, laid out as Lambda's.

A root, the machine's own or another system's, is bound on a stage; /var, /tmp and what
the sandbox brings are laid over it there, read-only but for /tmp, and the program is
started with the stage as its root. What is mounted inside is not seen outside, and when
the first process in there ends, the kernel ends all the others.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.processes import ProcessError

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILD = Path(__file__).resolve().parents[2] / "build"
# The sandbox lays its own over these, so the interpreter may not lie there.
HIDDEN = ("/opt", "/tmp", "/var")  # noqa: S108  places, not files
# Lambda's user and group; a change of user forgets that the parent's death kills.
LAMBDA_USER = (
    "/usr/bin/setpriv", "--reuid=993", "--regid=990", "--clear-groups",
    "--no-new-privs", "--pdeathsig=KILL", "--",
)  # fmt: skip
QEMU = Path("/usr/bin/qemu-aarch64-static")
# How the kernel knows a program for arm64, and what runs it: opened at once (F), so it
# need not be found inside.
ARM64 = (
    r":rotaware-arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    r"\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff"
    rf"\xff\xfe\xff\xff\xff:{QEMU}:F"
)
EMULATE = 'mount -t binfmt_misc binfmt_misc "$1" && printf %s "$2" >"$1/register"'
BINFMT = "/proc/sys/fs/binfmt_misc"
SCRIPT = rf"""
set -eu
stage=$1 root=$2 foreign=$3 tmp=$4
shift 4
[ -z "$foreign" ] || sh -c '{EMULATE}' sh {BINFMT} "$foreign"
mount --rbind "$root" "$stage"
cd "$stage"
if [ "$root" != / ]; then
    mount -o remount,bind,ro .
    mount --rbind /dev dev
    mount --rbind /proc proc
fi
mount -t tmpfs -o mode=755 tmpfs var
mount -t tmpfs -o "mode=1777,$tmp" tmpfs tmp
while [ "$1" != -- ]; do
    mkdir -p ".$2"
    mount --bind "$1" ".$2"
    mount -o remount,bind,ro ".$2"
    shift 2
done
mount -o remount,bind,ro var
shift
unset OLDPWD PWD
exec unshare --root=. --wd=/var/task -- "$@"
"""


class Root(NamedTuple):
    """What lies at / inside.

    Attributes:
        path: Where it lies outside.
        become: The command that goes on as the user whom Lambda takes.
        foreign: How the kernel runs its programs, if they are for another processor.
    """

    path: Path
    become: tuple[str, ...] = ()
    foreign: str = ""

    def obstacle(self) -> str | None:
        """What about this machine keeps everything from running in it, or None."""
        if self.path != Path("/") and os.geteuid() != 0:
            return "only root can make a Debian 11 root and run in it"
        if self.foreign and QEMU.exists() and not _can_emulate(self.foreign):
            return "Linux lets a user namespace emulate processors since 6.7"
        return None


HOST = Root(Path("/"))
DEBIAN_11 = Root(BUILD / "rootfs" / "bullseye", become=LAMBDA_USER)
# Its kernel-side emulation is private to a user namespace, in which there is root only.
DEBIAN_11_ARM64 = Root(BUILD / "rootfs" / "bullseye-arm64", foreign=ARM64)


def in_namespace(
    root: Root, stage: Path, tmp: str, places: Mapping[str, Path]
) -> list[str]:
    """The command to put before another one, so that it runs inside.

    Args:
        root: What lies at /.
        stage: An empty folder.
        tmp: The mount options of the tmpfs on /tmp.
        places: What is bound where, read-only.
    """
    unshare = _user_namespace() if root.foreign else _unshare()
    bound = [
        part for place, source in places.items()
        for part in (str(source.resolve()), place)
    ]  # fmt: skip
    options = [str(stage), str(root.path), root.foreign, tmp]
    return [*unshare, SCRIPT, "sandbox", *options, *bound, "--", *root.become]


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


def _user_namespace() -> tuple[str, ...]:
    first, *others = _root_command()
    return (first, "--user", "--map-root-user", *others)


def _root_command() -> tuple[str, ...]:
    flags = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
    return ("unshare", *flags, "sh", "-c")


@functools.cache
def _unshare() -> tuple[str, ...]:
    """The command that runs a shell in namespaces of its own, with or without root."""
    for command in (_root_command(), _user_namespace()):
        if _succeeds([*command, "mount -t tmpfs tmpfs /var"]):
            return command
    raise ProcessError(
        "the sandbox needs root, or user namespaces for everybody: on Ubuntu, "
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    )


@functools.cache
def _can_emulate(foreign: str) -> bool:
    return _succeeds([*_user_namespace(), EMULATE, "probe", BINFMT, foreign])


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
