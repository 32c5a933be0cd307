"""The peer for cold start: an extension as one writes it with boto3.

It registers first, then imports boto3, prefetches in batches and serves, as the samples
of AWS do; nothing is left out or made slow.
"""

# ruff: noqa: D101, D102, D103, PLC0415

from __future__ import annotations

import json
import os
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

cache: dict[str, bytes] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        token = self.headers.get("X-Aws-Parameters-Secrets-Token")
        name = parse_qs(urlsplit(self.path).query)["secretId"][0]
        body = cache.get(name)
        known = token == os.environ["AWS_SESSION_TOKEN"] and body is not None
        self.send_response_only(200 if known else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")


def main() -> None:
    api = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    api.request(
        "POST",
        "/2020-01-01/extension/register",
        json.dumps({"events": ["INVOKE", "SHUTDOWN"]}),
        {"Lambda-Extension-Name": "boto3_extension.py"},
    )
    answer = api.getresponse()
    answer.read()
    identity = {
        "Lambda-Extension-Identifier": answer.headers["Lambda-Extension-Identifier"]
    }

    import boto3

    client = boto3.client("secretsmanager")
    names = [value for key, value in os.environ.items() if key.startswith("SECRET_")]
    for start in range(0, len(names), 20):
        batch = client.batch_get_secret_value(SecretIdList=names[start : start + 20])
        for secret in batch["SecretValues"]:
            cache[secret["Name"]] = json.dumps(secret, default=str).encode()
    port = int(os.environ["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"])
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        api.request("GET", "/2020-01-01/extension/event/next", headers=identity)
        event = json.loads(api.getresponse().read())
        if event["eventType"] == "SHUTDOWN":
            return


if __name__ == "__main__":
    main()
