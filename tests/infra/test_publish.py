"""`make publish`, on the stand-in: what it makes there, and what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from infra.publish.layers import LAYERS, Archive
from infra.publish.options import Options
from infra.publish.packaged import key, packaged
from infra.publish.problems import PublishError
from infra.publish.region import Region
from infra.publish.run import Row, Work, in_each
from tests.support.sandbox import ROOT
from tests.support.stand_in import ACCOUNT, CREDENTIALS, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REGIONS = ("eu-west-1", "us-east-1")
FRIEND = "111122223333"
BUCKETS = "name-{region}"
OWNER = {name.upper(): value for name, value in CREDENTIALS.items()}
# The smallest zip there is: its end record alone, here with a comment.
EMPTY_ZIP = b"PK\x05\x06" + bytes(16)


def archive(content: str) -> Archive:
    """A zip that holds nothing else."""
    return Archive(EMPTY_ZIP + len(content).to_bytes(2, "little") + content.encode())


class Aws:
    """The stand-in, and what was published there."""

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in
        self.calls: set[str] = set()
        self.bucket_owners: set[str | None] = set()
        self._sessions: dict[str, Any] = {}
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str) -> Any:
        """A client of the account's owner."""
        if (service, region) not in self._clients:
            self._clients[service, region] = self.session(OWNER).client(
                service, region_name=region, endpoint_url=self.stand_in.url
            )
        return self._clients[service, region]

    def session(self, credentials: Mapping[str, str]) -> Any:
        """boto3's, for other credentials than this process may have."""
        named: dict[str, Any] = {
            name.lower(): value for name, value in credentials.items()
        }
        key = named["aws_access_key_id"]
        if key not in self._sessions:
            self._sessions[key] = boto3.Session(**named)
            self._sessions[key].events.register("before-call", self._note)
        return self._sessions[key]

    def _note(self, model: Any, params: Any, **_: object) -> None:
        """Remember operations, as IAM calls them, and who must own a bucket."""
        service = model.service_model.service_name
        self.calls.add(f"{service}:{model.name}")
        if service == "s3":
            owner = params["headers"].get("x-amz-expected-bucket-owner")
            self.bucket_owners.add(owner)

    def make_bucket(self, region: str, owner_region: str | None = None) -> None:
        """The bucket for a Region, which may lie in another one."""
        place = owner_region or region
        options: dict[str, Any] = {"Bucket": BUCKETS.replace("{region}", region)}
        if place != "us-east-1":
            options["CreateBucketConfiguration"] = {"LocationConstraint": place}
        self.client("s3", place).create_bucket(**options)

    def versions(self, region: str) -> dict[str, list[dict[str, Any]]]:
        """The versions of every layer in a Region, oldest first."""
        client = self.client("lambda", region)
        listed = {
            layer.name: client.list_layer_versions(LayerName=layer.name)
            for layer in LAYERS
        }
        return {
            name: sorted(answer["LayerVersions"], key=lambda each: each["Version"])
            for name, answer in listed.items()
            if answer["LayerVersions"]
        }

    def arns(self) -> list[str]:
        """Every layer version in every Region."""
        return sorted(
            version["LayerVersionArn"]
            for region in REGIONS
            for versions in self.versions(region).values()
            for version in versions
        )


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """AWS, for all tests here."""
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def account(stand_in: StandIn) -> Aws:
    """AWS, with clients that are made once."""
    return Aws(stand_in)


@pytest.fixture
def aws(account: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """AWS as it is at first."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.stand_in.url)
    account.stand_in.reset()
    account.calls.clear()
    account.bucket_owners.clear()
    return account


def publish(
    aws: Aws,
    options: Options | None = None,
    *,
    credentials: Mapping[str, str] = OWNER,
    content: str = "first",
) -> list[Row]:
    """Publish three small layers; the table's rows."""
    options = options or Options(REGIONS)
    work = Work(
        options,
        "1.2.3",
        {layer: archive(f"{content} {layer.name}") for layer in LAYERS},
        archive("invalidator") if options.bucket else None,
        lambda _: None,
    )
    session = aws.session(credentials)
    places = [Region(session, name) for name in options.regions]
    in_each(places, Region.require_credentials)
    work.publish(places)
    return sorted(work.rows.values(), key=lambda row: (row.region, row.layer))


def states(rows: list[Row]) -> set[str]:
    """What became of the layers."""
    return {row.state for row in rows}


def test_every_layer_is_published_in_every_region(aws: Aws) -> None:
    """Each version says what it is for, what it holds and under which licence."""
    rows = publish(aws)

    assert sorted(str(row.arn) for row in rows) == aws.arns()
    assert len(rows) == len(REGIONS) * len(LAYERS)
    for region in REGIONS:
        for layer in LAYERS:
            (version,) = aws.versions(region)[layer.name]
            digest = archive(f"first {layer.name}").digest

            assert f"rotaware 1.2.3, sha256 {digest}" == version["Description"]
            assert list(layer.architectures) == version["CompatibleArchitectures"]
            assert list(layer.runtimes) == version["CompatibleRuntimes"]
            assert version["LicenseInfo"] == "Apache-2.0"


def test_publishing_twice_makes_one_version(aws: Aws) -> None:
    """The second time it only says what is there."""
    first = publish(aws)
    arns = aws.arns()
    second = publish(aws)

    assert states(second) == {"unchanged"}
    assert [row.arn for row in first] == [row.arn for row in second]
    assert arns == aws.arns()


def test_other_content_makes_a_new_version(aws: Aws) -> None:
    """The old version stays, for the functions that use it; the new one counts."""
    old = publish(aws)
    new = publish(aws, content="second")

    assert states(new) == {"published"}
    assert sorted(str(row.arn) for row in old + new) == aws.arns()
    assert states(publish(aws, content="second")) == {"unchanged"}


def test_a_dry_run_changes_nothing(aws: Aws) -> None:
    """It says what would be done."""
    aws.make_bucket("eu-west-1")
    options = Options(("eu-west-1",), BUCKETS, principals=("*",), dry_run=True)
    rows = publish(aws, options)

    assert states(rows) == {"would publish and share"}
    assert aws.arns() == []
    assert "Contents" not in aws.client("s3", "eu-west-1").list_objects_v2(
        Bucket="name-eu-west-1"
    )


@pytest.mark.parametrize("principals", [("111122223333", "444455556666"), ("*",)])
def test_sharing_is_added_once(aws: Aws, principals: tuple[str, ...]) -> None:
    """Also to a version that has been there already; then there is no more to do."""
    publish(aws)
    options = Options(REGIONS, principals=principals)
    shared = publish(aws, options)
    again = publish(aws, options)

    assert states(shared) == {"shared"}
    assert states(again) == {"unchanged"}
    for row in shared:
        name, number = str(row.arn).split(":")[-2:]
        policy = aws.client("lambda", row.region).get_layer_version_policy(
            LayerName=name, VersionNumber=int(number)
        )
        statements = json.loads(policy["Policy"])["Statement"]

        assert len(principals) == len(statements)
        for principal, statement in zip(principals, statements, strict=True):
            assert principal in str(statement["Principal"])


def test_a_version_for_an_organisation_is_not_for_everybody(aws: Aws) -> None:
    """A permission with a condition counts for nobody, so others are added."""
    options = Options(("eu-west-1",))
    for row in publish(aws, options):
        name, number = str(row.arn).split(":")[-2:]
        aws.client("lambda", "eu-west-1").add_layer_version_permission(
            LayerName=name,
            VersionNumber=int(number),
            StatementId="organisation",
            Action="lambda:GetLayerVersion",
            Principal="*",
            OrganizationId="o-a1b2c3d4e5",
        )

    rows = publish(aws, Options(("eu-west-1",), principals=(FRIEND,)))

    assert states(rows) == {"shared"}


def test_sharing_what_somebody_else_has_just_shared_is_done(aws: Aws) -> None:
    """Two who publish at once do not trouble each other."""
    (row, *_) = publish(aws, Options(("eu-west-1",), principals=(FRIEND,)))

    Region(aws.session(OWNER), "eu-west-1").share(str(row.arn), FRIEND)


def test_what_everybody_may_use_is_shared_with_nobody_else(aws: Aws) -> None:
    """A public version needs no permission for an account."""
    publish(aws, Options(REGIONS, principals=("*",)))

    assert states(publish(aws, Options(REGIONS, principals=(FRIEND,)))) == {"unchanged"}


def test_the_invalidator_goes_into_the_bucket(aws: Aws) -> None:
    """Each Region's bucket gets the code, under the name that the template takes."""
    for region in REGIONS:
        aws.make_bucket(region)
    aws.bucket_owners.clear()
    publish(aws, Options(REGIONS, BUCKETS))
    code = archive("invalidator")

    # Whoever else has made a bucket of that name does not get it, nor can change it.
    assert aws.bucket_owners == {ACCOUNT}

    for region in REGIONS:
        body = aws.client("s3", region).get_object(
            Bucket=BUCKETS.replace("{region}", region), Key=key(code)
        )["Body"]

        assert code.data == body.read()


def test_a_missing_bucket_keeps_everything_from_being_published(aws: Aws) -> None:
    """The message holds the command that makes it."""
    aws.make_bucket("eu-west-1")
    with pytest.raises(PublishError) as caught:
        publish(aws, Options(REGIONS, BUCKETS))

    assert str(caught.value) == (
        "us-east-1: there is no bucket name-us-east-1: make it with "
        "`aws s3 mb s3://name-us-east-1 --region us-east-1`"
    )
    assert aws.arns() == []


def test_a_bucket_in_another_region_is_refused(aws: Aws) -> None:
    """Lambda would not take code from it."""
    aws.make_bucket("eu-west-1", owner_region="us-east-1")
    with pytest.raises(PublishError, match="the bucket name-eu-west-1 lies in us-east"):
        publish(aws, Options(("eu-west-1",), BUCKETS))

    assert aws.arns() == []


# The stand-in has one name for all that reads layers, one for all that changes them.
READS, CHANGES = "lambda:ListLayers", "lambda:PublishLayerVersion"
CALLED_THERE = {
    "lambda:ListLayerVersions": READS,
    "lambda:GetLayerVersion": READS,
    "lambda:GetLayerVersionPolicy": READS,
    "lambda:PublishLayerVersion": CHANGES,
    "lambda:AddLayerVersionPermission": CHANGES,
}
# IAM's name for it.
HEAD_BUCKET = {"s3:HeadBucket": "s3:ListBucket"}
ALL = Options(REGIONS, BUCKETS, principals=(FRIEND,))


def statements() -> list[dict[str, Any]]:
    """What docs/publish.md says that the role must allow, here."""
    text = (ROOT / "docs" / "publish.md").read_text()
    (policy,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    told: list[dict[str, Any]] = json.loads(policy.replace("123456789012", ACCOUNT))[
        "Statement"
    ]
    return told


def role(aws: Aws, *denials: str, without: str = "") -> dict[str, str]:
    """Credentials of the documented role, but for one statement."""
    allowed = [
        each | {"Action": [CALLED_THERE.get(name, name) for name in each["Action"]]}
        for each in statements()
        if each["Sid"] != without
    ]
    denied = {
        "Effect": "Deny",
        "Action": list(denials),
        "Resource": ["arn:aws:lambda:us-east-1:*:layer:*"],
    }
    return aws.stand_in.assume(allowed + ([denied] if denials else []))


def test_every_call_is_allowed_by_the_documented_role(aws: Aws) -> None:
    """And it allows nothing else; GetCallerIdentity needs no permission."""
    for region in REGIONS:
        aws.make_bucket(region)
    aws.calls.clear()
    publish(aws, ALL)
    publish(aws, ALL)
    allowed = {action for each in statements() for action in each["Action"]}
    called = {HEAD_BUCKET.get(name, name) for name in aws.calls}

    assert allowed == called - {"sts:GetCallerIdentity"}


def test_the_documented_role_is_enough(aws: Aws) -> None:
    """The resources that it names are those that are used."""
    for region in REGIONS:
        aws.make_bucket(region)
    credentials = role(aws)
    publish(aws, ALL, credentials=credentials)

    assert states(publish(aws, ALL, credentials=credentials)) == {"unchanged"}


@pytest.mark.parametrize("taken", ["FindTheBucket", "Upload"])
def test_without_a_statement_nothing_is_published(aws: Aws, taken: str) -> None:
    """It says what is not allowed, and where to look."""
    for region in REGIONS:
        aws.make_bucket(region)
    with pytest.raises(PublishError) as caught:
        publish(aws, ALL, credentials=role(aws, without=taken))

    lines = str(caught.value).splitlines()

    assert len(lines) == len(REGIONS)
    assert all("not allowed" in line and "docs/publish.md" in line for line in lines)
    assert aws.arns() == []


@pytest.mark.parametrize(
    ("denied", "operation"),
    [(READS, "ListLayerVersions"), (CHANGES, "PublishLayerVersion")],
)
def test_a_region_without_permission_keeps_the_others_from_it(
    aws: Aws, denied: str, operation: str
) -> None:
    """Nothing is published anywhere, and only that Region is named."""
    with pytest.raises(PublishError) as caught:
        publish(aws, credentials=role(aws, denied))

    (line,) = str(caught.value).splitlines()

    assert line.startswith(f"us-east-1: {operation} of rotaware-x86-64: not allowed")
    assert aws.arns() == []


def test_who_may_not_share_in_one_region_shares_in_none(aws: Aws) -> None:
    """Found out before anything is shared."""
    publish(aws)
    options = Options(REGIONS, principals=(FRIEND,))
    with pytest.raises(PublishError, match=r"^us-east-1: AddLayerVersionPermission of"):
        publish(aws, options, credentials=role(aws, CHANGES))

    assert states(publish(aws, options)) == {"shared"}


def test_unknown_credentials_are_told_in_a_line_for_each_region(aws: Aws) -> None:
    """It says what may be wrong: they, or the Region."""
    wrong = OWNER | {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}
    with pytest.raises(PublishError) as caught:
        publish(aws, credentials=wrong)

    lines = str(caught.value).splitlines()

    assert len(lines) == len(REGIONS)
    assert all("AWS does not take the credentials there" in line for line in lines)


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 refuses it before it asks anybody."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(PublishError, match=r"^eu-west-1: .*nonsense: see AWS_ENDPOINT"):
        Region(boto3.Session(), "eu-west-1")


def run(aws: Aws, *arguments: str, **environ: str) -> tuple[int, str, str]:
    """The program itself: its exit code, output and errors."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "infra.publish", *arguments],
        cwd=ROOT,
        env=kept
        | {
            "PYTHONPATH": "shared:.",
            "AWS_ENDPOINT_URL": aws.stand_in.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        | environ,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_program_builds_and_publishes(aws: Aws) -> None:
    """Its table goes to standard output, or JSON, with the packaged template."""
    aws.make_bucket("eu-west-1")
    arguments = ["--regions", "eu-west-1", "--flavours", "python"]
    code, table, errors = run(aws, *arguments, **OWNER)

    assert code == 0, errors

    arn = aws.arns()[0]

    assert table.splitlines() == [
        "REGION     LAYER            STATE      ARN",
        f"eu-west-1  rotaware-python  published  {arn}",
    ]

    code, text, errors = run(aws, *arguments, "--json", "--bucket", BUCKETS, **OWNER)

    assert code == 0, errors

    path = "build/packaged-eu-west-1.yaml"
    layer = {"region": "eu-west-1", "layer": "rotaware-python", "arn": arn}

    assert json.loads(text) == {
        "layers": [layer | {"state": "unchanged"}],
        "templates": {"eu-west-1": path},
    }

    packaged = ROOT / path
    (place,) = re.findall(
        r"CodeUri: s3://name-eu-west-1/(.*)", packaged.read_text(), re.MULTILINE
    )
    aws.client("s3", "eu-west-1").head_object(Bucket="name-eu-west-1", Key=place)
    packaged.unlink()


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["--regions", "here"], {}, "REGIONS: 'here' is no Region's name"),
        (["--regions", "eu-west-1"], {}, "no credentials: run `aws configure`"),
        (
            ["--regions", "eu-west-1"],
            {"AWS_PROFILE": "work"},
            "credentials: The config profile (work) could not be found",
        ),
        (
            ["--regions", "eu-west-1"],
            {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"},
            "credentials: Partial credentials found",
        ),
        (
            ["--regions", "eu-west-1"],
            OWNER | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            "eu-west-1: GetCallerIdentity: AWS cannot be reached",
        ),
    ],
)
def test_the_program_ends_with_one_line(
    aws: Aws, arguments: list[str], environ: dict[str, str], said: str
) -> None:
    """Exit code 1, no traceback, nothing on standard output."""
    code, output, errors = run(aws, *arguments, **environ)

    assert (1, "") == (code, output)
    assert len(errors.splitlines()) == 1
    assert errors.startswith(f"make publish: {said}")


def test_the_template_is_packaged_as_it_is() -> None:
    """One line differs: where the code lies."""
    template = Path(ROOT, "infra", "template.yaml").read_text()
    lines = zip(
        template.splitlines(),
        packaged(template, "bucket", archive("code")).splitlines(),
        strict=True,
    )
    ((old, new),) = [(old, new) for old, new in lines if old != new]

    assert old.strip() == "CodeUri: ../build/invalidator"
    assert new.strip() == f"CodeUri: s3://bucket/{key(archive('code'))}"
    with pytest.raises(PublishError, match="one CodeUri must be the invalidator"):
        packaged("Resources: {}", "bucket", archive("code"))
