"""Where a service answers in a Region, as botocore resolves it, without its data.

Pure. Rules:
1. A configured endpoint (AWS_ENDPOINT_URL_<SERVICE>, then AWS_ENDPOINT_URL) wins, and
   cannot be combined with FIPS or dual-stack endpoints.
2. A Region's prefix tells its partition, so that future Regions work.
3. The rest is service, Region and suffix, but for the exceptions below.
"""

from __future__ import annotations

from rotaware import parsers
from rotaware.errors import SettingsError
from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICES = ("secretsmanager", "ssm", "kms", "dynamodb")

# Region prefix, partition, suffix, suffix of the dual-stack endpoints.
_PARTITIONS = (
    ("cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com", "api.aws"),
    ("us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("", "aws", "amazonaws.com", "api.aws"),
)
# Names that served both protocols before dual-stack names existed: (partition, FIPS).
_DUAL_STACK_SECRETS = {
    ("aws", False): "amazonaws.com",
    ("aws", True): "amazonaws.com",
    ("aws-us-gov", False): "amazonaws.com",
    ("aws-us-gov", True): "amazonaws.com",
    ("aws-cn", False): "amazonaws.com.cn",
}
# Services whose every endpoint in GovCloud is a FIPS endpoint.
_FIPS_IN_GOVCLOUD = {"ssm", "dynamodb"}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_IPV6_CHARACTERS = frozenset("0123456789abcdef:.")
_LARGEST_PORT = 65535
_LONGEST_LABEL = 63


class Endpoint(NamedTuple):
    """A URL in the parts that a connection needs; target is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Take a URL apart; ValueError says why it is none."""
        scheme, separator, rest = url.partition("://")
        scheme = scheme.lower()
        if not separator or scheme not in _DEFAULT_PORTS:
            raise ValueError("it does not begin with http:// or https://")
        if not all("!" <= character <= "~" for character in rest) or "#" in rest:
            raise ValueError("it holds a character that a URL cannot hold")
        slash = min(i for i in (rest.find("/"), rest.find("?"), len(rest)) if i >= 0)
        host, port = _host_and_port(rest[:slash].lower(), _DEFAULT_PORTS[scheme])
        target = rest[slash:]
        return cls(scheme, host, port, target if target[:1] == "/" else "/" + target)

    @property
    def authority(self) -> str:
        """The Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port == _DEFAULT_PORTS[self.scheme]:
            return host
        return f"{host}:{self.port}"


def endpoint_url(service: str, region: str, environ: Mapping[str, str]) -> str:
    """The URL of a service in a Region; SettingsError for what cannot be combined."""
    if not region or not all(c.isascii() and (c.isalnum() or c == "-") for c in region):
        fault = f"{parsers.quote(region)} is no Region's name"
        raise SettingsError([f"AWS_REGION: {fault}; use one such as eu-west-1"])
    fips = _is_on(environ, "AWS_USE_FIPS_ENDPOINT")
    dual_stack = _is_on(environ, "AWS_USE_DUALSTACK_ENDPOINT")
    name = _configured(service, environ)
    if name is None:
        return f"https://{_host(service, region, fips=fips, dual_stack=dual_stack)}"
    for switch, on in (
        ("AWS_USE_FIPS_ENDPOINT", fips),
        ("AWS_USE_DUALSTACK_ENDPOINT", dual_stack),
    ):
        if on:
            raise SettingsError(
                [f"{name}: cannot be combined with {switch}; remove one"]
            )
    return environ[name]


def endpoint(service: str, region: str, environ: Mapping[str, str]) -> Endpoint:
    """Where to send a service's requests; SettingsError for a URL that is none."""
    parsed = _parse(endpoint_url(service, region, environ))
    if isinstance(parsed, Endpoint):
        return parsed
    name = _configured(service, environ)
    raise SettingsError([f"{name}: is no endpoint ({parsed}); use http://host:port"])


def _parse(url: str) -> Endpoint | str:
    """The endpoint, or what is wrong with the URL."""
    try:
        parsed = Endpoint.parse(url)
    except ValueError as error:
        return str(error)
    return "it has a query" if "?" in parsed.target else parsed


def _configured(service: str, environ: Mapping[str, str]) -> str | None:
    """The variable that holds the service's endpoint."""
    if _is_on(environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        return None
    word = "SECRETS_MANAGER" if service == "secretsmanager" else service.upper()
    names = (f"AWS_ENDPOINT_URL_{word}", "AWS_ENDPOINT_URL")
    return next((name for name in names if environ.get(name)), None)


def _host(service: str, region: str, *, fips: bool, dual_stack: bool) -> str:
    partition, suffix, dual_suffix = next(
        row[1:] for row in _PARTITIONS if region.startswith(row[0])
    )
    name = f"{service}-fips" if fips else service
    if dual_stack:
        suffix = dual_suffix
        if service == "secretsmanager":
            suffix = _DUAL_STACK_SECRETS.get((partition, fips), suffix)
    elif service in _FIPS_IN_GOVCLOUD and partition == "aws-us-gov":
        name = service
    return f"{name}.{region}.{suffix}"


def _host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    bracketed = authority.startswith("[")
    if bracketed:
        host, closed, rest = authority[1:].partition("]")
        valid = bool(closed) and ":" in host and _IPV6_CHARACTERS.issuperset(host)
        colon, port = rest[:1], rest[1:]
        valid = valid and colon in {"", ":"}
    else:
        host, colon, port = authority.partition(":")
        valid = _HOST_CHARACTERS.issuperset(host) and all(
            0 < len(label) <= _LONGEST_LABEL
            for label in host.removesuffix(".").split(".")
        )
    if not valid:
        raise ValueError("its host is no host name or address")
    if not port:
        return host, default_port
    if not port.isdecimal() or not 0 < int(port) <= _LARGEST_PORT:
        raise ValueError("its port is not a number from 1 to 65535")
    return host, int(port)


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() == "true"
