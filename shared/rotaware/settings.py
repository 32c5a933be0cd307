"""The settings, read once from a passed mapping of environment variables.

``VARIABLES`` is the one table of names, defaults, meanings and parsers; the README
shows it. Every problem is collected and reported together: the variable, what is
wrong with its value, what to do. Only malformed numbers and words are quoted, and cut
short: a variable may hold anything, also a secret that was put in the wrong place.
"""

from __future__ import annotations

from rotaware import parsers
from rotaware.errors import SettingsError
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.parsers import DYNAMODB_SCHEME
from rotaware.secret import DYNAMODB, KMS, PARAMETER_STORE, SECRETS_MANAGER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Variable(NamedTuple):
    """One environment variable.

    Attributes:
        name: The variable.
        field: The name of its value; most are fields of ``Settings``.
        default: The text that stands for it when it is not set; None for none.
        meaning: One line for the README.
        parse: Turns the text into the value; raises ValueError("fault; fix").
    """

    name: str
    field: str
    default: str | None
    meaning: str
    parse: Callable[[str], Any]

    def value(self, environ: Mapping[str, str]) -> Any:
        """What it is set to, or its default; None where it has none."""
        text = environ.get(self.name, self.default)
        return None if text is None else self.parse(text)


VARIABLES = (
    Variable(
        "PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED",
        "cache_enabled",
        "TRUE",
        "`TRUE` or `FALSE`: whether anything is cached",
        parsers.flag("TRUE", "FALSE"),
    ),
    Variable(
        "PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE",
        "cache_size",
        "1000",
        "how many secrets and parameters are held, 0 to 1000; 0: nothing is cached",
        parsers.whole(0, parsers.MAX_CACHE_SIZE),
    ),
    Variable(
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT",
        "port",
        "2773",
        "the local port, 1 to 65535 but not 9001",
        parsers.port,
    ),
    Variable(
        "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL",
        "log_level",
        None,
        "`debug`, `info`, `warn`, `error` or `none`; takes precedence over the two"
        " below",
        parsers.log_level,
    ),
    Variable(
        "AWS_LAMBDA_LOG_LEVEL",
        "lambda_log_level",
        None,
        "set by Lambda's logging controls; takes precedence over"
        " `POWERTOOLS_LOG_LEVEL`",
        parsers.lambda_log_level,
    ),
    Variable(
        "POWERTOOLS_LOG_LEVEL",
        "powertools_log_level",
        "INFO",
        "as the function's Powertools Logger uses it",
        parsers.powertools_log_level,
    ),
    Variable(
        "POWERTOOLS_SERVICE_NAME",
        "service",
        "rotaware",
        "`service` in the log lines, and the dimension of the metrics",
        parsers.or_default(parsers.nonempty, "rotaware"),
    ),
    Variable(
        "POWERTOOLS_METRICS_NAMESPACE",
        "metrics_namespace",
        "rotaware",
        "the namespace of the metrics",
        parsers.or_default(parsers.nonempty, "rotaware"),
    ),
    Variable(
        "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS",
        "max_connections",
        "3",
        "connections to Secrets Manager and to Parameter Store, each",
        parsers.whole(1, 1_000_000),
    ),
    Variable(
        "SECRETS_MANAGER_TTL",
        "secrets_ttl_seconds",
        "300",
        "seconds that a secret is served from memory; 0: never; above 300 is allowed",
        parsers.seconds(0),
    ),
    Variable(
        "SSM_PARAMETER_STORE_TTL",
        "parameters_ttl_seconds",
        "300",
        "the same for parameters",
        parsers.seconds(0),
    ),
    Variable(
        "SECRETS_MANAGER_TIMEOUT_MILLIS",
        "secrets_timeout_seconds",
        "0",
        "milliseconds allowed for a call to Secrets Manager; 0: no limit of its own",
        parsers.timeout,
    ),
    Variable(
        "SSM_PARAMETER_STORE_TIMEOUT_MILLIS",
        "parameters_timeout_seconds",
        "0",
        "the same for Parameter Store",
        parsers.timeout,
    ),
    Variable(
        "ROTAWARE_NAMESPACE",
        "namespace",
        "default",
        "which functions share a stamp sheet: `/rotaware/<namespace>/stamps`",
        parsers.namespace,
    ),
    Variable(
        "ROTAWARE_STAMPS",
        "stamps",
        "ssm",
        "`ssm`: the namespace's sheet; `ssm:///any/name`: that parameter;"
        " `dynamodb://table`: the namespace's item in that table; `off`: none",
        parsers.stamps,
    ),
    Variable(
        "ROTAWARE_CHECK_INTERVAL",
        "check_interval_seconds",
        "5",
        "seconds between two looks at the sheet, shortened by up to a fifth at random;"
        " 0: one in each invocation; while AWS throttles or fails them: longer, and at"
        " least 1",
        parsers.seconds(0),
    ),
    Variable(
        "ROTAWARE_CHECK_TIMEOUT",
        "check_timeout_seconds",
        "0.5",
        "seconds that a read waits for a look at the sheet, 0.01 or more",
        parsers.seconds(0.01),
    ),
    Variable(
        "ROTAWARE_STALE_IF_ERROR",
        "stale_if_error_seconds",
        "3600",
        "seconds past its TTL that a value is served while AWS is out of reach;"
        " 0: never",
        parsers.seconds(0),
    ),
    Variable(
        "ROTAWARE_PREFETCH",
        "prefetch",
        "on",
        "`on` or `off`: fetch the configured secrets at start; with SnapStart, after"
        " the restore",
        parsers.flag("on", "off"),
    ),
    Variable(
        "ROTAWARE_CONFIG",
        "config_path",
        "/var/task/config.yaml",
        "the optional config file",
        parsers.path,
    ),
    Variable(
        "ROTAWARE_TOKEN_FILE",
        "token_file",
        None,
        "file with the token that readers must send, where `AWS_SESSION_TOKEN` does"
        " not exist",
        parsers.path,
    ),
    Variable(
        "ROTAWARE_KMS_ENV",
        "kms_env",
        None,
        "names of variables that hold KMS ciphertext, with commas between: they are"
        " decrypted at start, and read at `/kms/get`",
        parsers.variable_names,
    ),
    Variable(
        "ROTAWARE_LEGACY_PORTS",
        "legacy_ports",
        None,
        "further local ports, such as `4000,8080`: there the listed secrets are read"
        " without a token, as from two older extensions",
        parsers.ports,
    ),
    Variable(
        "ROTAWARE_DIALECT",
        "dialect",
        "aws-extension",
        "`aws-extension` or `agent`: whose answers the local port gives, where the AWS"
        " extension and the Secrets Manager Agent differ",
        parsers.one_of("aws-extension", "agent"),
    ),
    Variable(
        "ROTAWARE_FALLBACK",
        "fallback",
        "none",
        "`none` or `in-process`: what `import rotaware` does where no extension"
        " listens: raise an error, or ask AWS itself",
        parsers.one_of("none", "in-process"),
    ),
    Variable(
        "ROTAWARE_METRICS",
        "metrics",
        "off",
        "`on` or `off`: a log line a minute that CloudWatch makes metrics of, which it"
        " charges for",
        parsers.flag("on", "off"),
    ),
    Variable(
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "initialization_type",
        "on-demand",
        "set by Lambda: `snap-start` and `lambda-managed-instances` change how"
        " rotaware starts",
        str,
    ),
)


class Settings(NamedTuple):
    """Everything that can be set, valid once built.

    ``None`` is no limit for the timeouts and no sheet for ``stamps``, which else is its
    parameter's name, or ``dynamodb://table/namespace``. ``cache_enabled`` is False with
    a size of 0 too. Of ``kms_env`` and ``legacy_ports``, none is an empty tuple.
    """

    port: int
    cache_enabled: bool
    cache_size: int
    secrets_ttl_seconds: float
    parameters_ttl_seconds: float
    secrets_timeout_seconds: float | None
    parameters_timeout_seconds: float | None
    max_connections: int
    stamps: str | None
    check_interval_seconds: float
    check_timeout_seconds: float
    stale_if_error_seconds: float
    prefetch: bool
    snap_start: bool
    managed_instances: bool
    config_path: str
    kms_env: tuple[str, ...]
    legacy_ports: tuple[int, ...]
    dialect: str
    log_level: str
    service: str
    metrics: bool
    metrics_namespace: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the variables; raise SettingsError with every problem found."""
        values, problems = parsed(environ)
        if problems:
            raise SettingsError(problems)
        return cls.from_parsed(values)

    @classmethod
    def from_parsed(cls, values: Mapping[str, Any]) -> Settings:
        """Build from what ``parsed`` returned without problems."""
        return cls(**_combined(dict(values)))

    @property
    def services(self) -> tuple[str, ...]:
        """The AWS services that will be called."""
        in_table = self.stamps is not None and self.stamps.startswith(DYNAMODB_SCHEME)
        return (
            SECRETS_MANAGER,
            PARAMETER_STORE,
            *((DYNAMODB,) if in_table else ()),
            *((KMS,) if self.kms_env else ()),
        )


def parsed(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Each variable's value, where it has a usable one, and every problem."""
    problems = _unusable(environ)
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        try:
            values[variable.field] = variable.value(environ)
        except ValueError as error:  # noqa: PERF203  each one fails by itself
            problems.append(f"{variable.name}: {error}")
    if values.get("port") in (values.get("legacy_ports") or ()):
        problems.append(
            f"ROTAWARE_LEGACY_PORTS: {values['port']} is the extension's own port;"
            " leave it out"
        )
    return values, problems


def _combined(values: dict[str, Any]) -> dict[str, Any]:
    """Apply the settings that decide over another; what is left are fields."""
    del values["token_file"]  # ``rotaware.tokens`` looks for it at each request
    del values["fallback"]  # for who reads the local port, not for who listens there
    namespace = values.pop("namespace")
    initialization_type = values.pop("initialization_type")
    values["snap_start"] = initialization_type == "snap-start"
    values["managed_instances"] = initialization_type == "lambda-managed-instances"
    from_lambda = values.pop("lambda_log_level")
    from_powertools = values.pop("powertools_log_level")
    values["log_level"] = values["log_level"] or from_lambda or from_powertools
    values["cache_enabled"] = values["cache_enabled"] and values["cache_size"] > 0
    values["kms_env"] = values["kms_env"] or ()
    values["legacy_ports"] = values["legacy_ports"] or ()
    # Without a cache there is nowhere to put them.
    values["prefetch"] = values["prefetch"] and values["cache_enabled"]
    if values["stamps"] == "ssm":
        values["stamps"] = f"/rotaware/{namespace}/stamps"
    elif values["stamps"].startswith(DYNAMODB_SCHEME):
        values["stamps"] += f"/{namespace}"
    elif values["stamps"] == "off":
        values["stamps"] = None
    return values


def _unusable(environ: Mapping[str, str]) -> list[str]:
    """A problem for each ROTAWARE_ variable that would have no effect."""
    known = {variable.name for variable in VARIABLES}
    return [
        _unknown(name, known)
        for name in environ
        if name.startswith("ROTAWARE_") and name not in known
    ]


def _unknown(name: str, known: set[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  costly, and only a typo needs it

    shown = parsers.shown_name(name)
    nearest = get_close_matches(shown, sorted(known), n=1, cutoff=0.7)
    fix = f"did you mean {nearest[0]}" if nearest else "remove it"
    return f"{shown}: rotaware has no such variable; {fix}"
