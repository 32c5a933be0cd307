"""The signed client, next to botocore and to AWS's published test vectors."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import random
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import botocore.auth
import botocore.credentials
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from rotaware.aws import AwsClient
from rotaware.aws_json import decode
from rotaware.clock import SystemClock
from rotaware.credentials import Credentials
from rotaware.endpoints import SERVICES, Endpoint, endpoint_url
from rotaware.errors import AwsError
from rotaware.http1 import Response
from rotaware.sigv4 import Request, Signer, canonical_request, string_to_sign
from tests.support.clock import ManualClock
from tests.support.hostile_aws import HostileAws
from tests.support.stand_in import CREDENTIALS, REGION, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VECTORS = json.loads(
    Path(__file__).with_name("sigv4_vectors.json").read_text(encoding="utf-8")
)["vectors"]
SESSION = botocore.session.Session()
LOADER = SESSION.get_component("data_loader")
PARTITIONS = LOADER.load_data("partitions")
# What ends in -global stands for services without Regions; all of ours have Regions.
REGIONS = [
    region
    for partition in PARTITIONS["partitions"]
    for region in partition["regions"]
    if not region.endswith("-global")
]
FUTURE_REGIONS = [
    "us-middle-7",
    "eu-north-2",
    "ap-west-12",
    "mx-south-1",
    "cn-south-3",
    "us-gov-middle-1",
    "us-iso-north-2",
    "us-isob-south-9",
    "eu-isoe-east-2",
    "us-isof-west-4",
    "eusc-de-west-2",
]
CALLS: list[tuple[str, str, Callable[[str], dict[str, Any]]]] = [
    ("secretsmanager", "GetSecretValue", lambda text: {"SecretId": text}),
    (
        "secretsmanager",
        "GetSecretValue",
        lambda text: {"SecretId": text, "VersionStage": "AWSPENDING"},
    ),
    (
        "secretsmanager",
        "BatchGetSecretValue",
        lambda text: {"SecretIdList": [text, "b"], "MaxResults": 20},
    ),
    ("secretsmanager", "DescribeSecret", lambda text: {"SecretId": text}),
    ("ssm", "GetParameter", lambda text: {"Name": text, "WithDecryption": True}),
    ("ssm", "GetParameters", lambda text: {"Names": [text, "/b"]}),
    (
        "ssm",
        "PutParameter",
        lambda text: {"Name": "/a", "Value": text, "Overwrite": True},
    ),
    ("kms", "Decrypt", lambda text: {"CiphertextBlob": text.encode()}),
    (
        "dynamodb",
        "GetItem",
        lambda text: {
            "TableName": "stamps",
            "Key": {"namespace": {"S": text}},
            "ConsistentRead": False,
        },
    ),
    (
        "dynamodb",
        "PutItem",
        lambda text: {
            "TableName": "stamps",
            "Item": {"namespace": {"S": text}, "sheet": {"S": text}},
            "ConditionExpression": "edition = :read",
            "ExpressionAttributeValues": {":read": {"S": text}},
        },
    ),
]
ASKING: dict[str, tuple[str, dict[str, Any]]] = {
    "secretsmanager": ("DescribeSecret", {"SecretId": "a"}),
    "ssm": ("GetParameter", {"Name": "a"}),
    "kms": ("Decrypt", {"CiphertextBlob": b"a"}),
    "dynamodb": ("GetItem", {"TableName": "abc", "Key": {"namespace": {"S": "a"}}}),
}
# botocore may name the account in DynamoDB's host where it knows the account. The
# Region's own endpoint, which everybody has, serves the same; rotaware uses that alone.
REGIONAL = Config(account_id_endpoint_mode="disabled")
# What changes on the way, or tells one client from another.
UNSIGNED = frozenset(
    {
        "user-agent",
        "content-length",
        "accept-encoding",
        "amz-sdk-invocation-id",
        "amz-sdk-request",
    }
)
BOOLEANS = ("false", "true")


class _Sent(NamedTuple):
    """What both clients must agree on."""

    target: str
    headers: dict[str, str]
    body: bytes


def _sent_by_botocore(
    environ: dict[str, str], service: str, operation: str, request: dict[str, Any]
) -> _Sent:
    sent: list[_Sent] = []

    def keep(request: Any, **_: object) -> AWSResponse:
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        target = "/" + request.url.split("/", 3)[3]
        sent.append(_Sent(target, headers, request.body))
        return _nothing(request.url)

    client = _client(service, environ["AWS_ENDPOINT_URL"])
    client.meta.events.register_first("before-send", keep, "keep")
    client._request_signer._credentials = botocore.credentials.Credentials(
        environ["AWS_ACCESS_KEY_ID"],
        environ["AWS_SECRET_ACCESS_KEY"],
        environ.get("AWS_SESSION_TOKEN"),
    )
    client._make_api_call(operation, request)
    client.meta.events.unregister("before-send", unique_id="keep")
    return sent[0]


def _nothing(url: str) -> AWSResponse:
    raw = HTTPResponse(io.BytesIO(b"{}"), preload_content=False)
    return AWSResponse(url, 200, HTTPHeaders(), raw)


@functools.cache
def _client(service: str, url: str) -> Any:
    return SESSION.create_client(
        service,
        region_name="eu-west-1",
        endpoint_url=url,
        aws_access_key_id="replaced",
        aws_secret_access_key="replaced",
        config=REGIONAL,
    )


def _sent_by_rotaware(
    server: HostileAws,
    environ: dict[str, str],
    moment: float,
    call: tuple[str, str, dict[str, Any]],
) -> _Sent:
    client = AwsClient.from_environ(
        environ, clock=ManualClock(moment), random=lambda: 0.0, max_connections=1
    )
    service, operation, request = call
    client.call(service, operation, _on_the_wire(request))
    client.close_idle()
    received = server.requests.pop()
    return _Sent(received.line.split(" ")[1], received.headers, received.body)


def _on_the_wire(request: dict[str, Any]) -> dict[str, Any]:
    """A boto3 request in AWS's JSON shape."""
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in request.items()
    }


@pytest.fixture(scope="module")
def server() -> Iterator[HostileAws]:
    """One server for all requests: it answers each with an empty object."""
    with HostileAws() as running:
        yield running


@pytest.mark.parametrize(
    "vector", [pytest.param(vector, id=vector["name"]) for vector in VECTORS]
)
def test_the_published_vectors_are_signed_as_published(vector: dict[str, Any]) -> None:
    """Canonical request, string to sign and signature are those of AWS's suite.

    Left out are its vectors without path normalisation, which only S3 uses, and
    signatures in the query, which only links use.
    """
    context = vector["context"]
    seconds = datetime.fromisoformat(context["timestamp"]).timestamp()
    keys = dict(context["credentials"])
    if context.get("omit_session_token"):  # it is added after signing there
        del keys["token"]
    request = _parse_vector(vector["request"])
    if context["sign_body"]:
        digest = hashlib.sha256(request.body).hexdigest()
        request = request._replace(
            headers=(*request.headers, ("X-Amz-Content-Sha256", digest))
        )

    signed = Signer(context["service"], context["region"]).sign(
        request,
        Credentials(
            keys["access_key_id"], keys["secret_access_key"], keys.get("token")
        ),
        seconds,
    )
    canonical, _ = canonical_request(signed._replace(headers=signed.headers[:-1]))
    date, scope = vector["string_to_sign"].split("\n")[1:3]

    assert vector["canonical_request"] == canonical
    assert vector["string_to_sign"] == string_to_sign(date, scope, canonical)
    assert vector["signature"] == signed.headers[-1][1].rpartition("=")[2]


def _parse_vector(text: str) -> Request:
    head, _, body = text.partition("\n\n")
    line, *rest = head.rstrip("\n").split("\n")
    method, target = line.removesuffix(" HTTP/1.1").split(" ", 1)
    headers: list[tuple[str, str]] = []
    for header in rest:
        if header.startswith(" "):
            name, value = headers.pop()
            headers.append((name, value + header))
        else:
            name, _, value = header.partition(":")
            headers.append((name, value))
    path, _, query = target.partition("?")
    # The suite writes letters into a query that cannot be sent so.
    return Request(
        method, path, quote(query, safe="%&=~"), tuple(headers), body.encode()
    )


TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    call=st.sampled_from(CALLS),
    text=st.text(min_size=1, max_size=40),
    moment=st.integers(946684800, 4102444800),
    keys=st.tuples(TOKENS, TOKENS, st.none() | TOKENS),
    path=st.sampled_from(["", "/", "/proxy", "/a%20b/c~d/", "/x/../y//z/."]),
)
def test_every_request_is_byte_for_byte_that_of_botocore(  # noqa: PLR0913, PLR0917  drawn
    server: HostileAws,
    monkeypatch: pytest.MonkeyPatch,
    call: tuple[str, str, Callable[[str], dict[str, Any]]],
    text: str,
    moment: int,
    keys: tuple[str, str, str | None],
    path: str,
) -> None:
    """Target, body and every signed header agree, whatever is asked, when, by whom."""
    service, operation, make = call
    request = make(text)
    frozen = datetime.fromtimestamp(moment, timezone.utc).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: frozen)
    environ = {
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": server.url + path,
        "AWS_ACCESS_KEY_ID": keys[0],
        "AWS_SECRET_ACCESS_KEY": keys[1],
        **({} if keys[2] is None else {"AWS_SESSION_TOKEN": keys[2]}),
    }

    theirs = _sent_by_botocore(environ, service, operation, request)
    ours = _sent_by_rotaware(
        server, environ, float(moment), (service, operation, request)
    )

    assert theirs.target == ours.target
    assert theirs.body == ours.body
    names = {name for name in theirs.headers if name not in UNSIGNED}
    assert {name: theirs.headers[name] for name in names} == {
        name: value
        for name, value in ours.headers.items()
        if name not in UNSIGNED | {"host"}  # botocore leaves Host to its HTTP client
    }


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fips", BOOLEANS)
@pytest.mark.parametrize("dual_stack", BOOLEANS)
def test_every_region_has_the_endpoint_that_botocore_knows(
    service: str, fips: str, dual_stack: str
) -> None:
    """All Regions of all partitions, and Regions that do not exist yet."""
    rules = EndpointProvider(
        LOADER.load_service_model(service, "endpoint-rule-set-1"), PARTITIONS
    )
    environ = {
        "AWS_USE_FIPS_ENDPOINT": fips,
        "AWS_USE_DUALSTACK_ENDPOINT": dual_stack,
    }

    assert len(REGIONS) > 40
    assert [
        rules.resolve_endpoint(
            Region=region, UseFIPS=fips == "true", UseDualStack=dual_stack == "true"
        ).url
        for region in REGIONS + FUTURE_REGIONS
    ] == [endpoint_url(service, region, environ) for region in REGIONS + FUTURE_REGIONS]


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"AWS_ENDPOINT_URL": "http://all.test:1"}, id="for all"),
        pytest.param(
            {
                "AWS_ENDPOINT_URL": "http://all.test:1",
                "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://sm.test:2",
                "AWS_ENDPOINT_URL_SSM": "http://ssm.test:3",
                "AWS_ENDPOINT_URL_KMS": "http://kms.test:4",
                "AWS_ENDPOINT_URL_DYNAMODB": "http://dynamodb.test:5",
            },
            id="for each",
        ),
        pytest.param(
            {"AWS_ENDPOINT_URL": "http://all.test:1", "AWS_ENDPOINT_URL_SSM": ""},
            id="empty",
        ),
        pytest.param(
            {
                "AWS_ENDPOINT_URL": "http://all.test:1",
                "AWS_ENDPOINT_URL_SSM": "http://ssm.test:3",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE",
            },
            id="ignored",
        ),
        pytest.param({"AWS_USE_FIPS_ENDPOINT": "True"}, id="FIPS"),
        pytest.param({"AWS_USE_DUALSTACK_ENDPOINT": "TRUE"}, id="dual stack"),
        pytest.param({"AWS_USE_FIPS_ENDPOINT": "1"}, id="not a boolean"),
    ],
)
@pytest.mark.parametrize("service", SERVICES)
def test_the_environment_chooses_the_endpoint_as_with_botocore(
    monkeypatch: pytest.MonkeyPatch, service: str, environ: dict[str, str]
) -> None:
    """A real botocore client made in the same environment talks to the same place."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    client: Any = botocore.session.Session().create_client(
        service,
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=REGIONAL,
    )
    urls: list[str] = []

    def keep(request: Any, **_: object) -> AWSResponse:
        urls.append(request.url)
        return _nothing(request.url)

    client.meta.events.register_first("before-send", keep, "keep")
    operation, request = ASKING[service]
    client._make_api_call(operation, request)

    assert urls == [endpoint_url(service, "eu-west-1", environ) + "/"]


@pytest.mark.parametrize(
    "url",
    [
        "https://kms.eu-west-1.amazonaws.com",
        "https://KMS.test:443/",
        "https://kms.test:80/",
        "http://kms.test:80/",
        "http://kms.test:8080/path",
        "http://[::1]/",
        "http://[::1]:4566/",
    ],
)
def test_the_host_header_is_that_of_botocore(url: str) -> None:
    """In lower case, with the port only where it is not the scheme's own."""
    theirs = botocore.auth._host_from_url(url)  # type: ignore[attr-defined]

    assert theirs == Endpoint.parse(url).authority


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
@pytest.mark.parametrize(
    "body",
    [
        b'{"__type": "ResourceNotFoundException", "message": "gone"}',
        b'{"__type": "com.amazonaws.ssm#ParameterNotFound", "Message": "gone"}',
        b'{"__type": "a.b#ThrottlingException:http://internal/", "message": "slow"}',
        b'{"__type": "X"}',
        b'{"message": "no code"}',
        b"{}",
        b"",
        b"<html>no JSON</html>",
    ],
)
def test_errors_have_the_code_and_message_that_botocore_gives_them(
    status: int, body: bytes
) -> None:
    """What a caller branches on is the same; where AWS says nothing, we say so."""
    response = {"status_code": status, "headers": {}, "body": body}
    ssm = SESSION.get_service_model("ssm")
    shape: Any = ssm.operation_model("GetParameter").output_shape
    theirs = create_parser("json").parse(response, shape)["Error"]

    with pytest.raises(AwsError) as caught:
        decode(Response(status, {}, body))

    assert theirs["Code"] == caught.value.code
    if b"essage" in body:
        assert theirs["Message"] == caught.value.message


def test_answers_are_those_of_boto3() -> None:
    """Against one service both read the same documents, and the same refusal."""
    with StandIn() as stand_in:
        secrets: Any = stand_in.client("secretsmanager")
        created = secrets.create_secret(Name="app/db", SecretString='{"ä": "\\u2603"}')
        parameters: Any = stand_in.client("ssm")
        parameters.put_parameter(Name="/app/mode", Value="blue", Type="String")
        client = AwsClient.from_environ(
            {
                "AWS_REGION": REGION,
                "AWS_ENDPOINT_URL": stand_in.url,
                "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
                "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
                "AWS_SESSION_TOKEN": CREDENTIALS["aws_session_token"],
            },
            clock=SystemClock(),
            random=random.random,
            max_connections=1,
        )

        for operation, request in (
            ("GetSecretValue", {"SecretId": "app/db"}),
            ("DescribeSecret", {"SecretId": created["ARN"]}),
            ("BatchGetSecretValue", {"SecretIdList": ["app/db", "no/such"]}),
        ):
            theirs = secrets._make_api_call(operation, request)
            assert _plain(theirs) == client.call("secretsmanager", operation, request)
        for operation, request in (
            ("GetParameter", {"Name": "/app/mode"}),
            ("GetParameters", {"Names": ["/app/mode", "/no/such"]}),
        ):
            theirs = parameters._make_api_call(operation, request)
            assert _plain(theirs) == client.call("ssm", operation, request)
        with pytest.raises(ClientError) as refused:
            secrets.get_secret_value(SecretId="no/such")
        with pytest.raises(AwsError) as caught:
            client.call("secretsmanager", "GetSecretValue", {"SecretId": "no/such"})
        client.close_idle()

    assert refused.value.response["Error"] == {
        "Code": caught.value.code,
        "Message": caught.value.message,
    }


def _plain(document: Any) -> Any:
    """A boto3 answer in the shape that was on the wire."""
    if isinstance(document, dict):
        return {
            name: _plain(value)
            for name, value in document.items()
            if name != "ResponseMetadata"
        }
    if isinstance(document, list):
        return [_plain(item) for item in document]
    if isinstance(document, datetime):
        return pytest.approx(document.timestamp(), abs=1e-3)
    return document
