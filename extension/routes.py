"""The local ports' grammar: from a request to what it asks for. Pure.

The order of the checks is that of the Secrets Manager Agent: forwarded requests first,
then the token, the method, the path, the parameters. A parameter that is unknown or
given twice is refused by name: a typing error should not read the wrong version.
"""

from __future__ import annotations

from _operator import _compare_digest as compare_digest

from extension.fields import Fields, bad_request, decoded, named
from extension.http1 import JSON, TEXT
from rotaware import parsers
from rotaware.errors import RequestError
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.secret import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from extension.http1 import Request

_TOKEN_HEADERS = ("x-aws-parameters-secrets-token", "x-vault-token")
_FORWARDED_HEADERS = ("x-forwarded-for", "forwarded")
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

_PING = "/ping"
_STATS = "/stats"
_BY_PATH = "/v1/"
_CACHED = "/cache/"
_COMMON = frozenset({"refreshNow", "insteadOf"})
_VERSION = frozenset({"versionId", "versionStage"} | _COMMON)
_SECRET = _VERSION | {"secretId"}
_PARAMETER = frozenset({"name", "version", "label", "withDecryption"} | _COMMON)
_PARAMETERS = frozenset({"path", "recursive", "withDecryption", "refreshNow"})
_NOT_OFFERED = {
    "roleArn": "let the policies of the secret and of its key allow this function's"
    " role, and read the secret by its ARN"
}


class Ask(NamedTuple):
    """A read.

    Attributes:
        query: What to read.
        refresh: Whether to ask the source, whatever is cached.
        instead_of: The version that just failed the caller.
        bare: The media type under which the value alone is asked for, if it is text;
            None for the whole document.
    """

    query: Query
    refresh: bool = False
    instead_of: str | None = None
    bare: str | None = None


STATS = Ask(Query("rotaware", "stats"))
"""A look at the extension itself. No source is asked for it, and it is never held."""


def route(request: Request, tokens: Callable[[], Iterable[str]]) -> Ask | None:
    """What a request to the main port asks for; None for a ping.

    Args:
        request: The request.
        tokens: Gives the tokens that are valid now; called when one is needed.

    Raises:
        RequestError: It is refused.
    """
    _refuse_strangers(request)
    if request.path != _PING:
        _require_token(request.headers, tokens)
    _require_get(request)
    if request.path == _PING:
        return None
    if request.path.rstrip("/") == _STATS:
        Fields(request.query, frozenset())
        return STATS
    read = _PLACES.get(request.path.rstrip("/"))
    if request.path.startswith(_BY_PATH):
        ask: Ask | None = _secret_by_path(request)
    elif read is not None:
        ask = read(request.query)
    else:
        ask = _bare(request, _COMMON)
    if ask is None:
        raise RequestError(
            404,
            "NotFound",
            "no such path; there are /secretsmanager/get,"
            " /systemsmanager/parameters/get, /systemsmanager/parameters/path,"
            " /v1/<secretId>, /kms/get, /cache/<name>, /secrets, /?name=, /stats and"
            " /ping",
        )
    return ask


def legacy_route(request: Request, listed: frozenset[str]) -> Ask | None:
    """What a request to a port without token asks for; None for a ping.

    Only the current version of listed secrets, and nothing that leads to a call to AWS
    at will.

    Args:
        request: The request.
        listed: Names and ARNs of the secrets that the configuration lists.

    Raises:
        RequestError: It is refused.
    """
    _refuse_strangers(request)
    _require_get(request)
    if request.path == _PING:
        return None
    ask = _bare(request, frozenset())
    if ask is None:
        raise RequestError(
            404,
            "NotFound",
            "no such path; a port of ROTAWARE_LEGACY_PORTS has /cache/<name>,"
            " /secrets?name=, /?name= and /ping; ask the main port for the rest",
        )
    if ask.query.id not in listed:
        raise RequestError(
            403,
            "NotListed",
            f"{ask.query.id} is not listed, and a port of ROTAWARE_LEGACY_PORTS serves"
            " listed secrets only; list it in config.yaml or in a SECRET_* variable,"
            " written as here, or ask the main port with the token",
        )
    return ask


def _secret(secret_id: str, fields: Fields, bare: str | None = None) -> Ask:
    query = Query.secret(secret_id, fields.get("versionId"), fields.get("versionStage"))
    return Ask(query, fields.flag("refreshNow"), fields.get("insteadOf"), bare)


def _secret_by_path(request: Request) -> Ask:
    secret_id = decoded("secretId", request.path[len(_BY_PATH) :])
    if not secret_id:
        raise bad_request("missing secret ID; name it after /v1/")
    fields = Fields(request.query, _VERSION, _NOT_OFFERED)
    return _secret(named("secretId", secret_id), fields)


def _secret_by_id(query: str) -> Ask:
    fields = Fields(query, _SECRET, _NOT_OFFERED)
    return _secret(fields.name("secretId"), fields)


def _variable(query: str) -> Ask:
    fields = Fields(query, frozenset({"name"}))
    return Ask(Query.variable(fields.name("name")), bare=TEXT)


def _parameter(query: str) -> Ask:
    fields = Fields(query, _PARAMETER)
    name = fields.name("name")
    # Of version and label, the AWS extension uses the one that comes first.
    selectors = [key for key in fields.order if key in ("version", "label")]
    selector = selectors[0] if selectors else None
    version = fields.get("version") if selector == "version" else None
    if version is not None:
        version = _number(version)
    parameter = Query.parameter(
        name,
        version,
        fields.get("label") if selector == "label" else None,
        decrypt=fields.flag("withDecryption"),
    )
    return Ask(parameter, fields.flag("refreshNow"), fields.get("insteadOf"))


def _parameters(query: str) -> Ask:
    fields = Fields(query, _PARAMETERS)
    path = Query.path(
        fields.name("path"),
        recursive=fields.flag("recursive", default=True),
        decrypt=fields.flag("withDecryption"),
    )
    return Ask(path, fields.flag("refreshNow"))


_PLACES: dict[str, Callable[[str], Ask]] = {
    "/secretsmanager/get": _secret_by_id,
    "/systemsmanager/parameters/get": _parameter,
    "/systemsmanager/parameters/path": _parameters,
    "/kms/get": _variable,
}


def _bare(request: Request, known: frozenset[str]) -> Ask | None:
    """A read in the ways of the two community extensions; None for no such path."""
    path, query = request.path, request.query
    if path.startswith(_CACHED):
        fields = Fields(query, known)
        name = decoded("name", path[len(_CACHED) :])
        if not name:
            raise bad_request("missing name; name the secret after /cache/")
        return _secret(named("name", name), fields, JSON)
    if path.rstrip("/") == "/secrets" or (path == "/" and query):
        fields = Fields(query, known | {"name"})
        return _secret(fields.name("name"), fields, TEXT)
    return None


def _number(version: str) -> str:
    try:
        return parsers.version_number(version)
    except ValueError as fault:
        raise bad_request(f"invalid version: {fault}") from fault


def _refuse_strangers(request: Request) -> None:
    headers = request.headers
    forwarded = any(header in headers for header in _FORWARDED_HEADERS)
    if forwarded and request.path != _PING:
        raise RequestError(
            400, "Forwarded", "forwarded requests are refused: call the port directly"
        )
    host = headers.get("host", "127.0.0.1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in _LOOPBACK_HOSTS:
        raise RequestError(
            400, "InvalidHost", "the Host header must be localhost or 127.0.0.1"
        )


def _require_token(
    headers: Mapping[str, str], tokens: Callable[[], Iterable[str]]
) -> None:
    given = [headers[name].encode() for name in _TOKEN_HEADERS if name in headers]
    valid = [token.encode() for token in tokens()] if given else []
    # All are compared, whatever the first one says.
    matches = [compare_digest(one, other) for one in given for other in valid]
    if not any(matches):
        raise RequestError(
            403,
            "AccessDenied",
            "missing or wrong token: send AWS_SESSION_TOKEN in the header"
            " X-Aws-Parameters-Secrets-Token",
        )


def _require_get(request: Request) -> None:
    if request.method != "GET":
        raise RequestError(405, "MethodNotAllowed", "this port answers GET only")
