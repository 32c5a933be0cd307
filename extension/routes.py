"""The local port's grammar: from a request to what it asks for. Pure.

The order of the checks is that of the Secrets Manager Agent: forwarded requests first,
then the token, the method, the path, the parameters. A parameter that is unknown or
given twice is refused by name: a typing error should not read the wrong version.
"""

from __future__ import annotations

from _operator import _compare_digest as compare_digest

from extension.http1 import unquote
from rotaware import parsers
from rotaware.errors import RequestError
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.secret import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extension.http1 import Request

_TOKEN_HEADERS = ("x-aws-parameters-secrets-token", "x-vault-token")
_FORWARDED_HEADERS = ("x-forwarded-for", "forwarded")
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

_COMMON = {"refreshNow", "insteadOf"}
_SECRET_PARAMETERS = frozenset({"secretId", "versionId", "versionStage"} | _COMMON)
_PARAMETER_PARAMETERS = frozenset(
    {"name", "version", "label", "withDecryption"} | _COMMON
)


class Ask(NamedTuple):
    """A read.

    Attributes:
        query: What to read.
        refresh: Whether to ask the source, whatever is cached.
        instead_of: The version that just failed the caller.
    """

    query: Query
    refresh: bool = False
    instead_of: str | None = None


def route(request: Request, token: Callable[[], str | None]) -> Ask | None:
    """What a request asks for; None for a ping.

    Args:
        request: The request.
        token: Gives the token that is valid now; called when one is needed.

    Raises:
        RequestError: It is refused.
    """
    _refuse_forwarded(request.headers)
    ping = request.path == "/ping"
    if not ping:
        _require_token(request.headers, token)
    if request.method != "GET":
        raise RequestError(405, "MethodNotAllowed", "this port answers GET only")
    if ping:
        return None
    path = request.path
    if path.startswith("/v1/"):
        parameters = _Parameters(request.query, _SECRET_PARAMETERS - {"secretId"})
        return _secret(_named("secretId", _decoded("secretId", path[4:])), parameters)
    if path.rstrip("/") == "/secretsmanager/get":
        parameters = _Parameters(request.query, _SECRET_PARAMETERS)
        return _secret(_named("secretId", parameters.get("secretId")), parameters)
    if path.rstrip("/") == "/systemsmanager/parameters/get":
        return _parameter(_Parameters(request.query, _PARAMETER_PARAMETERS))
    raise RequestError(
        404,
        "NotFound",
        "no such path; there are /secretsmanager/get, /systemsmanager/parameters/get,"
        " /v1/<secretId> and /ping",
    )


class _Parameters:
    """The query's parameters, each known, given once and not empty."""

    __slots__ = ("_values", "order")

    def __init__(self, query: str, known: frozenset[str]) -> None:
        self._values: dict[str, str] = {}
        for field in filter(None, query.split("&")):
            name, _, value = field.partition("=")
            name = _decoded("the query", name)
            if name not in known:
                raise _refused(
                    f"unknown parameter: {name[:100]}; known here are"
                    f" {', '.join(sorted(known))}"
                )
            if name in self._values:
                raise _refused(f"parameter given twice: {name}; give it once")
            if not value:
                raise _refused(
                    f"empty parameter: {name}; give a value, or leave it out"
                )
            self._values[name] = _decoded(name, value)
        self.order = list(self._values)

    def get(self, name: str) -> str | None:
        """The value; None when it is absent."""
        return self._values.get(name)

    def flag(self, name: str) -> bool:
        """A boolean; false when it is absent."""
        text = self._values.get(name, "false")
        if text.lower() not in _BOOLEANS:
            raise _refused(f"invalid {name}: give true or false")
        return _BOOLEANS[text.lower()]


def _secret(secret_id: str, parameters: _Parameters) -> Ask:
    query = Query.secret(
        secret_id, parameters.get("versionId"), parameters.get("versionStage")
    )
    return Ask(query, parameters.flag("refreshNow"), parameters.get("insteadOf"))


def _number(version: str) -> str:
    try:
        return parsers.version_number(version)
    except ValueError as fault:
        raise _refused(f"invalid version: {fault}") from fault


def _parameter(parameters: _Parameters) -> Ask:
    name = _named("name", parameters.get("name"))
    # Of version and label, the AWS extension uses the one that comes first.
    selectors = [key for key in parameters.order if key in ("version", "label")]
    selector = selectors[0] if selectors else None
    version = parameters.get("version") if selector == "version" else None
    if version is not None:
        version = _number(version)
    query = Query.parameter(
        name,
        version,
        parameters.get("label") if selector == "label" else None,
        decrypt=parameters.flag("withDecryption"),
    )
    return Ask(query, parameters.flag("refreshNow"), parameters.get("insteadOf"))


def _refuse_forwarded(headers: Mapping[str, str]) -> None:
    if any(header in headers for header in _FORWARDED_HEADERS):
        raise RequestError(
            400, "Forwarded", "forwarded requests are refused: call the port directly"
        )
    host = headers.get("host", "127.0.0.1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in _LOOPBACK_HOSTS:
        raise RequestError(
            400, "InvalidHost", "the Host header must be localhost or 127.0.0.1"
        )


def _require_token(headers: Mapping[str, str], token: Callable[[], str | None]) -> None:
    given = [headers[name].encode() for name in _TOKEN_HEADERS if name in headers]
    valid = token() if given else None
    matches = [
        valid is not None and compare_digest(one, valid.encode()) for one in given
    ]
    if not any(matches):
        raise RequestError(
            403,
            "AccessDenied",
            "missing or wrong token: send AWS_SESSION_TOKEN in the header"
            " X-Aws-Parameters-Secrets-Token",
        )


def _named(parameter: str, name: str | None) -> str:
    if not name:
        raise _refused(f"missing parameter: {parameter}")
    if len(name) > parsers.ID_LENGTH or not name.isprintable():
        raise _refused(
            f"invalid {parameter}: a name or ARN has at most {parsers.ID_LENGTH}"
            " printable characters"
        )
    return name


def _decoded(parameter: str, text: str) -> str:
    try:
        return unquote(text)
    except ValueError as fault:
        raise _refused(f"invalid {parameter}: {fault}") from fault


def _refused(message: str) -> RequestError:
    return RequestError(400, "InvalidRequest", message)
