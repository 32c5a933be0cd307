"""The sheet in a table: through both clients, against a real implementation of the API.

That stand-in evaluates conditions and counts read units. It checks which table a role
may use, but not which item: the last test pins that. What it does not do at all is
throttle, and lag: those are the fake's part, whose words are compared with botocore's
model here.
"""

from __future__ import annotations

import io
import itertools
import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from rotaware.aws import AwsClient
from rotaware.boto import BotoAws
from rotaware.clock import SystemClock
from rotaware.dynamodb import MAX_BYTES, DynamoDbSheet
from rotaware.errors import (
    AwsError,
    AwsThrottledError,
    AwsUnavailableError,
    SheetError,
    aws_error,
)
from rotaware.log import Logger
from rotaware.parsers import NAMESPACE_LENGTH
from rotaware.publish import publish
from rotaware.sheet import UNWRITTEN, Edition, Sheet, Stamp, derive, encode
from tests.support.item_store import item_of, size_of
from tests.support.stand_in import (
    ACCOUNT,
    CREDENTIALS,
    REGION,
    StandIn,
    table_statement,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotaware.aws import Aws
    from rotaware.stamps import SheetHome

BORN = 1790000000
NAMESPACE = "default"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """AWS."""
    with StandIn() as running:
        yield running


@pytest.fixture
def table(stand_in: StandIn) -> str:
    """A new table, with the key that the template gives it."""
    name = f"stamps-{next(_numbers)}"
    key: list[Any] = [{"AttributeName": "namespace", "KeyType": "HASH"}]
    types: list[Any] = [{"AttributeName": "namespace", "AttributeType": "S"}]
    stand_in.client("dynamodb").create_table(
        TableName=name,
        KeySchema=key,
        AttributeDefinitions=types,
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def environ(stand_in: StandIn) -> dict[str, str]:
    """What a client needs to speak to the stand-in."""
    return {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": stand_in.url,
        **{name.upper(): value for name, value in CREDENTIALS.items()},
    }


def signed(variables: dict[str, str]) -> AwsClient:
    """The extension's client."""
    return AwsClient.from_environ(
        variables,
        clock=SystemClock(),
        random=random.random,
        max_connections=1,
        services=["dynamodb"],
    )


@pytest.fixture(params=["signed", "boto3"])
def aws(
    request: pytest.FixtureRequest,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Aws]:
    """The extension's client, and the invalidator's."""
    if request.param == "signed":
        client = signed(environ(stand_in))
        yield client
        client.close_idle()
        return
    for name, value in environ(stand_in).items():
        monkeypatch.setenv(name, value)
    boto = BotoAws()
    yield boto
    for service in boto._clients.values():
        service.close()


def home(aws: Aws, table: str, namespace: str = NAMESPACE) -> DynamoDbSheet:
    """The sheet as a writer has it."""
    return DynamoDbSheet(aws, table, namespace, consistent=True)


def sheet(base: int, born: int = BORN, **versions: str) -> Sheet:
    """A sheet with some stamps."""
    return Sheet(base, 0, born, {name: Stamp(v, born) for name, v in versions.items()})


def test_editions_follow_each_other(aws: Aws, table: str) -> None:
    """From no item to the second edition, each read as it was written."""
    sheets = home(aws, table)
    assert UNWRITTEN == sheets.read()

    assert 1 == sheets.write(sheet(0, s="v1"), over=UNWRITTEN)
    first = sheets.read()
    assert Edition(1, sheet(0, s="v1")) == first
    assert 2 == sheets.write(sheet(1, s="v2", t="ä☃"), over=first)
    assert Edition(2, sheet(1, s="v2", t="ä☃")) == sheets.read()
    reader = DynamoDbSheet(aws, table, NAMESPACE, consistent=False)
    assert Edition(2, sheet(1, s="v2", t="ä☃")) == reader.read(timeout_seconds=5)


@pytest.mark.parametrize(
    ("stands", "over"),
    [
        pytest.param(sheet(0), UNWRITTEN, id="created by another"),
        pytest.param(sheet(1), Edition(1, sheet(0)), id="overtaken"),
        pytest.param(sheet(0, BORN + 1), Edition(1, sheet(0)), id="made anew"),
        pytest.param(None, Edition(1, sheet(0)), id="deleted"),
    ],
)
def test_a_lost_condition_writes_nothing(
    stand_in: StandIn, aws: Aws, table: str, stands: Sheet | None, over: Edition
) -> None:
    """Whoever comes late is told so, and the item is what it was."""
    items = stand_in.client("dynamodb")
    if stands is not None:
        items.put_item(TableName=table, Item=item_of(NAMESPACE, encode(stands)))
    sheets = home(aws, table)
    before = sheets.read()

    assert sheets.write(sheet(over.generation, s="v2"), over=over) is None
    assert before == sheets.read()


def test_namespaces_share_a_table(aws: Aws, table: str) -> None:
    """Each has an item of its own, whatever characters its name has."""
    blue, green = home(aws, table, "blue"), home(aws, table, "g-r_e.en")
    blue.write(sheet(0, s="v1"), over=UNWRITTEN)

    assert UNWRITTEN == green.read()
    assert 1 == green.write(sheet(0, s="v2"), over=UNWRITTEN)
    assert Edition(1, sheet(0, s="v1")) == blue.read()


def test_a_table_that_does_not_exist(aws: Aws) -> None:
    """Readers find no sheet; a writer hears what AWS says."""
    sheets = home(aws, "no-such-table")

    assert sheets.read() is None
    with pytest.raises(AwsError) as refused:
        sheets.write(sheet(0), over=UNWRITTEN)
    assert ("ResourceNotFoundException", 400) == (
        refused.value.code,
        refused.value.status,
    )


@pytest.mark.parametrize(
    "stranger",
    [
        {"sheet": {"N": "1"}},
        {"sheet": {"S": "x"}, "edition": {"S": "1.1"}},
        {"sheet": {"M": {}}, "edition": {"B": b"1.1"}},
    ],
)
def test_a_strangers_item_is_left_alone(
    stand_in: StandIn, aws: Aws, table: str, stranger: dict[str, Any]
) -> None:
    """What is no sheet is neither read nor overwritten."""
    item = {"namespace": {"S": NAMESPACE}, **stranger}
    items = stand_in.client("dynamodb")
    items.put_item(TableName=table, Item=item)

    with pytest.raises(SheetError):
        home(aws, table).read()

    found = items.get_item(TableName=table, Key={"namespace": {"S": NAMESPACE}})
    assert item == found["Item"]


def test_many_writers_at_once(stand_in: StandIn, table: str) -> None:
    """Eight publish at the same moment: each stamp is there, each write was the next.

    Those who lost pause and come again, so the writes are as many as the stamps.
    """
    clients = [signed(environ(stand_in)) for _ in range(8)]
    clock = SystemClock()
    log = Logger(service="test", level="NONE", stream=io.StringIO(), clock=clock)

    def stamp(number: int) -> object:
        sheets: SheetHome = home(clients[number], table)
        truth = {f"subject-{number}": "v1"}
        return publish(
            sheets, lambda: truth, clock=clock, random=random.random, log=log
        )

    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(stamp, range(len(clients))))
    edition = home(clients[0], table).read()
    for client in clients:
        client.close_idle()

    assert edition is not None
    assert 8 == edition.generation
    assert {f"subject-{number}" for number in range(8)} == edition.sheet.stamps.keys()


def test_a_check_is_half_a_read_unit(stand_in: StandIn, table: str) -> None:
    """A full sheet, in the item with the longest key, is read for half a unit."""
    namespace = "n" * NAMESPACE_LENGTH
    stamps = {f"{number:011}": Stamp("v" * 8, BORN) for number in range(200)}
    full = derive(
        Edition(10**9, Sheet(10**9 - 1, 0, BORN)),
        stamps,
        {},
        now_seconds=BORN,
        max_bytes=MAX_BYTES,
    )
    item = item_of(namespace, encode(full))
    items = stand_in.client("dynamodb")
    written = items.put_item(
        TableName=table, Item=item, ReturnConsumedCapacity="TOTAL"
    )["ConsumedCapacity"]

    def units(*, consistent: bool) -> float:
        answer = items.get_item(
            TableName=table,
            Key={"namespace": {"S": namespace}},
            ConsistentRead=consistent,
            ReturnConsumedCapacity="TOTAL",
        )
        return float(answer["ConsumedCapacity"]["CapacityUnits"])

    assert 4000 < size_of(item) <= 4096
    assert (0.5, 1.0) == (units(consistent=False), units(consistent=True))
    assert 4.0 == written["CapacityUnits"]


@pytest.mark.parametrize("operation", ["GetItem", "PutItem"])
def test_the_words_are_those_of_the_model(operation: str) -> None:
    """Every refusal that the model knows is lost, absent, throttled or unavailable."""
    service = botocore.session.Session().get_service_model("dynamodb")
    shapes = service.operation_model(operation).error_shapes
    kinds: dict[str, type[AwsError]] = {
        "InternalServerError": AwsUnavailableError,
        "ProvisionedThroughputExceededException": AwsThrottledError,
        "RequestLimitExceeded": AwsThrottledError,
        "ThrottlingException": AwsThrottledError,
    }
    handled = {
        "GetItem": {"ResourceNotFoundException"},
        "PutItem": {"ConditionalCheckFailedException", "ResourceNotFoundException"},
    }
    # Of tables with local indexes, transactions, or strongly consistent replicas.
    foreign = {
        "ItemCollectionSizeLimitExceededException",
        "ReplicatedWriteConflictException",
        "TransactionConflictException",
    }
    names = {shape.name for shape in shapes}

    assert names - foreign == handled[operation] | kinds.keys()
    for name, kind in kinds.items():
        status = 500 if kind is AwsUnavailableError else 400
        assert kind is type(aws_error(name, "", status))


def test_the_statement_shown_is_the_one_that_is_tested() -> None:
    """The page on the sheet shows what functions are tested with."""
    page = (Path(__file__).parents[2] / "docs/sheet.md").read_text(encoding="utf-8")
    shown = page.partition("```json\n")[2].partition("```")[0]
    here = shown.replace("eu-west-1:123456789012", f"{REGION}:{ACCOUNT}")

    assert table_statement("rotaware-default", "default") == json.loads(here)


def refusal(call: Callable[[], object]) -> str | None:
    """The code with which a call is refused, if it is."""
    try:
        call()
    except AwsError as refused:
        return refused.code
    return None


def test_a_function_may_read_its_table_and_nothing_else(
    stand_in: StandIn, table: str
) -> None:
    """The statement that the docs show lets in reads of that table alone."""
    credentials = stand_in.assume([table_statement(table, NAMESPACE)])
    client = signed(environ(stand_in) | credentials)
    own, other = home(client, table), home(client, "another-table")

    assert refusal(own.read) is None
    assert "AccessDeniedException" == refusal(other.read)
    assert "AccessDeniedException" == refusal(
        lambda: own.write(sheet(0), over=UNWRITTEN)
    )
    # Here the stand-in differs: AWS tells the item's key to the policy's condition.
    assert refusal(home(client, table, "another").read) is None
    client.close_idle()
