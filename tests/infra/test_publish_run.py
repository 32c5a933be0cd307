"""What `make publish` says, and what exists, when something goes wrong on the way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from botocore import exceptions as botocore
from botocore.session import get_session

from infra.publish import layers, report
from infra.publish.layers import LAYERS, Archive, Found
from infra.publish.options import Options, parse
from infra.publish.problems import NO_CREDENTIALS, PublishError, from_aws
from infra.publish.run import Row, Work, in_each
from tests.support.sandbox import ROOT

if TYPE_CHECKING:
    from infra.publish.layers import Step

REGIONS = ("eu-west-1", "us-east-1")
FRIEND = "111122223333"
FRIENDS = ("111122223333", "444455556666")


class Place:
    """A Region in memory; what ``refuses`` names fails there."""

    def __init__(self, name: str, *refuses: str) -> None:
        self.name = name
        self.found: dict[str, Found] = {}
        self.shared: dict[str, set[str]] = {}
        self.uploads: list[str] = []
        self._refuses = refuses

    def require_credentials(self) -> str:
        return "arn"

    def newest(self, layer: str) -> Found | None:
        return self.found.get(layer)

    def principals(self, arn: str) -> frozenset[str]:
        return frozenset(self.shared.get(arn, ()))

    def require_publishing(self, layer: str) -> None:
        self._fail(f"may publish {layer}")

    def require_sharing(self, layer: str) -> None:
        self._fail(f"may share {layer}")

    def require_bucket(self, bucket: str) -> None:
        self._fail(f"has {bucket}")

    def upload(self, bucket: str, key: str, data: bytes) -> None:
        self._fail(f"upload {len(data)} bytes")
        self.uploads.append(f"{bucket}/{key}")

    def publish(self, step: Step, version: str) -> str:
        name = step.layer.name
        self._fail(f"publish {name}")
        arn = f"{self.name}:{name}:{version}"
        self.found[name] = Found(arn, step.archive.code_sha256)
        return arn

    def share(self, arn: str, principal: str) -> None:
        self._fail(f"share {arn.split(':')[1]} {principal}")
        self.shared.setdefault(arn, set()).add(principal)

    def _fail(self, what: str) -> None:
        if what in self._refuses:
            raise PublishError(f"{self.name}: {what}")


def work(options: Options) -> Work:
    """What is published."""
    archives = {layer: Archive(layer.name.encode()) for layer in LAYERS}
    return Work(options, "1", archives, Archive(b"code"), lambda _: None)


def states(done: Work, region: str) -> dict[str, str]:
    """What the table says of a Region, by the ends of the layers' names."""
    return {
        row.layer.removeprefix("rotaware-"): row.state
        for row in done.rows.values()
        if row.region == region
    }


def test_the_table_tells_what_exists_when_a_region_fails() -> None:
    """The other Region is done all the same, and running it again does the rest."""
    broken = Place("eu-west-1", "publish rotaware-arm64")
    whole = Place("us-east-1")
    first = work(Options(REGIONS))
    with pytest.raises(PublishError) as caught:
        first.publish([broken, whole])

    assert str(caught.value).splitlines() == [
        "eu-west-1: publish rotaware-arm64",
        "what the table shows exists; run the same command again to complete the rest",
    ]
    assert states(first, "eu-west-1") == {
        "x86-64": "published",
        "arm64": "not published",
        "python": "not published",
    }
    assert set(states(first, "us-east-1").values()) == {"published"}

    broken._refuses = ()
    again = work(Options(REGIONS))
    again.publish([broken, whole])

    assert states(again, "eu-west-1") == {
        "x86-64": "unchanged",
        "arm64": "published",
        "python": "published",
    }
    assert set(states(again, "us-east-1").values()) == {"unchanged"}


def test_a_version_that_could_not_be_shared_is_told_so() -> None:
    """Whether it has just been published or was there before."""
    place = Place("eu-west-1", f"share rotaware-x86-64 {FRIENDS[1]}")
    options = Options(("eu-west-1",), principals=FRIENDS)
    expected = {
        "x86-64": "published, not shared",
        "arm64": "not published",
        "python": "not published",
    }
    first = work(options)
    with pytest.raises(PublishError):
        first.publish([place])

    assert expected == states(first, "eu-west-1")

    again = work(options)
    with pytest.raises(PublishError):
        again.publish([place])

    assert expected | {"x86-64": "unchanged, not shared"} == states(again, "eu-west-1")

    place._refuses = ()
    last = work(options)
    last.publish([place])

    assert states(last, "eu-west-1") == {
        "x86-64": "shared",
        "arm64": "published",
        "python": "published",
    }
    assert all(each == set(FRIENDS) for each in place.shared.values())


@pytest.mark.parametrize(
    "refused",
    [
        "has name-eu-west-1",
        "may publish rotaware-python",
        "may share rotaware-python",
        "upload 4 bytes",
    ],
)
def test_nothing_is_published_where_it_is_refused_beforehand(refused: str) -> None:
    """In no Region."""
    bad, good = Place("eu-west-1", refused), Place("us-east-1")
    options = Options(REGIONS, "name-{region}", principals=("*",))
    with pytest.raises(PublishError, match=f"^eu-west-1: {refused}$"):
        work(options).publish([bad, good])

    assert (bad.found, good.found) == ({}, {})


def test_a_dry_run_tells_what_would_be_done() -> None:
    """To versions that are there, and to those that are not."""
    place = Place("eu-west-1")
    names = [layer.name for layer in LAYERS]
    for name in names[:2]:
        place.found[name] = Found(
            f"eu-west-1:{name}:7", Archive(name.encode()).code_sha256
        )
    place.shared[f"eu-west-1:{names[0]}:7"] = {FRIEND}
    options = Options(
        ("eu-west-1",), "name-{region}", principals=(FRIEND,), dry_run=True
    )
    done = work(options)
    done.publish([place])

    assert states(done, "eu-west-1") == {
        "x86-64": "unchanged",
        "arm64": "would share",
        "python": "would publish and share",
    }
    assert place.uploads == []
    assert names[2] not in place.found


def test_regions_are_worked_on_side_by_side() -> None:
    """Each waits here until the other has begun."""
    both = threading.Barrier(2, timeout=10)

    def meet(place: Place) -> str:
        both.wait()
        return place.name

    assert in_each([Place(name) for name in REGIONS], meet) == dict(
        zip(REGIONS, REGIONS, strict=True)
    )


def test_a_bug_is_not_told_as_a_problem() -> None:
    """Only what was foreseen is put into a line."""

    def fail(_: Place) -> None:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        in_each([Place("eu-west-1")], fail)


class Wrong(NamedTuple):
    """A command line, and what is said of it."""

    arguments: str
    said: str


WRONG = [
    Wrong("", "REGIONS is missing: say where, for example"),
    Wrong("--regions Europe", "REGIONS: 'Europe' is no Region's name"),
    Wrong("--regions eu-west-1 --arch mips", "ARCH: 'mips' is not one of x86_64, arm6"),
    Wrong("--regions eu-west-1 --flavours full", "FLAVOURS: 'full' is not one of any,"),
    Wrong("--regions eu-west-1 --accounts me", "ACCOUNTS: 'me' is no account: an acc"),
    Wrong("--regions eu-west-1 --accounts 111122223333 --public", "PUBLIC=1 shares wi"),
    Wrong("--regions eu-west-1,eu-west-2 --bucket name", "BUCKET: Lambda takes code"),
    Wrong("--regions eu-west-1 --bucket s3://name", "BUCKET: 's3://name' is no bucket"),
    Wrong("--regions eu-west-1 --bucket na", "BUCKET: 'na' is no bucket's name: 3 to"),
    Wrong("--regions eu-west-1 --bucke name", "unrecognized arguments: --bucke name"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.said[:20])
def test_a_wrong_argument_is_told_in_a_line(case: Wrong) -> None:
    """By the name of the variable that it was given in."""
    with pytest.raises(PublishError) as caught:
        parse(case.arguments.split())

    (line,) = str(caught.value).splitlines()

    assert line.startswith(case.said)


def test_all_that_is_wrong_is_told_at_once() -> None:
    """A line for each."""
    with pytest.raises(PublishError) as caught:
        parse(["--regions", "here,there", "--arch", "mips"])

    assert len(str(caught.value).splitlines()) == 3


def test_the_arguments_are_what_make_passes() -> None:
    """A variable that is not set comes as nothing."""
    empty = ["--bucket=", "--arch=", "--flavours=", "--accounts="]

    assert parse(["--regions", "eu-west-1, us-east-1", *empty]) == Options(REGIONS)
    assert parse(
        ["--regions=eusc-de-east-1", "--arch=arm64", "--public", "--dry-run", "--json"]
    ) == Options(
        ("eusc-de-east-1",),
        architectures=("arm64",),
        principals=("*",),
        dry_run=True,
        as_json=True,
    )


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("", ["rotaware-x86-64", "rotaware-arm64", "rotaware-python"]),
        ("--arch arm64", ["rotaware-arm64", "rotaware-python"]),
        ("--flavours any", ["rotaware-x86-64", "rotaware-arm64"]),
        ("--flavours python", ["rotaware-python"]),
        ("--flavours any --arch x86_64", ["rotaware-x86-64"]),
    ],
)
def test_fewer_layers_can_be_chosen(arguments: str, names: list[str]) -> None:
    """By processor and by flavour."""
    options = parse(["--regions", "eu-west-1", *arguments.split()])

    assert names == [layer.name for layer in layers.chosen(options)]


@pytest.mark.parametrize("own", ["x86_64", "arm64"])
def test_each_layer_has_its_zip(own: str) -> None:
    """This machine's own layer has the short name, whichever processor it has."""
    foreign = {"x86_64": "arm64", "arm64": "x86_64"}[own]
    expected = {own: "layer.zip", foreign: f"layer-{foreign}.zip"}

    assert {
        "rotaware-x86-64": expected["x86_64"],
        "rotaware-arm64": expected["arm64"],
        "rotaware-python": "layer-python.zip",
    } == {layer.name: layers.archive_name(layer, own) for layer in LAYERS}


def test_lambda_takes_what_a_layer_says_of_itself() -> None:
    """Known runtimes, 15 at most, a description and a name that are not too long."""
    model: Any = get_session().get_service_model("lambda")
    known = set(model.shape_for("Runtime").enum)
    members = model.operation_model("PublishLayerVersion").input_shape.members
    limits = {
        name: shape.metadata["max"]
        for name, shape in members.items()
        if "max" in shape.metadata
    }
    for layer in LAYERS:
        told: Any = layers.request(layer, Archive(b""), "10.20.30")

        assert set(layer.runtimes) <= known
        assert [name for name in limits if len(told[name]) > limits[name]] == []


def client_error(code: str, message: str = "") -> botocore.ClientError:
    """What boto3 raises for an answer."""
    return botocore.ClientError({"Error": {"Code": code, "Message": message}}, "Call")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            client_error("ExpiredToken", "The token"),
            "the credentials have expired",
        ),
        (
            client_error("ExpiredTokenException"),
            "the credentials have expired: sign in",
        ),
        (
            client_error("UnrecognizedClientException"),
            "AWS does not take the",
        ),
        (
            client_error("AccessDenied", "You\n may not"),
            "not allowed: You may not; ",
        ),
        (
            client_error("403"),
            "not allowed: 403; docs/publish.md lists",
        ),
        (
            client_error("TooManyRequestsException"),
            "AWS throttles the calls: run",
        ),
        (
            client_error("CodeStorageExceededException"),
            "the Region's storage for code",
        ),
        (client_error("ServiceException", "Oh"), "ServiceException: Oh"),
        (botocore.NoCredentialsError(), "no credentials: run `aws configure`"),
        (
            botocore.UnauthorizedSSOTokenError(),
            "the sign-in has ended",
        ),
        (
            botocore.TokenRetrievalError(provider="sso", error_msg="expired"),
            "the sign-in has ended: run `aws sso login`",
        ),
        (
            botocore.EndpointConnectionError(endpoint_url="https://lambda.eu-west-9"),
            "AWS cannot be reached: is there a Region of this name",
        ),
        (
            botocore.ConfigNotFound(path="here"),
            "The specified config file",
        ),
    ],
    ids=str,
)
def test_every_failure_of_aws_is_one_line(error: Exception, said: str) -> None:
    """With what to do, where that is known."""
    (line,) = str(from_aws(error, "eu-west-1: Call")).splitlines()

    assert line.startswith(f"eu-west-1: Call: {said}")


def test_the_page_shows_what_is_said() -> None:
    """docs/publish.md quotes the commonest line, and names every layer."""
    page = (ROOT / "docs" / "publish.md").read_text()

    assert f"make publish: {NO_CREDENTIALS}\n" in page
    assert [layer.name for layer in LAYERS if f"`{layer.name}`" not in page] == []


def test_the_table_has_a_line_for_each_layer() -> None:
    """In order, in columns."""
    rows = [
        Row("us-east-1", "b", "not published", None),
        Row("eu-west-1", "a", "x", "1"),
    ]

    assert report.table(rows).splitlines() == [
        "REGION     LAYER  STATE          ARN",
        "eu-west-1  a      x              1",
        "us-east-1  b      not published  -",
    ]
