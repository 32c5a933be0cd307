"""A function with the built layer on this machine, under AWS's own emulator.

The Runtime Interface Emulator starts the layer's extension and the function's runtime
as Lambda does, in mount and process namespaces of their own: the layer lies on /opt,
the function on /var/task, and /tmp is empty. That needs Linux, and root or user
namespaces for everybody. When the emulator ends, the kernel ends all that it started.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rotaware.errors import RotawareError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

FUNCTION_NAME = "local"
MEMORY_MEGABYTES = 512
# The sandbox lays its own over these. What it needs there is bound over that again,
# but not on the layer, which is read-only.
_EMPTIED = ("/tmp", "/var")  # noqa: S108  places, not files
_LAYER = "/opt"
_FLAGS = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
_AS_ROOT = ("unshare", *_FLAGS, "sh", "-c")
_AS_USER = ("unshare", "--user", "--map-root-user", *_FLAGS, "sh", "-c")
_PROBE = "mount -t tmpfs tmpfs /var"
_SCRIPT = """
set -eu
stage=$1
shift
mount --rbind / "$stage"
cd "$stage"
mount -t tmpfs -o mode=755 tmpfs var
mount -t tmpfs -o mode=1777,size=512m tmpfs tmp
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


class LocalError(RotawareError):
    """What keeps a function from running here, and what to do about it."""


class Parts(NamedTuple):
    """What is put together.

    Attributes:
        handler: As the function's configuration names it.
        code: The folder that becomes /var/task.
        layer: The folder that becomes /opt.
        emulator: The emulator's program.
        runtime: The command that runs the function.
        kept: Folders that shall be in the sandbox where they are outside.
    """

    handler: str
    code: Path
    layer: Path
    emulator: Path
    runtime: tuple[str, ...]
    kept: tuple[Path, ...] = ()


def find_emulator(given: Path | None, home: Path) -> Path:
    """The emulator: the given one, the repository's, or an installed one.

    Raises:
        LocalError: There is none.
    """
    found = shutil.which("aws-lambda-rie")
    places = (
        [given]
        if given
        else [
            Path("build/tools/aws-lambda-rie"),
            home / ".aws-lambda-rie" / "aws-lambda-rie",
            *([Path(found)] if found else []),
        ]
    )
    for place in places:
        if place.is_file():
            return place.resolve()
    raise LocalError(
        f"no emulator at {', '.join(map(str, places))}; download aws-lambda-rie from"
        " https://github.com/aws/aws-lambda-runtime-interface-emulator/releases, make"
        " it executable, and name it with --emulator"
    )


@contextmanager
def unpacked_layer(given: Path) -> Iterator[Path]:
    """The layer's folder; a zip is unpacked for as long as it is used.

    Raises:
        LocalError: It is no layer of rotaware.
    """
    with tempfile.TemporaryDirectory(prefix="rotaware-layer-") as folder:
        layer = given
        if given.is_file():
            layer = Path(folder)
            _unpack(given, layer)
        if not (layer / "extensions" / "rotaware").is_file():
            raise LocalError(
                f"{given} is no layer of rotaware; name its folder or zip with --layer"
                " (`make layer` in rotaware's repository builds build/layer)"
            )
        yield layer.resolve()


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                place = Path(packed.extract(entry, folder))
                place.chmod(entry.external_attr >> 16 & 0o777 or 0o755)
    except zipfile.BadZipFile:
        raise LocalError(f"{archive} is no zip file; build the layer again") from None


def namespaces(succeeds: Callable[[Sequence[str]], bool]) -> tuple[str, ...]:
    """The command that runs a shell in namespaces of its own.

    Args:
        succeeds: Whether a command ends well.

    Raises:
        LocalError: Neither root nor a user may make them here.
    """
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        raise LocalError(
            "unshare and setpriv are missing: this command needs Linux with util-linux"
        )
    for command in (_AS_ROOT, _AS_USER):
        if succeeds([*command, _PROBE]):
            return command
    raise LocalError(
        "this command needs root, or user namespaces for everybody: on Ubuntu,"
        " sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    )


def succeeds(command: Sequence[str]) -> bool:
    """Whether a command ends well."""
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603  our own


def python_runtime(program: Path) -> tuple[str, ...]:
    """The command that runs Python functions: Lambda's own client for Python.

    Raises:
        LocalError: This Python lies where the sandbox lays the layer.
    """
    if program.is_relative_to(_LAYER):
        raise LocalError(
            f"{program} lies in {_LAYER}, which is the layer for the function; use a"
            " Python elsewhere with --python"
        )
    return (str(program), "-m", "awslambdaric")


def kept_for(program: Path) -> tuple[Path, ...]:
    """What of a Python would be hidden: its environment, and what that stands on."""
    homes = dict.fromkeys((program.parent.parent, program.resolve().parent.parent))
    return tuple(
        home for home in homes if any(home.is_relative_to(each) for each in _EMPTIED)
    )


def command(
    parts: Parts, unshare: Sequence[str], stage: Path, port: int, api_port: int
) -> list[str]:
    """What starts it all."""
    places = {
        "/opt": parts.layer,
        "/var/task": parts.code.resolve(),
        "/var/rapid": parts.emulator.parent,
        **{str(folder): folder for folder in parts.kept},
    }
    bound = [text for place, source in places.items() for text in (source, place)]
    return [
        *("setpriv", "--pdeathsig", "KILL", "--", *unshare, _SCRIPT, "local"),
        *map(str, (stage, *bound)),
        *("--", f"/var/rapid/{parts.emulator.name}", "--log-level", "warn"),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{api_port}"),
        *(*parts.runtime, parts.handler),
    ]


def environ(
    handler: str, region: str, own: Mapping[str, str], timeout_seconds: int
) -> dict[str, str]:
    """The function's variables: what Lambda sets, and its own."""
    return {
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": "/var/task:/opt/python",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_HANDLER": handler,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_LAMBDA_FUNCTION_NAME": FUNCTION_NAME,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEMORY_MEGABYTES),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        **own,
    }


def free_port() -> int:
    """A loopback port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
