"""The composition root's first half: bind the port and register, nothing else loaded.

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

_DEFAULT_PORT = "2773"
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
    listener, bind_fault = _bind(environ)
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

        status = run(environ, api, listener, bind_fault)
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


def _bind(environ: dict[str, str]) -> tuple[_socket.socket, str | None]:
    """The listener, and why it could not be bound. A wrong port is reported later."""
    port = environ.get("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", _DEFAULT_PORT)
    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    # Accepted connections inherit this: an answer is one write, and must not wait.
    listener.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    try:
        listener.bind(("127.0.0.1", int(port)))
        listener.listen(_BACKLOG)
    except OSError as fault:
        return listener, f"port {port} of 127.0.0.1 cannot be bound: {fault}"
    except (ValueError, OverflowError):
        pass  # no port at all: the settings refuse it
    return listener, None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    main()
