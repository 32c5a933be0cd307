"""Secrets come over TLS, by the layer's own OpenSSL, inside Debian 11 and on arm64."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_rig import Account
from tests.support.hostile_aws import CA, LOCALHOST, STRANGER, HostileAws
from tests.support.sandbox import LAYER, LAYER_ARM64

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Environment
    from tests.support.runtimes import Runtime

    Start = Callable[..., Environment]

READ = "/secretsmanager/get?secretId="


@pytest.mark.parametrize(
    ("runtime", "layer"),
    [("go-in-debian-11", LAYER), ("go-beside-arm64", LAYER_ARM64)],
    ids=["debian-11", "arm64"],
    indirect=["runtime"],
)
def test_a_secret_comes_from_whom_the_bundle_vouches_for(
    start: Start, runtime: Runtime, layer: Path, tmp_path: Path
) -> None:
    """It is prefetched, kept and renewed; who is not vouched for is asked nothing."""
    function = tmp_path / "function"
    shutil.copytree(runtime.function, function)
    (function / "ca.pem").write_text(CA)
    account = Account()
    account.put("db")
    with HostileAws(
        certificate=LOCALHOST, directory=tmp_path, respond=account.respond
    ) as aws:
        environ = {"AWS_ENDPOINT_URL": aws.url, "AWS_CA_BUNDLE": "/var/task/ca.pem"}
        environment = start("db", function=function, layer=layer, environ=environ)

        assert environment.read("db") == ["canary-db-1"]

        account.rotate("db")

        assert environment.read("db") == ["canary-db-2"]

        aws.present(STRANGER)
        aws.drop_connections()
        requests = len(aws.requests)
        (answer,) = environment.ask(f"{READ}another")

        assert answer["status"] == 502
        assert "certificate verify failed" in answer["body"]["message"]
        assert len(aws.requests) == requests
