"""Settings are read whole, or refused with every problem."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware import parsers
from rotaware.errors import SettingsError
from rotaware.settings import VARIABLES, Settings

NAMES = [variable.name for variable in VARIABLES]
DEFAULTS = Settings(
    port=2773,
    cache_enabled=True,
    cache_size=1000,
    secrets_ttl_seconds=300.0,
    parameters_ttl_seconds=300.0,
    secrets_timeout_seconds=None,
    parameters_timeout_seconds=None,
    max_connections=3,
    stamps="/rotaware/default/stamps",
    check_interval_seconds=5.0,
    check_timeout_seconds=0.5,
    stale_if_error_seconds=3600.0,
    prefetch=True,
    snap_start=False,
    managed_instances=False,
    config_path="/var/task/config.yaml",
    kms_env=(),
    legacy_ports=(),
    dialect="aws-extension",
    log_level="INFO",
    service="rotaware",
    metrics=False,
    metrics_namespace="rotaware",
)


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    """What is wrong with these variables."""
    with pytest.raises(SettingsError) as raised:
        Settings.from_environ(environ)
    return raised.value.problems


def test_nothing_needs_to_be_set() -> None:
    """Without any variable, everything has its documented default."""
    assert DEFAULTS == Settings.from_environ({"PATH": "/usr/bin"})


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED", "false", "cache_enabled", False),
        ("PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE", "20", "cache_size", 20),
        ("PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE", "0", "cache_enabled", False),
        ("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "4000", "port", 4000),
        ("PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL", "none", "log_level", "NONE"),
        ("PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS", "9", "max_connections", 9),
        ("SECRETS_MANAGER_TTL", "86400", "secrets_ttl_seconds", 86_400.0),
        ("SSM_PARAMETER_STORE_TTL", "0", "parameters_ttl_seconds", 0.0),
        ("SECRETS_MANAGER_TIMEOUT_MILLIS", "1500", "secrets_timeout_seconds", 1.5),
        (
            "SSM_PARAMETER_STORE_TIMEOUT_MILLIS",
            "1",
            "parameters_timeout_seconds",
            0.001,
        ),
        ("ROTAWARE_NAMESPACE", "blue", "stamps", "/rotaware/blue/stamps"),
        ("ROTAWARE_STAMPS", "ssm:///any/name", "stamps", "/any/name"),
        ("ROTAWARE_STAMPS", "off", "stamps", None),
        ("ROTAWARE_STAMPS", "dynamodb://Team", "stamps", "dynamodb://Team/default"),
        ("ROTAWARE_CHECK_INTERVAL", "0", "check_interval_seconds", 0.0),
        ("ROTAWARE_CHECK_TIMEOUT", "2", "check_timeout_seconds", 2.0),
        ("ROTAWARE_STALE_IF_ERROR", "0", "stale_if_error_seconds", 0.0),
        ("ROTAWARE_PREFETCH", "off", "prefetch", False),
        ("ROTAWARE_CONFIG", "/opt/c.yaml", "config_path", "/opt/c.yaml"),
        ("ROTAWARE_KMS_ENV", "DB_PASSWORD, KEY", "kms_env", ("DB_PASSWORD", "KEY")),
        ("ROTAWARE_LEGACY_PORTS", "4000,8080", "legacy_ports", (4000, 8080)),
        ("ROTAWARE_DIALECT", "Agent", "dialect", "agent"),
        ("POWERTOOLS_SERVICE_NAME", "billing", "service", "billing"),
        ("POWERTOOLS_SERVICE_NAME", "", "service", "rotaware"),
        ("POWERTOOLS_LOG_LEVEL", "Debug", "log_level", "DEBUG"),
        ("POWERTOOLS_LOG_LEVEL", "", "log_level", "INFO"),
        ("POWERTOOLS_LOG_LEVEL", "NOTSET", "log_level", "INFO"),
        ("AWS_LAMBDA_LOG_LEVEL", "WARN", "log_level", "WARNING"),
        ("AWS_LAMBDA_LOG_LEVEL", "newly invented", "log_level", "INFO"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start", "snap_start", True),
        (
            "AWS_LAMBDA_INITIALIZATION_TYPE",
            "lambda-managed-instances",
            "managed_instances",
            True,
        ),
    ],
)
def test_each_variable_sets_its_field(
    name: str, text: str, field: str, value: object
) -> None:
    """A variable changes the field that it is documented to change."""
    assert value == getattr(Settings.from_environ({name: text}), field)


@pytest.mark.parametrize("name", NAMES)
def test_every_default_is_what_its_text_says(name: str) -> None:
    """To write a default out is to change nothing."""
    (default,) = [v.default for v in VARIABLES if v.name == name]

    assert default is None or DEFAULTS == Settings.from_environ({name: default})


@pytest.mark.parametrize(
    ("extension", "controls", "powertools", "level"),
    [
        ("debug", "ERROR", "WARNING", "DEBUG"),
        (None, "ERROR", "DEBUG", "ERROR"),
        (None, "unheard of", "DEBUG", "DEBUG"),
        (None, None, "DEBUG", "DEBUG"),
        ("none", "DEBUG", "DEBUG", "NONE"),
    ],
)
def test_the_nearest_log_level_wins(
    extension: str | None, controls: str | None, powertools: str, level: str
) -> None:
    """The extension's own level wins over Lambda's, and that over Powertools'."""
    given_levels = {
        "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL": extension,
        "AWS_LAMBDA_LOG_LEVEL": controls,
        "POWERTOOLS_LOG_LEVEL": powertools,
    }
    environ = {name: text for name, text in given_levels.items() if text is not None}

    assert level == Settings.from_environ(environ).log_level


def test_a_named_sheet_takes_precedence_over_the_namespace() -> None:
    """Where both are set, the sheet is the one that is named."""
    environ = {"ROTAWARE_NAMESPACE": "a", "ROTAWARE_STAMPS": "ssm:///b"}

    assert "/b" == Settings.from_environ(environ).stamps


@pytest.mark.parametrize(
    ("stamps", "services"),
    [
        ("ssm", ("secretsmanager", "ssm")),
        ("off", ("secretsmanager", "ssm")),
        ("dynamodb://team", ("secretsmanager", "ssm", "dynamodb")),
    ],
)
def test_dynamodb_is_called_for_its_sheet_alone(
    stamps: str, services: tuple[str, ...]
) -> None:
    """What the environment says of DynamoDB matters to nobody else."""
    environ = {"ROTAWARE_NAMESPACE": "a", "ROTAWARE_STAMPS": stamps}

    assert services == Settings.from_environ(environ).services


def test_kms_is_called_for_variables_alone() -> None:
    """What the environment says of KMS matters to nobody else, either."""
    services = Settings.from_environ({"ROTAWARE_KMS_ENV": "A"}).services

    assert ("secretsmanager", "ssm", "kms") == services


@pytest.mark.parametrize(
    "environ",
    [
        {"PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "0"},
        {"PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED": "FALSE"},
    ],
)
def test_prefetch_is_off_where_it_would_be_lost(
    environ: dict[str, str],
) -> None:
    """Nothing is fetched without a cache to keep it."""
    assert not Settings.from_environ(environ).prefetch


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("ROTAWARE_TOKEN_FILE", "token", "is no absolute path; start it with /"),
        ("ROTAWARE_NAMESPACE", "a/b", "must be 1 to 128 letters"),
        ("ROTAWARE_FALLBACK", "yes", "'yes' is none; use none or in-process"),
    ],
)
def test_what_is_no_field_is_checked_too(name: str, text: str, fault: str) -> None:
    """A mistake is told at the start, whoever reads the variable later."""
    (problem,) = problems({name: text, "ROTAWARE_STAMPS": "ssm:///any/name"})

    assert problem.startswith(f"{name}: {fault}")


def test_every_problem_is_reported_at_once() -> None:
    """One error names each wrong variable, its fault and the fix."""
    found = problems(
        {
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "9001",
            "SECRETS_MANAGER_TTL": "5m",
            "ROTAWARE_CHECK_INTERVAL": "-1",
            "ROTAWARE_NAMESPACE": "a b",
        }
    )

    assert (
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT",
        "SECRETS_MANAGER_TTL",
        "ROTAWARE_NAMESPACE",
        "ROTAWARE_CHECK_INTERVAL",
    ) == tuple(problem.partition(": ")[0] for problem in found)
    assert (
        "SECRETS_MANAGER_TTL: '5m' is not a number; use seconds from 0 to 31536000"
        == found[1]
    )


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("ROTAWARE_NAMESPAC", "did you mean ROTAWARE_NAMESPACE"),
        ("ROTAWARE_CHECK_INTERVALL", "did you mean ROTAWARE_CHECK_INTERVAL"),
        ("ROTAWARE_ZZZZZZZZZZZZZZZ", "remove it"),
    ],
)
def test_an_unknown_variable_is_a_typing_error(name: str, fix: str) -> None:
    """A variable of ours that would do nothing is refused, with the nearest name."""
    expected = f"{name}: rotaware has no such variable; {fix}"

    assert (expected,) == problems({name: "a value that is not quoted"})


@pytest.mark.parametrize("port", ["4000", "2773"])
def test_a_further_port_is_another_one(port: str) -> None:
    """The extension's own port answers only those who have the token."""
    environ = {
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": port,
        "ROTAWARE_LEGACY_PORTS": "8080,4000,2773",
    }

    assert (
        f"ROTAWARE_LEGACY_PORTS: {port} is the extension's own port; leave it out",
    ) == problems(environ)


def test_without_a_port_of_its_own_there_is_none_to_compare() -> None:
    """A port that is none is the one problem then."""
    (problem,) = problems(
        {
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "http",
            "ROTAWARE_LEGACY_PORTS": "4000",
        }
    )

    assert problem.startswith("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT: 'http' is")


def refusal(environ: dict[str, str]) -> SettingsError:
    """The error for these variables; without problems where they can be used."""
    try:
        Settings.from_environ(environ)
    except SettingsError as error:
        return error
    return SettingsError([])


@given(
    st.dictionaries(
        st.sampled_from(NAMES) | st.text().map("ROTAWARE_".__add__) | st.text(),
        st.text() | st.integers().map(str) | st.floats().map(str),
    )
)
def test_any_environment_is_read_or_refused_by_name(environ: dict[str, str]) -> None:
    """Whatever is set, there are settings, or problems that name set variables only."""
    shown = {parsers.shown_name(name) for name in environ}

    for problem in refusal(environ).problems:
        assert any(problem.startswith(f"{name}: ") for name in shown)


@given(st.sampled_from(NAMES), st.text(string.ascii_letters, min_size=21))
def test_long_values_are_never_quoted_whole(name: str, text: str) -> None:
    """Of a value that may be a misplaced secret, twenty characters show at most."""
    assert text[:21] not in str(refusal({name: text}))
