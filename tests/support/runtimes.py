"""The runtimes in which the same function is run: what each brings into the sandbox.

Each function does what its event says: read secrets, or ask paths of the local port.
On this machine's own root it is the official Python client that runs it; in Debian 11,
which holds no language at all, a small bootstrap over the Runtime API.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.namespace import (
    BUILD,
    DEBIAN_11,
    DEBIAN_11_ARM64,
    HOST,
    Root,
    interpreter,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FUNCTION = Path(__file__).parents[1] / "e2e" / "function"
BOOTSTRAPS = Path(__file__).with_name("runtime")
BUILD_PYTHON = BUILD / "interpreter" / "build-python"
PYTHONPATH = {"PYTHONPATH": "/var/task:/opt/python:/var/runtime"}


class Runtime(NamedTuple):
    """A language's runtime.

    Attributes:
        command: What the emulator starts, once the extensions have registered.
        places: What is bound where, beside the layer and the function.
        function: What lies on /var/task, if the test has nothing else for it.
        environ: The variables that Lambda sets for this runtime alone.
        root: The system around it.
        at_once: How many events it takes at a time.
    """

    command: tuple[str, ...]
    places: Mapping[str, Path]
    function: Path = FUNCTION
    environ: Mapping[str, str] = {}
    root: Root = DEBIAN_11
    at_once: int = 1


def python_on_this_machine() -> Runtime:
    """The official client, run by the Python on which the venv stands."""
    return Runtime(
        (interpreter(), "-m", "awslambdaric"),
        {"/var/runtime": Path(sysconfig.get_path("purelib"))},
        environ=PYTHONPATH,
        root=HOST,
    )


def python() -> Runtime:
    """The build's own CPython, where Lambda has its Python."""
    return Runtime(
        ("/var/lang/bin/python3.13", "/var/runtime/bootstrap.py"),
        {"/var/lang": BUILD_PYTHON, "/var/runtime": BOOTSTRAPS},
        environ=PYTHONPATH,
    )


def node() -> Runtime:
    """Node.js, as its makers compile it."""
    return Runtime(
        ("/var/lang/bin/node", "/var/runtime/bootstrap.mjs"),
        {"/var/lang": BUILD / "runtimes" / "node", "/var/runtime": BOOTSTRAPS},
        environ={"NODE_PATH": "/opt/nodejs/node_modules:/var/runtime/node_modules"},
    )


def go() -> Runtime:
    """A static program, which needs nothing of the system and no runtime."""
    return Runtime(("/var/task/bootstrap",), {}, function=BUILD / "runtimes" / "go")


def go_beside_arm64() -> Runtime:
    """The same program in a system for arm64, of which only the layer makes use."""
    return go()._replace(root=DEBIAN_11_ARM64)


def managed_instances() -> Runtime:
    """The emulator's mode for Lambda Managed Instances.

    It starts what lies at this place, and itself gives up being root.
    """
    at_once = 64
    return Runtime(
        ("/var/runtime/bootstrap",),
        {"/var/lang": BUILD_PYTHON, "/var/runtime": BOOTSTRAPS},
        environ={
            **PYTHONPATH,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
            "AWS_LAMBDA_MAX_CONCURRENCY": str(at_once),
        },
        root=DEBIAN_11._replace(become=()),
        at_once=at_once,
    )


RUNTIMES: dict[str, Callable[[], Runtime]] = {
    "python-on-this-machine": python_on_this_machine,
    "python-in-debian-11": python,
    "node-in-debian-11": node,
    "go-in-debian-11": go,
    "go-beside-arm64": go_beside_arm64,
    "managed-instances": managed_instances,
}
# A test that names none is run in these. The arm64 one is slow, and the last takes many
# events at a time: they have tests of their own.
USUAL_RUNTIMES = tuple(RUNTIMES)[:-2]
