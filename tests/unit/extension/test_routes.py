"""The local port's grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension import routes
from extension.http1 import JSON, TEXT, Request, parse_head
from extension.routes import STATS, Ask, legacy_route, route
from rotaware.errors import RequestError, SettingsError
from rotaware.secret import Query

TOKEN = "canary-token"
HEADERS = {"host": "localhost:2773", "x-aws-parameters-secrets-token": TOKEN}
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:app/db-AbCdEf"


def asked(
    target: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> Ask | None:
    """What a request asks for."""
    path, _, query = target.partition("?")
    request = Request(
        method, path, query, HEADERS if headers is None else headers, keep_alive=True
    )
    return route(request, lambda: (TOKEN,))


def refused(
    target: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> RequestError:
    """Why a request is refused."""
    with pytest.raises(RequestError) as refusal:
        asked(target, headers, method)
    return refusal.value


SECRET = Query.secret("app/db")
PARAMETER = Query.parameter("/app/url")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/ping", None),
        ("/ping?whatever", None),
        ("/stats", STATS),
        ("/stats/", STATS),
        # Secrets.
        ("/secretsmanager/get?secretId=app/db", Ask(SECRET)),
        ("/secretsmanager/get?secretId=app%2Fdb", Ask(SECRET)),
        ("/secretsmanager/get/?secretId=app%2fdb", Ask(SECRET)),
        ("/secretsmanager/get?&secretId=app/db&", Ask(SECRET)),
        ("/secretsmanager/get?%73ecretId=app/db", Ask(SECRET)),
        (f"/secretsmanager/get?secretId={ARN}", Ask(Query.secret(ARN))),
        (
            f"/secretsmanager/get?secretId={ARN.replace(':', '%3A')}",
            Ask(Query.secret(ARN)),
        ),
        ("/secretsmanager/get?secretId=a+b%20=c", Ask(Query.secret("a+b =c"))),
        (
            "/secretsmanager/get?versionStage=AWSPREVIOUS&versionId=v1&secretId=app/db",
            Ask(Query.secret("app/db", "v1", "AWSPREVIOUS")),
        ),
        (
            "/secretsmanager/get?insteadOf=v1&secretId=app/db",
            Ask(SECRET, instead_of="v1"),
        ),
        ("/v1/app/db", Ask(SECRET)),
        ("/v1/app%2Fdb", Ask(SECRET)),
        ("/v1/app/db?versionId=v1", Ask(Query.secret("app/db", "v1"))),
        ("/v1/ping", Ask(Query.secret("ping"))),
        (
            "/systemsmanager/parameters/path?path=/app/",
            Ask(Query.path("/app")),
        ),
        (
            "/systemsmanager/parameters/path/?recursive=false&path=%2Fapp",
            Ask(Query.path("/app", recursive=False)),
        ),
        (
            "/systemsmanager/parameters/path?path=/a&withDecryption=1&refreshNow=true",
            Ask(Query.path("/a", decrypt=True), refresh=True),
        ),
        # Bare values, in the ways of the community extensions.
        ("/cache/app/db", Ask(SECRET, bare=JSON)),
        ("/cache/app%2Fdb", Ask(SECRET, bare=JSON)),
        ("/cache/app/db?refreshNow=1", Ask(SECRET, refresh=True, bare=JSON)),
        ("/secrets?name=app/db", Ask(SECRET, bare=TEXT)),
        ("/secrets/?name=app%2Fdb", Ask(SECRET, bare=TEXT)),
        ("/?name=app/db", Ask(SECRET, bare=TEXT)),
        ("/?insteadOf=v1&name=app/db", Ask(SECRET, instead_of="v1", bare=TEXT)),
        # Variables.
        ("/kms/get?name=API_KEY", Ask(Query.variable("API_KEY"), bare=TEXT)),
        ("/kms/get/?name=API_KEY", Ask(Query.variable("API_KEY"), bare=TEXT)),
        # Parameters.
        ("/systemsmanager/parameters/get?name=/app/url", Ask(PARAMETER)),
        ("/systemsmanager/parameters/get/?name=%2Fapp%2Furl", Ask(PARAMETER)),
        (
            "/systemsmanager/parameters/get/?withDecryption=true&name=/app/url",
            Ask(PARAMETER._replace(decrypt=True)),
        ),
        (
            "/systemsmanager/parameters/get?version=003&label=blue&name=/app/url",
            Ask(PARAMETER._replace(version="3")),
        ),
        (
            "/systemsmanager/parameters/get?name=/app/url&label=blue&version=3",
            Ask(PARAMETER._replace(label="blue")),
        ),
        (
            "/systemsmanager/parameters/get?label=blue&version=latest&name=/app/url",
            Ask(PARAMETER._replace(label="blue")),
        ),
        (
            "/systemsmanager/parameters/get?name=/app/url&refreshNow=1&insteadOf=2",
            Ask(PARAMETER, refresh=True, instead_of="2"),
        ),
    ],
)
def test_what_is_asked_for(target: str, expected: Ask | None) -> None:
    """Parameters come in any order, raw or encoded; a plus sign is one."""
    assert expected == asked(target)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("TRUE", True), ("1", True), ("False", False), ("0", False)],
)
def test_booleans(text: str, *, expected: bool) -> None:
    """Flags are true, false, 1 or 0, in any case."""
    assert Ask(SECRET, expected) == asked(
        f"/secretsmanager/get?secretId=app/db&refreshNow={text}"
    )


@pytest.mark.parametrize(
    ("target", "status", "named"),
    [
        ("/", 404, "/v1/<secretId>"),
        ("/secretsmanager", 404, ""),
        ("/secretsmanager/get/x?secretId=a", 404, ""),
        ("/ping/", 404, ""),
        ("/secretsmanager/get", 400, "secretId"),
        ("/secretsmanager/get?secretId=", 400, "secretId"),
        ("/secretsmanager/get?secretId", 400, "secretId"),
        ("/secretsmanager/get?name=a", 400, "name"),
        ("/secretsmanager/get?secretID=a", 400, "secretID"),
        ("/secretsmanager/get?secretId=a&versionStage=", 400, "versionStage"),
        ("/secretsmanager/get?secretId=a&versionId", 400, "versionId"),
        ("/secretsmanager/get?secretId=a&secretId=a", 400, "secretId"),
        ("/secretsmanager/get?secretId=a&refreshNow=yes", 400, "refreshNow"),
        ("/secretsmanager/get?secretId=a&refreshNow=", 400, "refreshNow"),
        ("/secretsmanager/get?secretId=%2", 400, "secretId"),
        ("/secretsmanager/get?secretId=%ff", 400, "secretId"),
        ("/secretsmanager/get?secretId=a%0Ab", 400, "secretId"),
        ("/secretsmanager/get?secretId=" + "a" * 2049, 400, "secretId"),
        ("/secretsmanager/get?%=a", 400, "the query"),
        ("/secretsmanager/get?=a", 400, "unknown parameter"),
        ("/v1/", 400, "missing secret ID"),
        ("/secretsmanager/get?secretId=a&roleArn=b", 400, "roleArn is not offered"),
        ("/v1/a?roleArn=b", 400, "roleArn is not offered"),
        ("/systemsmanager/parameters/path", 400, "missing parameter path"),
        ("/systemsmanager/parameters/path?path=/a&insteadOf=1", 400, "insteadOf"),
        ("/systemsmanager/parameters/path?path=/a&recursive=all", 400, "recursive"),
        ("/kms/get", 400, "name"),
        ("/kms/get?name=A&refreshNow=1", 400, "refreshNow"),
        ("/kms", 404, "/kms/get"),
        ("/cache", 404, "/cache/<name>"),
        ("/cache/", 400, "missing name"),
        ("/cache/a?name=b", 400, "unknown parameter: name"),
        ("/cache/a?versionStage=AWSPREVIOUS", 400, "versionStage"),
        ("/cache/%zz", 400, "name"),
        ("/cache/a%0Ab", 400, "name"),
        ("/secrets", 400, "missing parameter name"),
        ("/secrets?secretId=a", 400, "secretId"),
        ("/secrets/a?name=a", 404, ""),
        ("/?secretId=a", 400, "secretId"),
        ("//?name=a", 404, ""),
        ("/?", 404, ""),
        ("/v1/a?secretId=b", 400, "secretId"),
        ("/v1/%zz", 400, "secretId"),
        ("/systemsmanager/parameters/get?secretId=a", 400, "secretId"),
        ("/systemsmanager/parameters/get?label=a", 400, "name"),
        ("/systemsmanager/parameters/get?name=a&version=", 400, "version"),
        ("/systemsmanager/parameters/get?name=a&version=-1", 400, "version"),
        ("/systemsmanager/parameters/get?name=a&version=0", 400, "version"),
        ("/systemsmanager/parameters/get?name=a&version=latest", 400, "version"),
        ("/systemsmanager/parameters/get?name=a&version=%C2%B2", 400, "version"),
        ("/systemsmanager/parameters/get?name=a&withDecryption=on", 400, "Decryption"),
    ],
)
def test_what_is_refused(target: str, status: int, named: str) -> None:
    """A request that cannot be meant is refused, and what is wrong is named."""
    refusal = refused(target)

    assert status == refusal.status
    assert named in refusal.message


def test_a_surplus_value_is_not_repeated() -> None:
    """An error names the parameter; what it was given may be a secret."""
    message = refused("/secretsmanager/get?secretId=a&unknown=canary").message

    assert "canary" not in message


@pytest.mark.parametrize(
    "headers",
    [
        {"x-aws-parameters-secrets-token": TOKEN},
        {"x-vault-token": TOKEN},
        {"x-vault-token": TOKEN, "x-aws-parameters-secrets-token": "wrong"},
    ],
)
def test_a_right_token(headers: dict[str, str]) -> None:
    """Either header may carry it."""
    assert Ask(SECRET) == asked("/v1/app/db", headers)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("target", ["/v1/app/db", "/secretsmanager/get?x", "/unknown"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": TOKEN},
        {"x-vault-token": ""},
        {"x-vault-token": TOKEN + "x"},
        {"x-vault-token": TOKEN[:-1]},
        {"x-vault-token": f"{TOKEN}, {TOKEN}"},
        {"x-aws-parameters-secrets-token": "\xff"},
    ],
)
def test_a_wrong_token(method: str, target: str, headers: dict[str, str]) -> None:
    """Without the token nothing else is learnt, not even which paths there are."""
    refusal = refused(target, headers, method)

    assert 403 == refusal.status
    assert TOKEN not in refusal.message


def test_without_a_valid_token_nobody_is_let_in() -> None:
    """Where the token is not known, an empty one does not do."""
    request = Request("GET", "/v1/a", "", {"x-vault-token": ""}, keep_alive=True)
    with pytest.raises(RequestError) as refusal:
        route(request, lambda: ())

    assert 403 == refusal.value.status


@pytest.mark.parametrize("token", ["one", "other"])
def test_any_valid_token_will_do(token: str) -> None:
    """Clients written for different extensions send different ones."""
    request = Request("GET", "/v1/app/db", "", {"x-vault-token": token}, True)  # noqa: FBT003

    assert Ask(SECRET) == route(request, lambda: ("one", "other"))


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All given tokens are compared, by ``compare_digest``."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(routes, "compare_digest", compare)
    headers = {"x-aws-parameters-secrets-token": "a", "x-vault-token": "b"}
    request = Request("GET", "/v1/app/db", "", headers, keep_alive=True)

    assert Ask(SECRET) == route(request, lambda: ("a",))
    assert [(b"a", b"a"), (b"b", b"a")] == compared


def test_the_token_is_looked_up_only_when_it_is_needed() -> None:
    """A ping, or a request without token, does not disturb its provider."""

    def provider() -> tuple[str, ...]:
        raise SettingsError(["asked"])

    ping = Request("GET", "/ping", "", {}, keep_alive=True)
    bare = Request("GET", "/v1/a", "", {}, keep_alive=True)

    assert route(ping, provider) is None
    with pytest.raises(RequestError):
        route(bare, provider)


@pytest.mark.parametrize("target", ["/pin", "/ping/", "/v1/ping", "/v1/app/db"])
@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
def test_forwarded_requests(target: str, header: str) -> None:
    """A request that somebody passed on is refused, but for a ping."""
    forwarded = {**HEADERS, header: ""}
    refusal = refused(target, forwarded)

    assert (400, "Forwarded") == (refusal.status, refusal.code)
    assert asked("/ping", forwarded) is None
    assert "InvalidHost" == refused("/ping", {**forwarded, "host": "a.example"}).code


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:2773",
        "LocalHost:1",
        "localhost:",
        "127.0.0.1",
        "127.0.0.1:2773",
        "[::1]",
        "[::1]:2773",
    ],
)
def test_loopback_hosts(host: str) -> None:
    """The port is called by the names of this machine."""
    assert asked("/ping", {"host": host}) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":2773",
        "evil.example",
        "evil.example:2773",
        "localhost.evil.example",
        "evil.example:localhost",
        "localhost:80:80",
        "localhost.",
        "127.0.0.1.nip.io",
        "127.0.0.2",
        "0.0.0.0",  # noqa: S104  nobody binds to it
        "::1",
        "[::1",
        "[::]",
        "localhost, localhost",
        "user@localhost",
    ],
)
@pytest.mark.parametrize("target", ["/ping", "/v1/app/db"])
def test_other_hosts(host: str, target: str) -> None:
    """A name that a stranger's server gave this address is refused."""
    refusal = refused(target, {**HEADERS, "host": host})

    assert (400, "InvalidHost") == (refusal.status, refusal.code)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "get", "OPTIONS"])
@pytest.mark.parametrize("target", ["/ping", "/v1/app/db", "/unknown"])
def test_other_methods(method: str, target: str) -> None:
    """Only GET is answered."""
    assert 405 == refused(target, method=method).status


# Ports without token


LISTED = frozenset({"app/db", ARN})


def asked_without_token(
    target: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> Ask | None:
    """What a request asks for."""
    path, _, query = target.partition("?")
    sent = {"host": "localhost:4000"} if headers is None else headers
    request = Request(method, path, query, sent, keep_alive=True)
    return legacy_route(request, LISTED)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/ping", None),
        ("/cache/app/db", Ask(SECRET, bare=JSON)),
        ("/secrets?name=app%2Fdb", Ask(SECRET, bare=TEXT)),
        ("/?name=app/db", Ask(SECRET, bare=TEXT)),
        (f"/secrets?name={ARN}", Ask(Query.secret(ARN), bare=TEXT)),
    ],
)
def test_what_is_asked_for_without_token(target: str, expected: Ask | None) -> None:
    """The current version of a secret that is listed, as it is listed."""
    assert expected == asked_without_token(target)


@pytest.mark.parametrize(
    ("target", "status", "named"),
    [
        ("/secrets?name=app/other", 403, "ROTAWARE_LEGACY_PORTS"),
        ("/secrets?name=app/other", 403, "app/other is not listed"),
        ("/cache/app/db/", 403, "config.yaml"),
        ("/?name=APP/DB", 403, "SECRET_*"),
        ("/v1/app/db", 404, "ROTAWARE_LEGACY_PORTS"),
        ("/secretsmanager/get?secretId=app/db", 404, "/cache/<name>"),
        ("/systemsmanager/parameters/get?name=app/db", 404, "main port"),
        ("/kms/get?name=app/db", 404, ""),
        ("/", 404, ""),
        ("/cache/", 400, "missing name"),
        ("/cache/app/db?refreshNow=1", 400, "refreshNow"),
        ("/secrets?name=app/db&insteadOf=v1", 400, "insteadOf"),
        ("/secrets?name=app/db&versionStage=AWSPREVIOUS", 400, "versionStage"),
    ],
)
def test_what_is_refused_without_token(target: str, status: int, named: str) -> None:
    """Nothing else is told there, nor asked of AWS."""
    with pytest.raises(RequestError) as refusal:
        asked_without_token(target)

    assert status == refusal.value.status
    assert named in refusal.value.message


@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        ({"host": "localhost", "x-forwarded-for": "10.0.0.1"}, "GET", 400),
        ({"host": "localhost", "forwarded": "for=a"}, "GET", 400),
        ({"host": "rebound.example"}, "GET", 400),
        ({"host": "localhost"}, "POST", 405),
    ],
)
@pytest.mark.parametrize("target", ["/cache/app/db", "/unknown"])
def test_who_is_refused_without_token(
    headers: dict[str, str], method: str, status: int, target: str
) -> None:
    """Proxies and rebound names get no further than at the main port."""
    with pytest.raises(RequestError) as refusal:
        asked_without_token(target, headers, method)

    assert status == refusal.value.status


FIELDS = ["secretId", "versionId", "name", "version", "label", "refreshNow", "=", "&"]
PATHS = [
    "/v1/",
    "/cache/",
    "/secrets",
    "/kms/get",
    "/secretsmanager/get",
    "/systemsmanager/parameters/get/",
    "/ping",
    "?",
]


@given(
    st.lists(
        st.sampled_from(PATHS + FIELDS) | st.text("a%+/:.é\xff2F", max_size=4)
    ).map(lambda parts: "/" + "".join(parts).lstrip("/"))
)
def test_any_target_is_asked_or_refused(target: str) -> None:
    """Nothing but an Ask, a ping or a RequestError ever comes out."""
    path, _, query = target.partition("?")
    request = Request("GET", path, query, HEADERS, keep_alive=True)
    try:
        ask = route(request, lambda: (TOKEN,))
    except RequestError as refusal:
        status = refusal.status
    else:
        status = 200

        assert ask is None or ask.query.id
    assert status in {200, 400, 404}

    try:
        legacy = legacy_route(request, LISTED)
    except RequestError as refusal:
        status = refusal.status
    else:
        status = 200

        assert legacy is None or legacy.query.id in LISTED
    assert status in {200, 400, 403, 404}


@given(
    st.text(min_size=1, max_size=50).filter(str.isprintable),
    st.permutations(["versionId=v", "versionStage=s", "refreshNow=1", "insteadOf=i"]),
)
def test_any_name_survives_the_way(name: str, others: list[str]) -> None:
    """What a client encodes is what is asked for, in whatever order it comes."""
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    query = "&".join([*others[:2], f"secretId={encoded}", *others[2:]])
    head = f"GET /secretsmanager/get?{query} HTTP/1.1\r\nHost: localhost\r\n"
    request = parse_head(f"{head}X-Vault-Token: {TOKEN}".encode())

    assert Ask(Query.secret(name, "v", "s"), refresh=True, instead_of="i") == route(
        request, lambda: (TOKEN,)
    )


def test_stats_are_for_who_has_the_token() -> None:
    """At the main port alone, and without parameters."""
    assert 403 == refused("/stats", {"host": "localhost"}).status
    assert 405 == refused("/stats", method="POST").status
    assert 400 == refused("/stats?secretId=db").status

    request = Request("GET", "/stats", "", HEADERS, keep_alive=True)
    with pytest.raises(RequestError) as refusal:
        legacy_route(request, frozenset({"stats", "/stats"}))

    assert 404 == refusal.value.status
