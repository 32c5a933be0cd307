"""The edge example: its bundle, run in process, without a layer and without variables.

What CloudFront does is not here: the test sends what it would send, and reads what it
would take.
"""

from __future__ import annotations

import hmac
import json
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from examples.edge import build
from infra import artifacts
from tests.support.runtimes import python_on_this_machine
from tests.support.sandbox import Sandbox
from tests.support.stand_in import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.examples.conftest import Account
    from tests.support.recorder import Recorder

IAM = Path(build.__file__).with_name("iam")
KEY = "edge/signing-key"
LIMIT_BYTES = 150_000
"""As docs/in-process.md says."""
URI = "/film.mp4"


class EdgeSandbox(Sandbox):
    """An environment at the edge: it has the variables that Lambda itself sets."""

    def _environ(
        self, handler: str, endpoint_url: str, timeout_seconds: int
    ) -> dict[str, str]:
        environ = super()._environ(handler, endpoint_url, timeout_seconds)
        for of_a_user in ("AWS_ENDPOINT_URL", "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"):
            del environ[of_a_user]
        name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        return environ | {
            "AWS_LAMBDA_FUNCTION_NAME": f"us-east-1.{name}",
            # Wherever the request came in: no secret is there.
            "AWS_REGION": "ap-southeast-2",
            "AWS_DEFAULT_REGION": "ap-southeast-2",
        }


def statements() -> list[dict[str, Any]]:
    """What the example's role may do, in the stand-in's account and Region."""
    text = (IAM / "role.json").read_text(encoding="utf-8")
    text = text.replace("123456789012", ACCOUNT).replace(":us-east-1:", f":{REGION}:")
    found: list[dict[str, Any]] = json.loads(text)["Statement"]
    return found


def built(folder: Path, settings: dict[str, Any]) -> Path:
    """The bundle, with other settings."""
    file = folder / "settings.json"
    file.write_text(json.dumps(settings))
    code = folder / "code"
    code.mkdir()
    build.assemble(code, file)
    for place in (folder, code):
        place.chmod(0o755)
    return code


@pytest.fixture
def calls(account: Account) -> Recorder:
    """What goes to AWS."""
    return account.stand_in.recorder()


@pytest.fixture
def sandbox(account: Account, calls: Recorder, tmp_path: Path) -> Iterator[Sandbox]:
    """The bundle under the emulator; where AWS is stands in its settings."""
    own = json.loads(build.SETTINGS.read_text(encoding="utf-8"))
    own |= {"region": REGION, "endpoint_url": calls.url, "check_interval_seconds": 0}
    code = built(tmp_path, own)
    nothing = tmp_path / "opt"
    nothing.mkdir()
    account.put_secret(KEY, "canary-1")
    with EdgeSandbox(
        code,
        environ=account.stand_in.assume(statements()),
        endpoint_url=calls.url,
        runtime=python_on_this_machine(),
        layer=nothing,
    ) as running:
        yield running

    assert [] == [line for line in running.lines if "canary" in line]


def viewer_request(key: str, uri: str = URI) -> dict[str, Any]:
    """What CloudFront hands to a function, for a link signed by this key."""
    signature = hmac.new(key.encode(), uri.encode(), "sha256").hexdigest()
    request = {
        "clientIp": "203.0.113.178",
        "headers": {"host": [{"key": "Host", "value": "d111.cloudfront.net"}]},
        "method": "GET",
        "querystring": f"signature={signature}",
        "uri": uri,
    }
    config = {"distributionId": "EDFDVBD6EXAMPLE", "eventType": "viewer-request"}
    return {"Records": [{"cf": {"config": config, "request": request}}]}


def answer(sandbox: Sandbox, key: str) -> str:
    """What becomes of a request whose link is signed by the key."""
    event = viewer_request(key)
    body = sandbox.invoke(event).body
    if body == event["Records"][0]["cf"]["request"]:
        return "passed on"
    return str(body.get("status") or body)


def variables(sandbox: Sandbox) -> set[str]:
    """The names of all that are set for any process inside."""
    texts = [
        Path(f"/proc/{process}/environ").read_bytes().decode()
        for process in sandbox.processes()
    ]
    return {
        each.partition("=")[0] for text in texts for each in text.split("\0") if each
    }


def test_links_are_checked_and_a_rotation_is_seen(
    sandbox: Sandbox, calls: Recorder, account: Account
) -> None:
    """The request after the rotation is checked by the new key, and by no other."""
    assert ["passed on", "403"] == [
        answer(sandbox, key) for key in ("canary-1", "canary-2")
    ]
    # Neither a layer nor a variable of a user's had a part in that.
    of_users = ("ROTAWARE_", "SECRET", "PARAMETERS_", "AWS_ENDPOINT")
    assert [] == [name for name in variables(sandbox) if name.startswith(of_users)]
    assert 1 == calls.counts["secretsmanager.GetSecretValue"]

    account.rotate(KEY, "canary-2")

    assert ["403", "passed on"] == [
        answer(sandbox, key) for key in ("canary-1", "canary-2")
    ]
    assert 2 == calls.counts["secretsmanager.GetSecretValue"]
    assert {"ssm.GetParameter", "secretsmanager.GetSecretValue"} == calls.counts.keys()


def test_the_bundle_is_small_and_complete(tmp_path: Path) -> None:
    """A fraction of the 50 MB that the edge takes; the same bytes each time."""
    archives = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folder = built(tmp_path / name, {"region": "us-east-1", "secrets": [KEY]})
        archives.append(tmp_path / f"{name}.zip")
        artifacts.pack(folder, archives[-1])
    names = zipfile.ZipFile(archives[0]).namelist()

    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert archives[0].stat().st_size < LIMIT_BYTES
    assert {"app.py", "settings.json", "rotaware/own_process.py"} < set(names)
    assert "cachetools/__init__.py" in names
    assert not [name for name in names if name.endswith((".pyc", ".so"))]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{", "Expecting property name"),
        ('{"regoin": "us-east-1"}', "unexpected keyword argument 'regoin'"),
        (
            '{"region": "us-east-1", "cache_size": -1}',
            "cache_size: '-1' is not a whole",
        ),
        ('{"secrets": ["a"]}', "region: is not known"),
    ],
)
def test_wrong_settings_build_nothing(
    settings: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is named, and what is wrong in it."""
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "settings.json"
    file.write_text(settings)

    with pytest.raises(artifacts.ArtifactError, match=f"{file}: .*{words}"):
        build.checked(file)


def test_building_it_by_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how large the zip is."""
    monkeypatch.setattr(sys, "argv", ["build", "--output", str(tmp_path)])

    build.main()

    assert (tmp_path / "edge.zip").exists()
    assert "edge.zip" in capsys.readouterr().out


def test_both_services_may_assume_the_role() -> None:
    """Lambda, where the function is made, and the edge, where its replicas run."""
    trust = json.loads((IAM / "trust.json").read_text(encoding="utf-8"))
    (statement,) = trust["Statement"]
    services = ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]

    assert {"Service": services} == statement["Principal"]


def test_the_role_may_do_no_more_than_the_function_does() -> None:
    """Reading the secret and the sheet, and logging wherever it runs."""
    actions = [action for each in statements() for action in each["Action"]]

    assert [
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    ] == actions
    key = json.loads((IAM / "key.json").read_text(encoding="utf-8"))
    assert "kms:Decrypt" == key["Statement"][1]["Action"]
