"""What is sent to AWS for each question, and what becomes of each answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotaware.errors import (
    AwsError,
    AwsThrottledError,
    AwsTimeoutError,
    AwsUnavailableError,
)
from rotaware.secret import PARAMETER_STORE, SECRETS_MANAGER, Fetched, Query
from rotaware.sheet import subject_of
from rotaware.source import MAX_PAGES, PARAMETERS_BATCH, SECRETS_BATCH, AwsSource
from tests.support.fake_aws import Call, FakeAws

CANARY = "canary-91c4e2"
ACCOUNT = "123456789012"
ARN = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:db-MFUBmH"
PARAMETER_ARN = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/app/db"
VERSION_ID = "b1c367b9-7f53-4a47-82c4-be51a054b953"
SECRET = {
    "ARN": ARN,
    "Name": "db",
    "VersionId": VERSION_ID,
    "SecretString": CANARY,
    "VersionStages": ["AWSCURRENT"],
    "CreatedDate": 1668586960.499,
}
PARAMETER = {
    "Name": "/app/db",
    "Type": "String",
    "Value": CANARY,
    "Version": 7,
    "LastModifiedDate": 1668586960.362,
    "ARN": PARAMETER_ARN,
    "DataType": "text",
}
REFERENCE_NAME = "/aws/reference/secretsmanager/db"
SOURCE_RESULT = {
    "ARN": ARN,
    "name": "db",
    "versionId": VERSION_ID,
    "secretString": CANARY,
    "versionStages": ["AWSCURRENT"],
    "createdDate": "Nov 16, 2022, 8:22:40 AM",
}
REFERENCE = {
    "Name": REFERENCE_NAME,
    "Type": "SecureString",
    "Value": CANARY,
    "Version": 0,
    "SourceResult": json.dumps(SOURCE_RESULT, separators=(",", ":")),
    "LastModifiedDate": 1668586960.499,
    "ARN": ARN,
}
DENIED = AwsError("AccessDeniedException", "no batches here")
DOWN = AwsUnavailableError("ServiceUnavailable", "come back later")


def source(*answers: Any, **timeouts: float | None) -> tuple[AwsSource, FakeAws]:
    """A source whose AWS answers this."""
    aws = FakeAws(*answers)
    return AwsSource(aws, timeouts), aws


def fetch(query: Query, answer: Any) -> Fetched:
    """What a query becomes, with this answer of AWS."""
    return source(answer)[0].fetch(query)


def secret(name: str, account: str = ACCOUNT) -> dict[str, Any]:
    """A secret, as AWS sends it."""
    arn = f"arn:aws:secretsmanager:us-east-1:{account}:secret:{name}-a1b2c3"
    return {**SECRET, "Name": name, "ARN": arn}


def parameter(name: str, account: str = ACCOUNT) -> dict[str, Any]:
    """A parameter, as AWS sends it."""
    arn = f"arn:aws:ssm:us-east-1:{account}:parameter{name}"
    return {**PARAMETER, "Name": name, "ARN": arn}


def arns(outcomes: dict[Query, Any]) -> dict[str, str]:
    """Which ARN each query got, by the query's id."""
    return {query.id: outcome.arn for query, outcome in outcomes.items()}


# --- what is sent


@pytest.mark.parametrize(
    ("query", "answer", "sent"),
    [
        (
            Query.secret("db"),
            SECRET,
            Call(
                "secretsmanager",
                "GetSecretValue",
                {"SecretId": "db", "VersionStage": "AWSCURRENT"},
            ),
        ),
        (
            Query.secret(ARN, "v1"),
            SECRET,
            Call(
                "secretsmanager", "GetSecretValue", {"SecretId": ARN, "VersionId": "v1"}
            ),
        ),
        (
            Query.secret("db", "v1", "AWSPENDING"),
            SECRET,
            Call(
                "secretsmanager",
                "GetSecretValue",
                {"SecretId": "db", "VersionId": "v1", "VersionStage": "AWSPENDING"},
            ),
        ),
        (
            Query.parameter("/app/db"),
            {"Parameter": PARAMETER},
            Call("ssm", "GetParameter", {"Name": "/app/db", "WithDecryption": False}),
        ),
        (
            Query.parameter("/app/db", "3", decrypt=True),
            {"Parameter": PARAMETER},
            Call("ssm", "GetParameter", {"Name": "/app/db:3", "WithDecryption": True}),
        ),
        (
            Query.parameter(PARAMETER_ARN, label="Dev"),
            {"Parameter": PARAMETER},
            Call(
                "ssm",
                "GetParameter",
                {"Name": f"{PARAMETER_ARN}:Dev", "WithDecryption": False},
            ),
        ),
        *(
            (
                Query.parameter(name),
                {"Parameter": PARAMETER},
                Call("ssm", "GetParameter", {"Name": name, "WithDecryption": False}),
            )
            for name in ("/app/db:3", "/app/db:Dev", f"{PARAMETER_ARN}:3", "db:3:4")
        ),
    ],
)
def test_a_query_is_one_call_that_asks_for_just_that(
    query: Query, answer: Any, sent: Call
) -> None:
    """Ids as given; versions and labels where AWS wants them; nothing else."""
    asked, aws = source(answer)
    asked.fetch(query)

    assert [sent] == aws.calls


@pytest.mark.parametrize(
    ("own", "asked", "sent"),
    [
        (None, None, None),
        (3.0, None, 3.0),
        (None, 2.0, 2.0),
        (3.0, 2.0, 2.0),
        (1.0, 2.0, 1.0),
    ],
)
def test_the_shorter_time_limit_counts(
    own: float | None, asked: float | None, sent: float | None
) -> None:
    """The service's own, or the reader's; each service has its own."""
    here, aws = source(SECRET, secretsmanager=own, ssm=9.0)
    here.fetch(Query.secret("db"), timeout_seconds=asked)

    assert sent == aws.calls[0].timeout_seconds


# --- what comes back


SECRET_BODY: dict[str, Any] = {
    "ARN": ARN,
    "CreatedDate": "2022-11-16T08:22:40.499Z",
    "Name": "db",
    "SecretBinary": None,
    "SecretString": CANARY,
    "VersionId": VERSION_ID,
    "VersionStages": ["AWSCURRENT"],
    "ResultMetadata": {},
}
PARAMETER_BODY = {
    "ARN": PARAMETER_ARN,
    "DataType": "text",
    "LastModifiedDate": "2022-11-16T08:22:40.362Z",
    "Name": "/app/db",
    "Selector": None,
    "SourceResult": None,
    "Type": "String",
    "Value": CANARY,
    "Version": 7,
}
REFERENCE_BODY = {
    "ARN": ARN,
    "DataType": None,
    "LastModifiedDate": "2022-11-16T08:22:40.499Z",
    "Name": REFERENCE_NAME,
    "Selector": None,
    "SourceResult": REFERENCE["SourceResult"],
    "Type": "SecureString",
    "Value": CANARY,
    "Version": 0,
}


@pytest.mark.parametrize(
    ("query", "answer", "body"),
    [
        (Query.secret("db"), SECRET, SECRET_BODY),
        (
            Query.secret("db"),
            {"ARN": ARN, "VersionId": VERSION_ID, "SecretBinary": "YSBz"},
            {
                **dict.fromkeys(SECRET_BODY),
                "ARN": ARN,
                "SecretBinary": "YSBz",
                "VersionId": VERSION_ID,
                "ResultMetadata": {},
            },
        ),
        (
            Query.parameter("/app/db"),
            {"Parameter": PARAMETER},
            {"Parameter": PARAMETER_BODY, "ResultMetadata": {}},
        ),
        (
            Query.parameter("/app/db", "7"),
            {"Parameter": {**PARAMETER, "Selector": ":7"}},
            {"Parameter": {**PARAMETER_BODY, "Selector": ":7"}, "ResultMetadata": {}},
        ),
        (
            Query.parameter(REFERENCE_NAME, decrypt=True),
            {"Parameter": REFERENCE},
            {"Parameter": REFERENCE_BODY, "ResultMetadata": {}},
        ),
    ],
)
def test_a_document_is_what_the_aws_extension_would_serve(
    query: Query, answer: Any, body: dict[str, Any]
) -> None:
    """Its recorded bodies: the fields and their order, nulls, dates."""
    document = fetch(query, answer).value.reveal()

    assert json.dumps(body) == json.dumps(document)


@pytest.mark.parametrize(
    ("query", "answer", "created"),
    [
        (Query.secret("db"), SECRET, 1668586960.499),
        (Query.secret("db"), {**SECRET, "CreatedDate": None}, 0.0),
        (Query.parameter("/app/db"), {"Parameter": PARAMETER}, 1668586960.362),
    ],
)
def test_a_value_knows_when_its_version_was_made(
    query: Query, answer: Any, created: float
) -> None:
    """By AWS's clock, whatever kind it is."""
    assert created == fetch(query, answer).created


@pytest.mark.parametrize(
    ("query", "answer", "known"),
    [
        (Query.secret("db"), SECRET, (ARN, subject_of(ARN), VERSION_ID, True)),
        (
            Query.secret("db", None, "AWSPREVIOUS"),
            SECRET,
            (ARN, subject_of(ARN), VERSION_ID, False),
        ),
        (Query.secret("db", VERSION_ID), SECRET, (ARN, None, VERSION_ID, False)),
        (
            Query.secret("db", VERSION_ID, "AWSCURRENT"),
            SECRET,
            (ARN, None, VERSION_ID, False),
        ),
        (
            Query.parameter("/app/db"),
            {"Parameter": PARAMETER},
            (PARAMETER_ARN, subject_of(PARAMETER_ARN), "7", True),
        ),
        (
            Query.parameter("/app/db", label="Dev"),
            {"Parameter": PARAMETER},
            (PARAMETER_ARN, subject_of(PARAMETER_ARN), "7", False),
        ),
        (
            Query.parameter("/app/db", "7"),
            {"Parameter": PARAMETER},
            (PARAMETER_ARN, None, "7", False),
        ),
        (
            Query.parameter("/app/db:7"),
            {"Parameter": {**PARAMETER, "Selector": ":7"}},
            (PARAMETER_ARN, None, "7", False),
        ),
        (
            Query.parameter(f"{PARAMETER_ARN}:7"),
            {"Parameter": {**PARAMETER, "Selector": ":7"}},
            (PARAMETER_ARN, None, "7", False),
        ),
        (
            Query.parameter("/app/db:Dev"),
            {"Parameter": {**PARAMETER, "Selector": ":Dev"}},
            (PARAMETER_ARN, subject_of(PARAMETER_ARN), "7", False),
        ),
        (
            Query.parameter(f"{REFERENCE_NAME}:AWSCURRENT"),
            {"Parameter": {**REFERENCE, "Selector": ":AWSCURRENT"}},
            (ARN, subject_of(ARN), VERSION_ID, True),
        ),
        (
            Query.parameter(REFERENCE_NAME, decrypt=True),
            {"Parameter": REFERENCE},
            (ARN, subject_of(ARN), VERSION_ID, True),
        ),
        (
            Query.parameter(REFERENCE_NAME, label="AWSCURRENT", decrypt=True),
            {"Parameter": REFERENCE},
            (ARN, subject_of(ARN), VERSION_ID, True),
        ),
        (
            Query.parameter(REFERENCE_NAME, label="AWSPREVIOUS", decrypt=True),
            {"Parameter": REFERENCE},
            (ARN, subject_of(ARN), VERSION_ID, False),
        ),
    ],
)
def test_an_answer_tells_what_a_stamp_would_say_of_it(
    query: Query, answer: Any, known: tuple[str, str | None, str, bool]
) -> None:
    """A secret passed on by Parameter Store goes by the secret's own stamp."""
    got = fetch(query, answer)

    assert known == (got.arn, got.subject, got.version, got.current)


# --- a path


def test_a_path_is_asked_for_page_by_page() -> None:
    """Each page for the same, with the time limit; until there is no token."""
    path = Query.path("/app/", recursive=False, decrypt=True)
    here, aws = source(
        {"Parameters": [parameter("/app/a")], "NextToken": "1"},
        {"Parameters": [], "NextToken": "2"},
        {"Parameters": [parameter("/app/b")]},
        ssm=4.0,
    )
    found = here.fetch(path)
    request = {
        "Path": "/app",
        "Recursive": False,
        "WithDecryption": True,
        "MaxResults": 10,
    }

    assert [
        Call(PARAMETER_STORE, "GetParametersByPath", request, 4.0),
        Call(PARAMETER_STORE, "GetParametersByPath", request | {"NextToken": "1"}, 4.0),
        Call(PARAMETER_STORE, "GetParametersByPath", request | {"NextToken": "2"}, 4.0),
    ] == aws.calls
    names = [Query.parameter(f"/app/{name}", decrypt=True) for name in "ab"]
    assert names == list(found.members or ())
    assert [parameter(f"/app/{name}")["ARN"] for name in "ab"] == [
        each.arn for each in found.brought
    ]
    assert (None, "", "") == (found.subject, found.arn, found.version)


def test_pages_of_a_path_without_an_end_are_not_followed_for_ever() -> None:
    """It is refused then, as one with too many parameters."""
    here, aws = source(*[{"Parameters": [], "NextToken": "again"}] * (MAX_PAGES + 1))

    with pytest.raises(AwsError) as refused:
        here.fetch(Query.path("/app"))

    assert "TooManyParameters" == refused.value.code
    assert MAX_PAGES == len(aws.calls)


@pytest.mark.parametrize(
    "page",
    [
        {"Parameters": None},
        {"Parameters": [7]},
        {"Parameters": [{}]},
        {"Parameters": [{**PARAMETER, "Name": 7}]},
        {"Parameters": [{**PARAMETER, "Name": [CANARY]}]},
        {"Parameters": [PARAMETER, {**PARAMETER, "Value": None}]},
    ],
)
def test_a_page_that_cannot_be_understood_is_no_answer(page: Any) -> None:
    """No part of a path is taken for the whole."""
    with pytest.raises(AwsUnavailableError) as malformed:
        fetch(Query.path("/app"), page)

    assert "MalformedResponse" == malformed.value.code
    assert "/app" in malformed.value.message
    assert CANARY not in malformed.value.message
    assert malformed.value.__context__ is None


SECRET_ERRORS: list[Any] = [
    {},
    {**SECRET, "ARN": None},
    {**SECRET, "ARN": 7},
    {**SECRET, "ARN": [ARN]},
    {**SECRET, "ARN": CANARY},
    {**SECRET, "ARN": "arn:aws:s3:::bucket"},
    {
        **SECRET,
        "ARN": f"arn:aws:secretsmanager:us-east-1:1:secret:{chr(0xD800)}-123456",
    },
    {**SECRET, "SecretString": None},
    {**SECRET, "SecretString": 7},
    {**SECRET, "SecretString": None, "SecretBinary": [CANARY]},
    {"__type": "InternalServiceError", "message": CANARY},
    {**SECRET, "VersionId": None},
    {**SECRET, "VersionId": {"a": CANARY}},
    {**SECRET, "VersionId": True},
    {**SECRET, "VersionId": chr(0xD800)},
    {**SECRET, "CreatedDate": CANARY},
    {**SECRET, "CreatedDate": [CANARY]},
    {**SECRET, "CreatedDate": float("nan")},
    {**SECRET, "CreatedDate": float("inf")},
    {**SECRET, "CreatedDate": 1e18},
    {**SECRET, "CreatedDate": 1e300},
]
PARAMETER_ERRORS: list[Any] = [
    {},
    {"Parameter": None},
    {"Parameter": CANARY},
    {"Parameter": [CANARY]},
    {"Parameter": {}},
    {"Parameter": {**PARAMETER, "ARN": 7}},
    {"Parameter": {**PARAMETER, "Value": None}},
    {"Parameter": {**PARAMETER, "Version": None}},
    {"Parameter": {**PARAMETER, "Version": 7.5}},
    {"Parameter": {**PARAMETER, "LastModifiedDate": CANARY}},
]
REFERENCE_ERRORS: list[Any] = [
    {"Parameter": {**REFERENCE, "SourceResult": garbage}}
    for garbage in (
        None,
        7,
        "",
        CANARY,
        "[]",
        '"text"',
        "null",
        "{}",
        "[" * 100_000,
        json.dumps({**SOURCE_RESULT, "ARN": None}),
        json.dumps({**SOURCE_RESULT, "versionId": None}),
    )
]


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        *((Query.secret("db"), answer) for answer in SECRET_ERRORS),
        (Query.secret("db", "v1"), {**SECRET, "ARN": 7}),
        *((Query.parameter("/app/db"), answer) for answer in PARAMETER_ERRORS),
        *((Query.parameter(REFERENCE_NAME), answer) for answer in REFERENCE_ERRORS),
    ],
)
def test_an_answer_that_cannot_be_understood_is_no_answer(
    query: Query, answer: Any
) -> None:
    """One kind of error, which names the secret and holds nothing of the answer."""
    with pytest.raises(AwsUnavailableError) as malformed:
        fetch(query, answer)
    error = malformed.value

    assert (error.code, error.status) == ("MalformedResponse", 502)
    assert query.id in error.message
    assert CANARY not in error.message
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    "payload", [{"SecretString": ""}, {"SecretString": None, "SecretBinary": "Y2E="}]
)
def test_a_value_is_text_or_binary_and_may_be_empty(payload: dict[str, Any]) -> None:
    """One of the two is enough."""
    document = fetch(Query.secret("db"), {**SECRET, **payload}).value.reveal()

    assert payload.items() <= document.items()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(field=st.sampled_from(sorted(SECRET)), value=JSON)
@example(field="Name", value={})
def test_no_field_can_break_a_fetch(field: str, value: Any) -> None:
    """Whatever AWS sends in it, it is a value or the one error."""
    try:
        got = fetch(Query.secret("db"), {**SECRET, field: value})
    except AwsUnavailableError as error:
        assert error.code == "MalformedResponse"  # noqa: PT017  either outcome will do
    else:
        json.dumps(got.value.reveal())


@pytest.mark.parametrize("error", [DOWN, AwsTimeoutError("late")])
def test_that_aws_did_not_answer_goes_through(error: AwsError) -> None:
    """As it was said; it is nothing about the secret."""
    with pytest.raises(AwsError) as failed:
        fetch(Query.secret("db"), error)

    assert failed.value is error


@pytest.mark.parametrize("query", [Query.secret("db"), Query.path("/app")])
def test_what_aws_refuses_goes_through_with_advice(query: Query) -> None:
    """AWS's code, status and words; and nothing hangs on it that holds a value."""
    with pytest.raises(AwsError) as refused:
        fetch(query, DENIED)
    error = refused.value

    assert (DENIED.code, DENIED.status) == (error.code, error.status)
    assert error.message.startswith(f"{DENIED.message} ({query.id}: ")
    assert (None, None) == (error.__cause__, error.__context__)


# --- batches


def test_secrets_go_by_twenty_and_parameters_by_ten() -> None:
    """As many as AWS takes; what cannot be batched goes alone."""
    here, _ = source()
    secrets = [Query.secret(f"s{number}") for number in range(31)]
    parameters = [Query.parameter(f"p{number}") for number in range(21)]
    decrypted = [Query.parameter(f"d{number}", decrypt=True) for number in range(3)]
    labelled = [Query.parameter("l", "3"), Query.parameter("l", label="Dev")]
    alone = [
        Query.secret("s1", "v1"),
        Query.secret("s1", None, "AWSPREVIOUS"),
        Query.path("/app"),
    ]
    batches = here.batches([*alone, *secrets, *parameters, *decrypted, *labelled])

    assert (SECRETS_BATCH, PARAMETERS_BATCH) == (20, 10)
    assert [
        secrets[:20],
        secrets[20:],
        parameters[:10],
        parameters[10:20],
        [*parameters[20:], *labelled],
        decrypted,
        [alone[0]],
        [alone[1]],
        [alone[2]],
    ] == batches


def test_nothing_wanted_is_no_batch() -> None:
    """And no call."""
    assert source()[0].batches([]) == []


def test_one_alone_is_left_to_a_single_call() -> None:
    """It needs no permission for batches."""
    here, aws = source()

    assert here.fetch_many([Query.secret("db")]) == {}
    assert aws.calls == []


def test_a_batch_of_secrets_is_one_call() -> None:
    """Names, ARNs and ARNs without their suffix find their answers."""
    names = [
        "plain",
        "a/path",
        secret("by-arn")["ARN"],
        secret("by-part")["ARN"][:-7],
    ]
    queries = [Query.secret(name) for name in names]
    sent = [secret(name) for name in ("by-part", "a/path", "by-arn", "plain")]
    here, aws = source({"SecretValues": sent, "Errors": []}, secretsmanager=4.0)
    found = here.fetch_many(queries)

    assert [
        Call(SECRETS_MANAGER, "BatchGetSecretValue", {"SecretIdList": names}, 4.0)
    ] == aws.calls
    assert {
        names[0]: secret("plain")["ARN"],
        names[1]: secret("a/path")["ARN"],
        names[2]: names[2],
        names[3]: secret("by-part")["ARN"],
    } == arns(found)


HYPHENATED = secret("my-db-abc123")
TWIN = {**secret("my-db"), "ARN": secret("my-db")["ARN"].replace("a1b2c3", "abc123")}


@pytest.mark.parametrize(
    ("ids", "sent", "matched"),
    [
        # All that AWS lets stand in a name, also in those that it makes itself.
        (
            ["a/b_c+d=e.f@g-h", "rds!db-1", "A", "a"],
            [secret(name) for name in ("rds!db-1", "a", "A", "a/b_c+d=e.f@g-h")],
            {name: name for name in ("a/b_c+d=e.f@g-h", "rds!db-1", "A", "a")},
        ),
        # A name whose end looks like the suffix of an ARN.
        (["my-db-abc123"], [HYPHENATED], {"my-db-abc123": "my-db-abc123"}),
        (
            [HYPHENATED["ARN"].removesuffix("-a1b2c3")],
            [HYPHENATED],
            {HYPHENATED["ARN"].removesuffix("-a1b2c3"): "my-db-abc123"},
        ),
        # The whole ARN of one is a part of the other's: the name is left to a call.
        (
            [TWIN["ARN"], "my-db-abc123"],
            [TWIN, HYPHENATED],
            {TWIN["ARN"]: "my-db"},
        ),
        # Another account's by a part of its ARN, and ours by the name that both have.
        ([secret("db", "9" * 12)["ARN"][:-7], "db"], [secret("db", "9" * 12)], {}),
        # One secret under two ids: the name is left to a single call.
        ([secret("db")["ARN"], "db"], [secret("db")], {secret("db")["ARN"]: "db"}),
        # The same, where AWS sends it for each.
        (
            [secret("db")["ARN"], "db"],
            [secret("db"), secret("db")],
            {secret("db")["ARN"]: "db"},
        ),
        # A part of an ARN and its name.
        (
            [secret("db")["ARN"][:-7], "other"],
            [secret("other"), secret("db")],
            {secret("db")["ARN"][:-7]: "db", "other": "other"},
        ),
    ],
    ids=range(8),
)
def test_answers_of_a_batch_find_their_questions(
    ids: list[str], sent: list[Any], matched: dict[str, str]
) -> None:
    """By ARN, by a part of it, by name; what is in doubt is asked for alone."""
    queries = [Query.secret(name) for name in [*ids, "never-there"]]
    here, _ = source({"SecretValues": sent})
    found = here.fetch_many(queries)

    assert matched == {
        query.id: fetched.value.reveal()["Name"]
        for query, fetched in found.items()
        if isinstance(fetched, Fetched)
    }


def test_the_pages_of_a_batch_are_followed() -> None:
    """Until there is no token; each page asks for the same."""
    queries = [Query.secret(name) for name in "abc"]
    here, aws = source(
        {"SecretValues": [secret("a")], "NextToken": "more"},
        {"SecretValues": [secret("b")], "NextToken": "last"},
        {"SecretValues": [secret("c")]},
    )
    found = here.fetch_many(queries)

    assert list(found) == queries
    assert [
        {"SecretIdList": ["a", "b", "c"]},
        {"SecretIdList": ["a", "b", "c"], "NextToken": "more"},
        {"SecretIdList": ["a", "b", "c"], "NextToken": "last"},
    ] == [call.request for call in aws.calls]


def test_pages_without_an_end_are_not_followed_for_ever() -> None:
    """No more pages than secrets; the rest is asked for by itself."""
    page = {"SecretValues": [], "NextToken": "again"}
    here, aws = source(*[page] * 10)

    assert here.fetch_many([Query.secret("a"), Query.secret("b")]) == {}
    assert len(aws.calls) == 2


def test_another_accounts_secret_of_the_same_name_is_not_taken_for_ours() -> None:
    """Names are our own; it was asked for by its ARN."""
    theirs = secret("db", "999999999999")
    ours, foreign = Query.secret("db"), Query.secret(theirs["ARN"])
    both = source({"SecretValues": [secret("db"), theirs]})[0]
    theirs_alone = source({"SecretValues": [theirs]})[0]

    assert {"db": secret("db")["ARN"], foreign.id: foreign.id} == arns(
        both.fetch_many([ours, foreign])
    )
    assert {foreign.id: foreign.id} == arns(theirs_alone.fetch_many([ours, foreign]))


def test_what_a_batch_refuses_is_left_to_single_calls() -> None:
    """They tell its real error, and whether it is one that passes."""
    queries = [Query.secret(name) for name in ("a", "b", "c")]
    error = {
        "SecretId": "b",
        "ErrorCode": "ResourceNotFoundException",
        "Message": "none",
    }
    here, _ = source(
        {"SecretValues": [secret("a"), secret("unasked")], "Errors": [error]}
    )

    assert list(here.fetch_many(queries)) == queries[:1]


def test_a_denied_batch_is_left_to_single_calls() -> None:
    """Many roles allow GetSecretValue alone."""
    queries = [Query.secret("a"), Query.secret("b")]
    here, aws = source(DENIED)

    assert here.fetch_many(queries) == {}
    assert len(aws.calls) == 1


@pytest.mark.parametrize(
    ("queries", "failure"),
    [
        ([Query.secret("a"), Query.secret("b")], DOWN),
        ([Query.parameter("/a"), Query.parameter("/b")], DOWN),
        (
            [Query.parameter("/a"), Query.parameter("/b")],
            AwsThrottledError("ThrottlingException", "slow down"),
        ),
    ],
)
def test_a_batch_that_fails_fails_for_all_in_it(
    queries: list[Query], failure: AwsUnavailableError
) -> None:
    """Single calls would fail as well."""
    here, aws = source(failure)

    assert here.fetch_many(queries) == dict.fromkeys(queries, failure)
    assert len(aws.calls) == 1


def test_a_throttled_batch_of_secrets_is_left_to_single_calls() -> None:
    """Secrets Manager takes far more of those, when many environments start at once."""
    here, _ = source(AwsThrottledError("ThrottlingException", "slow down"))

    assert here.fetch_many([Query.secret("a"), Query.secret("b")]) == {}


def test_the_pages_before_a_failure_count() -> None:
    """Only what is lacking fails."""
    queries = [Query.secret("a"), Query.secret("b")]
    here, _ = source({"SecretValues": [secret("a")], "NextToken": "more"}, DOWN)
    found = here.fetch_many(queries)

    assert isinstance(found[queries[0]], Fetched)
    assert found[queries[1]] is DOWN


@pytest.mark.parametrize(
    "answer",
    [
        {"SecretValues": None},
        {"SecretValues": 7},
        {"SecretValues": [7]},
        {"SecretValues": [{}]},
        {"SecretValues": [{**secret("b"), "ARN": None}]},
        {"SecretValues": [{**secret("x"), "Name": ["b"]}]},
        {"SecretValues": [{**secret("b"), "VersionId": None}]},
    ],
)
def test_a_batch_that_cannot_be_understood_is_left_to_single_calls(answer: Any) -> None:
    """What was understood before that counts."""
    queries = [Query.secret("a"), Query.secret("b")]
    page = {"SecretValues": [secret("a")], "NextToken": "more"}
    here, _ = source(page, answer)

    assert list(here.fetch_many(queries)) == queries[:1]


def test_a_batch_of_parameters_is_one_call() -> None:
    """With their selectors, by name and by ARN; they come back in any order."""
    queries = [
        Query.parameter("/a", decrypt=True),
        Query.parameter("/a", "3", decrypt=True),
        Query.parameter("/a", label="Dev", decrypt=True),
        Query.parameter(parameter("/b")["ARN"], "4", decrypt=True),
        Query.parameter("/gone", decrypt=True),
        Query.parameter(REFERENCE_NAME, decrypt=True),
    ]
    sent = [
        REFERENCE,
        {**parameter("/b"), "Selector": ":4", "Version": 4},
        {**parameter("/a"), "Selector": ":Dev", "Version": 2},
        {**parameter("/a"), "Selector": ":3", "Version": 3},
        {**parameter("/a"), "Selector": None, "Version": 9},
        parameter("/unasked"),
    ]
    here, aws = source({"Parameters": sent, "InvalidParameters": ["/gone"]}, ssm=4.0)
    found = here.fetch_many(queries)
    versions = [
        found[query].version if isinstance(found.get(query), Fetched) else None  # type: ignore[union-attr]
        for query in queries
    ]

    names = ["/a", "/a:3", "/a:Dev", f"{parameter('/b')['ARN']}:4", "/gone"]
    assert [
        Call(
            PARAMETER_STORE,
            "GetParameters",
            {"Names": [*names, REFERENCE_NAME], "WithDecryption": True},
            4.0,
        )
    ] == aws.calls
    assert ["9", "3", "2", "4", None, VERSION_ID] == versions


def test_another_accounts_parameter_of_the_same_name_is_not_taken_for_ours() -> None:
    """It was asked for by its ARN."""
    theirs = parameter("/a", "999999999999")
    ours, foreign = Query.parameter("/a"), Query.parameter(theirs["ARN"])
    here, _ = source({"Parameters": [theirs]})

    assert {foreign.id: foreign.id} == arns(here.fetch_many([ours, foreign]))


def test_a_binary_secret_that_parameter_store_passes_on() -> None:
    """It has no Value, and may have no version: as the AWS extension, null and 0."""
    passed_on = {
        name: REFERENCE[name] for name in REFERENCE if name not in ("Value", "Version")
    }
    fetched = fetch(Query.parameter(REFERENCE_NAME), {"Parameter": passed_on})
    parameter = fetched.value.reveal()["Parameter"]

    assert (None, 0) == (parameter["Value"], parameter["Version"])
    assert VERSION_ID == fetched.version
