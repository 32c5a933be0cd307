"""The composition root's first half: bind and register, nothing else loaded.

Until this extension has registered, Lambda does not start the function's runtime; after
that, both start side by side. So everything heavy is imported later. Connections that
come meanwhile wait in the listener's backlog.
"""

from __future__ import annotations

import _socket
import gc
import posix
import sys

from extension import hardening
from extension.extensions_api import ExtensionsApi, ExtensionsApiError

_PORT = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"
_DEFAULT_PORT = "2773"
_LEGACY_PORTS = "ROTAWARE_LEGACY_PORTS"
_BACKLOG = 1024
_FORBIDDEN = 403
_UNFORESEEN = "Extension.UnknownReason"


def main() -> None:
    """Run the extension until SHUTDOWN; exits the process."""
    gc.disable()  # until all is built: nothing of that is garbage
    hardening.at_start()
    environ = {_text(key): _text(value) for key, value in posix.environ.items()}
    address = environ.get("AWS_LAMBDA_RUNTIME_API")
    if not address:
        sys.exit(
            "rotaware: AWS_LAMBDA_RUNTIME_API is not set: this program is started by"
            " Lambda, from /opt/extensions"
        )
    listeners, bind_faults = _listeners(environ)
    api = ExtensionsApi(address)
    name = sys.argv[0].rpartition("/")[2]
    managed = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == (
        "lambda-managed-instances"
    )
    try:
        api.register(name, invoke=not managed)
    except ExtensionsApiError as refusal:
        if managed or refusal.status != _FORBIDDEN:
            sys.exit(f"rotaware: cannot register: {refusal}")
        api.register(name, invoke=False)

    _use_one_file()
    try:
        from extension.application import run  # noqa: PLC0415  see above

        status = run(environ, api, listeners, bind_faults)
    except Exception as fault:
        # Lambda's report names it; the traceback goes to the function's log.
        api.report_failure(_UNFORESEEN, f"{type(fault).__name__}; see the log")
        raise
    sys.exit(status)


def _use_one_file() -> None:
    """Take the rest from the layer's one file, where there is one."""
    try:  # noqa: SIM105  contextlib costs start-up time
        import one_file  # type: ignore[import-not-found]  # noqa: F401, PLC0415
    except ModuleNotFoundError:
        pass  # each module from its own


def _listeners(environ: dict[str, str]) -> tuple[list[_socket.socket], list[str]]:
    """The listeners, the main port's first, and why some could not be bound."""
    faults: list[str] = []
    listeners = [_bound(_PORT, environ.get(_PORT, _DEFAULT_PORT), faults)]
    if _LEGACY_PORTS in environ:
        ports = environ[_LEGACY_PORTS].split(",")
        listeners += [_bound(_LEGACY_PORTS, port, faults) for port in ports]
    return listeners, faults


def _bound(variable: str, port: str, faults: list[str]) -> _socket.socket:
    """One of them. A wrong port is reported later."""
    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    # Accepted connections inherit this: an answer is one write, and must not wait.
    listener.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    try:
        listener.bind(("127.0.0.1", int(port)))
        listener.listen(_BACKLOG)
    except OSError as fault:
        faults.append(
            f"{variable}: port {port} of 127.0.0.1 cannot be bound: {fault}; choose a"
            " free port"
        )
    except (ValueError, OverflowError):
        pass  # no port at all: the settings refuse it
    return listener


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    main()
