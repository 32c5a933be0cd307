"""The Extensions API and AWS, as far as a measurement needs them.

Both are one small threaded server each, so that what is measured is the extension. Each
AWS call is answered after a fixed delay.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.hostile_aws import AMAZON, BY_AMAZON, SERVER_KEY

REGION = "eu-west-1"
ACCOUNT = "123456789012"
STEP_SECONDS = 30.0
_CA_FILES = (
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-certificates.crt",
)


class _Quick(BaseHTTPRequestHandler):
    """HTTP without Nagle's pause, and without a log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, document: Any, status: int = 200, **headers: str) -> None:
        body = json.dumps(document).encode()
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server:
    """A threaded server on a free port of 127.0.0.1."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class ExtensionsApi(_Server):
    """Notes when an extension registers; shuts it down when told to."""

    def __init__(self) -> None:
        self.registered = threading.Event()
        self.registered_at = 0.0
        self.ready = threading.Event()
        self._ended = threading.Event()
        api = self

        class Handler(_Quick):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                api.registered_at = time.perf_counter()
                api.registered.set()
                self.reply({}, Lambda_Extension_Identifier="bench")

            def do_GET(self) -> None:
                api.ready.set()
                api._ended.wait(STEP_SECONDS)
                deadline_ms = int(time.time() * 1000) + 2000
                self.reply(
                    {
                        "eventType": "SHUTDOWN",
                        "deadlineMs": deadline_ms,
                        "shutdownReason": "spindown",
                    }
                )

        super().__init__(Handler)

    def shut_down(self) -> None:
        """Let the wait for the next event end with SHUTDOWN."""
        self._ended.set()


class Aws(_Server):
    """Secrets Manager with any secret asked for, and an empty stamp sheet.

    Args:
        delay_seconds: Before each answer.
        directory: For the certificates, if it is to speak TLS.

    Attributes:
        settings: What tells an AWS client to call this one.
    """

    def __init__(self, delay_seconds: float, directory: Path | None = None) -> None:
        self.calls: Counter[str] = Counter()
        aws = self

        class Handler(_Quick):
            def do_POST(self) -> None:
                request = json.loads(
                    self.rfile.read(int(self.headers["Content-Length"]))
                )
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                aws.calls[operation] += 1
                time.sleep(delay_seconds)
                self.reply(_answer(operation, request))

        super().__init__(Handler)
        self.settings = {"AWS_ENDPOINT_URL": f"http://{self.address}"}
        if directory is not None:
            self._secure(directory)

    def _secure(self, directory: Path) -> None:
        """Speak TLS, with a certificate by one of as many authorities as are usual."""
        certificate, ca_file = directory / "server.pem", directory / "ca.pem"
        certificate.write_text(BY_AMAZON + SERVER_KEY, encoding="utf-8")
        usual = [Path(path) for path in _CA_FILES if Path(path).exists()][:1]
        texts = [path.read_text(encoding="utf-8") for path in usual]
        ca_file.write_text("\n".join([*texts, AMAZON]), encoding="utf-8")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # Each connection shakes hands in its own thread, when it is first read.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.settings = {
            "AWS_ENDPOINT_URL": f"https://{self.address}",
            "AWS_CA_BUNDLE": str(ca_file),
        }


def _answer(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "BatchGetSecretValue":
        return {"SecretValues": [_secret(name) for name in request["SecretIdList"]]}
    if operation == "GetSecretValue":
        return _secret(request["SecretId"])
    sheet = '{"base":0,"born":0,"format":1,"horizon":0,"stamps":{}}'
    name = request["Name"]
    return {"Parameter": {"Name": name, "Value": sheet, "Version": 1}}


def _secret(name: str) -> dict[str, Any]:
    return {
        "ARN": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-a1b2c3",
        "CreatedDate": 1790000000.25,
        "Name": name,
        "SecretString": json.dumps({"username": "app", "password": "p" * 32}),
        "VersionId": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        "VersionStages": ["AWSCURRENT"],
    }
