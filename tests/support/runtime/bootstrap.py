"""A Lambda runtime for Python over the Runtime API alone, as a custom runtime has it.

It serves where the official client's compiled part cannot be loaded.
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = "/2018-06-01/runtime"


class RuntimeApi:
    """One kept-alive connection to the Runtime API."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address)

    def next_invocation(self) -> tuple[str, Any]:
        """Wait for an event; return it with its request id."""
        headers, body = self._call("GET", "/invocation/next")
        return str(headers["Lambda-Runtime-Aws-Request-Id"]), json.loads(body)

    def respond(self, request_id: str, answer: object) -> None:
        """Hand over what the function returned."""
        self._call("POST", f"/invocation/{request_id}/response", answer)

    def fail(self, path: str) -> None:
        """Report the exception that is being handled."""
        kind = getattr(sys.exc_info()[0], "__name__", "")
        answer = {"errorType": kind, "errorMessage": traceback.format_exc()}
        self._call("POST", path, answer)

    def _call(self, method: str, path: str, answer: object = None) -> tuple[Any, bytes]:
        body = json.dumps(answer) if method == "POST" else None
        self._connection.request(method, BASE + path, body)
        response = self._connection.getresponse()
        return response.headers, response.read()


def main() -> None:
    """Import the function's module, then run its handler for each event."""
    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    module, name = os.environ["_HANDLER"].split(".")
    try:
        handler = getattr(importlib.import_module(module), name)
    except BaseException:
        api.fail("/init/error")
        raise
    # As many as Lambda sends at a time, on Managed Instances.
    for _ in range(int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1")) - 1):
        threading.Thread(target=serve, args=(handler,), daemon=True).start()
    serve(handler)


def serve(handler: Callable[[Any, None], object]) -> None:
    """Run it for one event after another."""
    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        request_id, event = api.next_invocation()
        try:
            api.respond(request_id, handler(event, None))
        except Exception:  # noqa: BLE001  whatever a function raises is its answer
            api.fail(f"/invocation/{request_id}/error")


if __name__ == "__main__":
    main()
