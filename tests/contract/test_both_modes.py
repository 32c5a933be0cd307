"""The cache in the extension and in the function's own process: the same test cases.

Both read the same AWS stand-in, whose changes the real invalidator stamps, run by the
test. Who reads has the same ``Client`` in hand. With an interval of 0 each read looks
at the sheet, so that nothing here waits for time to pass.
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

import rotaware
from rotaware.sheet import Sheet, decode, encode
from tests.support.events import Context, label_updated, parameter_changed
from tests.support.item_store import TABLE
from tests.support.modes import FUNCTION, MODES
from tests.support.recorder import Refusal
from tests.support.stand_in import ACCOUNT, CREDENTIALS, REGION, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rotaware.client import Client
    from tests.support.modes import ExtensionMode, InProcessMode

FETCH = "secretsmanager.GetSecretValue"
CHECK = "ssm.GetParameter"


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """AWS."""
    with StandIn() as running:
        yield running


class Rig:
    """One mode, with names of its own in AWS."""

    def __init__(self, stand_in: StandIn, mode: ExtensionMode | InProcessMode) -> None:
        self.calls = stand_in.recorder()
        self.namespace = f"n{uuid.uuid4().hex[:12]}"
        self.sheet = f"/rotaware/{self.namespace}/stamps"
        self._stand_in = stand_in
        self._mode = mode
        self._handler: Callable[[object, object], Any] | None = None

    def start(self, *, sheet: bool = True, **settings: Any) -> Client:
        """Start the mode; a read looks at the sheet unless something else is said."""
        if sheet:
            self.stamp(self.secret(name="first"))
        settings = {
            "namespace": self.namespace,
            "check_interval_seconds": 0,
            "check_timeout_seconds": 10,
            **settings,
        }
        return self._mode.start(self.calls.url, **settings)

    def aws(self, service: str) -> Any:
        """AWS, as an operator has it."""
        return self._stand_in.client(service)

    def secret(self, value: str | bytes = "old", name: str = "db") -> str:
        """Make a secret; its name."""
        name = f"{self.namespace}/{name}"
        kind = "SecretBinary" if isinstance(value, bytes) else "SecretString"
        self.aws("secretsmanager").create_secret(Name=name, **{kind: value})
        return name

    def put(self, name: str, value: str, stage: str) -> str:
        """Put a value under a label; its version id."""
        answer = self.aws("secretsmanager").put_secret_value(
            SecretId=name, SecretString=value, VersionStages=[stage]
        )
        return str(answer["VersionId"])

    def rotate(self, name: str, value: str) -> None:
        """Move AWSCURRENT to a new value, and let the invalidator know."""
        self.put(name, value, "AWSCURRENT")
        self.stamp(name)

    def stamp(self, name: str) -> None:
        """Hand the invalidator the event of a secret."""
        arn = self.aws("secretsmanager").describe_secret(SecretId=name)["ARN"]
        self.invoke(label_updated(arn, name))

    def invoke(self, event: object) -> None:
        """One invocation of the invalidator."""
        if self._handler is None:
            sys.modules.pop("invalidator.handler", None)
            self._handler = importlib.import_module("invalidator.handler").handler
        self._handler(event, Context())

    def put_sheet(self, change: Callable[[Sheet], Sheet]) -> None:
        """Write the sheet past all writers."""
        value = self.aws("ssm").get_parameter(Name=self.sheet)["Parameter"]["Value"]
        self.aws("ssm").put_parameter(
            Name=self.sheet, Value=encode(change(decode(value))), Overwrite=True
        )

    def fetches(self) -> int:
        """How often a secret was fetched since the last time of asking."""
        count = self.calls.counts[FETCH]
        self.calls.clear()
        return count


@pytest.fixture(params=MODES)
def rig(
    request: pytest.FixtureRequest,
    stand_in: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Rig]:
    """One mode, and the environment of the invalidator."""
    with MODES[request.param](tmp_path) as mode:
        rig = Rig(stand_in, mode)
        environ = {
            "AWS_ENDPOINT_URL": stand_in.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "POWERTOOLS_SERVICE_NAME": f"invalidator-{rig.namespace}",
            "ROTAWARE_NAMESPACE": rig.namespace,
            **{name.upper(): value for name, value in CREDENTIALS.items()},
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield rig


def test_a_second_read_is_a_hit(rig: Rig) -> None:
    """One read fetches; the next one looks at the sheet and at nothing else."""
    name = rig.secret()
    client = rig.start()

    assert "old" == client.get_secret(name)
    assert 1 == rig.fetches()
    assert "old" == client.get_secret(name)
    assert rig.calls.counts.keys() <= {CHECK}


def test_a_rotation_is_read_next(rig: Rig) -> None:
    """One fetch for what was stamped, none for what was not."""
    name, other = rig.secret(), rig.secret(name="other")
    client = rig.start()
    rig.stamp(name)
    for each in (name, other):
        client.get_secret(each)
    rig.fetches()

    rig.rotate(name, "new")

    assert "new" == client.get_secret(name)
    assert 1 == rig.fetches()
    assert ["new", "old"] == [client.get_secret(each) for each in (name, other)]
    assert 0 == rig.fetches()


def test_a_pending_version_evicts_nothing(rig: Rig) -> None:
    """Until AWSCURRENT moves, the old value is the value; the new one is never held."""
    name = rig.secret()
    client = rig.start()
    client.get_secret(name)

    rig.put(name, "new", "AWSPENDING")
    rig.stamp(name)
    rig.fetches()

    assert "old" == client.get_secret(name)
    assert 0 == rig.fetches()
    for _ in range(2):
        assert "new" == client.get_secret(name, version_stage="AWSPENDING")
    assert 2 == rig.fetches()


@pytest.mark.parametrize(
    "change",
    [
        lambda sheet: sheet._replace(base=sheet.base + 1, horizon=sheet.base + 1),
        lambda sheet: sheet,
    ],
    ids=["overflow", "gap"],
)
def test_what_a_sheet_may_have_forgotten_evicts(
    rig: Rig, change: Callable[[Sheet], Sheet]
) -> None:
    """A stamp that went for want of room, or was overwritten unread, may be ours."""
    name = rig.secret()
    client = rig.start()
    client.get_secret(name)
    rig.rotate(name, "new")
    rig.fetches()

    rig.put_sheet(lambda sheet: change(sheet)._replace(stamps={}))

    assert "new" == client.get_secret(name)
    assert 1 == rig.fetches()


def test_a_deleted_sheet_evicts(rig: Rig) -> None:
    """What it said is gone with it. Reads go on."""
    name = rig.secret()
    client = rig.start()
    rig.rotate(name, "old")
    client.get_secret(name)
    rig.put(name, "new", "AWSCURRENT")

    rig.aws("ssm").delete_parameter(Name=rig.sheet)

    assert "new" == client.get_secret(name)


def test_without_a_sheet_reads_go_on(rig: Rig) -> None:
    """Where no invalidator is deployed, values are held by their TTL."""
    name = rig.secret()
    client = rig.start(sheet=False)

    for _ in range(2):
        assert "old" == client.get_secret(name)
    assert 1 == rig.fetches()


def test_a_source_out_of_reach_is_covered(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An evicted value is better than none, until the source is back."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    name = rig.secret()
    client = rig.start()
    client.get_secret(name)
    rig.rotate(name, "new")

    with rig.calls.refusing(FETCH, Refusal(503, "ServiceUnavailable")):
        assert "old" == client.get_secret(name)
        with pytest.raises(rotaware.AwsUnavailableError):
            client.get_secret(name, force_fetch=True)

    assert "new" == client.get_secret(name, force_fetch=True)


def test_a_refusal_is_awss_own(rig: Rig) -> None:
    """Its code and status; nothing stale covers it, and it is remembered briefly."""
    name = rig.secret()
    client = rig.start()
    client.get_secret(name)
    rig.rotate(name, "new")
    rig.fetches()

    denied = Refusal(400, "AccessDeniedException", "no")
    with rig.calls.refusing(FETCH, denied):
        for _ in range(2):
            with pytest.raises(rotaware.AwsError, match="AccessDeniedException: no"):
                client.get_secret(name)

    assert 1 == rig.fetches()


def test_a_forced_read_asks(rig: Rig) -> None:
    """Whatever is held, and for those who read after it too."""
    name = rig.secret()
    client = rig.start()
    client.get_secret(name)
    rig.put(name, "new", "AWSCURRENT")

    assert "old" == client.get_secret(name)
    assert "new" == client.get_secret(name, force_fetch=True)
    assert "new" == client.get_secret(name)


def test_an_age_limit_asks(rig: Rig) -> None:
    """What may be older than the caller allows is asked for again."""
    name = rig.secret()
    client = rig.start()
    client.get_secret(name, max_age=60)
    rig.put(name, "new", "AWSCURRENT")

    assert "old" == client.get_secret(name, max_age=60)
    assert "new" == client.get_secret(name, max_age=0)


def test_another_version_than_the_failed_one(rig: Rig) -> None:
    """It is asked for only as long as none other is held."""
    name = rig.secret()
    client = rig.start()
    failed = client.read_secret(name)
    rig.put(name, "new", "AWSCURRENT")
    rig.fetches()

    found = client.read_secret(name, instead_of=failed.version_id)

    assert ("new", ("AWSCURRENT",)) == (found.value, found.version_stages)
    assert 1 == rig.fetches()
    assert "new" == client.read_secret(name, instead_of=failed.version_id).value
    assert 0 == rig.fetches()


def test_versions_and_binary_values(rig: Rig) -> None:
    """A version is read by its id; what is binary comes as bytes."""
    name = rig.secret()
    blob = rig.secret(b"\xff\x00", "blob")
    client = rig.start()
    first = client.read_secret(name)
    rig.rotate(name, "new")

    assert "old" == client.get_secret(name, version_id=first.version_id)
    assert "old" == client.get_secret(name, version_stage="AWSPREVIOUS")
    assert b"\xff\x00" == client.get_secret(blob)


def test_a_changed_parameter_is_read_next(rig: Rig) -> None:
    """Parameters are stamped as secrets are."""
    name = f"/{rig.namespace}/flag"
    ssm = rig.aws("ssm")
    ssm.put_parameter(Name=name, Value="old", Type="String")
    client = rig.start()

    assert "old" == client.get_parameter(name)

    ssm.put_parameter(Name=name, Value="new", Overwrite=True)
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}"
    rig.invoke(parameter_changed(name, arn=arn))

    assert "new" == client.get_parameter(name)
    assert {"flag": "new"} == client.get_parameters(f"/{rig.namespace}")


def test_encrypted_parameters_are_read_decrypted(rig: Rig) -> None:
    """If the read says so."""
    name = f"/{rig.namespace}/key"
    rig.aws("ssm").put_parameter(Name=name, Value="plain", Type="SecureString")
    client = rig.start()

    assert "plain" == client.get_parameter(name, decrypt=True)
    assert "plain" != client.get_parameter(name)


def test_a_sheet_in_a_table(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It evicts as the one in Parameter Store does."""
    tables = rig.aws("dynamodb")
    if TABLE not in tables.list_tables()["TableNames"]:
        tables.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "namespace", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "namespace", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    monkeypatch.setenv("ROTAWARE_STAMPS", f"dynamodb://{TABLE}")
    name = rig.secret()
    client = rig.start(sheet=False, stamps=f"dynamodb://{TABLE}")
    client.get_secret(name)

    rig.rotate(name, "new")

    assert "new" == client.get_secret(name)
    assert 0 < rig.calls.counts["dynamodb.GetItem"]
    assert 0 == rig.calls.counts[CHECK]


@pytest.mark.parametrize("context", [{}, {"LambdaFunctionName": FUNCTION}])
def test_an_encrypted_variable(rig: Rig, context: dict[str, str]) -> None:
    """It is decrypted once, in the function's context or in none."""
    kms = rig.aws("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"canary", EncryptionContext=context)
    text = base64.b64encode(blob["CiphertextBlob"]).decode()

    client = rig.start(variables={"API_KEY": text})
    for _ in range(2):
        assert "canary" == client.get_variable("API_KEY")

    assert 1 == sum(
        call.status == 200 for call in rig.calls.calls if call.name == "kms.Decrypt"
    )


def test_what_is_prefetched_is_a_hit(rig: Rig) -> None:
    """All in one call, before the first read."""
    names = tuple(rig.secret(name=f"db{number}") for number in range(3))
    client = rig.start(secrets=names)
    counts = rig.calls.counts

    assert (1, 0) == (counts["secretsmanager.BatchGetSecretValue"], counts[FETCH])

    rig.calls.clear()
    for name in names:
        assert "old" == client.get_secret(name)

    assert rig.calls.counts.keys() <= {CHECK}


def test_stamps_may_be_off(rig: Rig) -> None:
    """Then nobody looks for a sheet."""
    name = rig.secret()
    client = rig.start(stamps="off")

    client.get_secret(name)

    assert {FETCH: 1} == rig.calls.counts


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    """What each mode said of the same bad reads."""
    return {}


def test_errors_are_the_same(rig: Rig, told: dict[str, Any], request: Any) -> None:
    """Kind, code, status and words: who catches them cannot tell the modes apart."""
    rig.aws("ssm").put_parameter(
        Name="/plain", Value="x", Type="String", Overwrite=True
    )
    client = rig.start(secrets_ttl_seconds=0)
    reads: dict[str, Callable[[], Any]] = {
        "absent": lambda: client.get_secret("nobody/has-this"),
        "ARN": lambda: client.get_secret(
            f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:gone-AbCdEf"
        ),
        "parameter": lambda: client.get_parameter("/nobody/has/this"),
        "version": lambda: client.get_parameter("/plain", version=99),
        "label": lambda: client.get_parameter("/plain", label="none"),
        "variable": lambda: client.get_variable("NOT_LISTED"),
        "json": lambda: client.get_parameter("/plain", transform="json"),
    }
    errors = {}
    for about, read in reads.items():
        with pytest.raises(rotaware.RotawareError) as caught:
            read()
        error = caught.value
        errors[about] = [type(error).__name__, error.code, error.status, str(error)]
    told[request.node.callspec.params["rig"]] = errors

    (expected,) = {json.dumps(each) for each in told.values()}
    assert json.loads(expected) == errors
