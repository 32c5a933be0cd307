"""Arguments before variables, and every problem of both by its name."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from rotaware.arguments import NOT_ARGUMENTS, SETTINGS, configured
from rotaware.errors import SettingsError
from rotaware.own_process import in_process
from rotaware.secret import Prefetch, Query
from rotaware.settings import VARIABLES, Settings

CIPHERTEXT = "YQ=="


def problems(
    arguments: dict[str, Any] | None = None,
    environ: dict[str, str] | None = None,
    **rest: Any,
) -> list[str]:
    """What is wrong."""
    with pytest.raises(SettingsError) as caught:
        configured(environ or {}, arguments or {}, **rest)
    return list(caught.value.problems)


def test_without_arguments_the_environment_counts() -> None:
    """The settings are those of the extension."""
    environ = {"ROTAWARE_NAMESPACE": "edge", "SECRETS_MANAGER_TTL": "60"}

    assert Settings.from_environ(environ) == configured(environ, {}).settings


def test_each_setting_is_an_argument_or_is_not() -> None:
    """Whoever adds a setting decides; the function takes all that are arguments."""
    fields = {variable.field for variable in VARIABLES}

    assert fields == SETTINGS.keys() | NOT_ARGUMENTS
    assert not SETTINGS.keys() & NOT_ARGUMENTS
    assert SETTINGS.keys() < inspect.signature(in_process).parameters.keys()


@pytest.mark.parametrize(
    ("argument", "value", "field", "expected"),
    [
        ("namespace", "edge", "stamps", "/rotaware/edge/stamps"),
        ("stamps", "ssm:///team/sheet", "stamps", "/team/sheet"),
        ("stamps", "off", "stamps", None),
        ("check_interval_seconds", 30, "check_interval_seconds", 30.0),
        ("check_interval_seconds", 0.5, "check_interval_seconds", 0.5),
        ("check_interval_seconds", 0.0, "check_interval_seconds", 0.0),
        ("check_interval_seconds", "7", "check_interval_seconds", 7.0),
        ("check_timeout_seconds", 2, "check_timeout_seconds", 2.0),
        ("secrets_ttl_seconds", 100_000.0, "secrets_ttl_seconds", 100_000.0),
        ("parameters_ttl_seconds", 60, "parameters_ttl_seconds", 60.0),
        ("stale_if_error_seconds", 0, "stale_if_error_seconds", 0.0),
        ("secrets_timeout_seconds", 0.25, "secrets_timeout_seconds", 0.25),
        ("secrets_timeout_seconds", 0, "secrets_timeout_seconds", None),
        ("parameters_timeout_seconds", 2, "parameters_timeout_seconds", 2.0),
        ("max_connections", 8, "max_connections", 8),
        ("cache_size", 0, "cache_enabled", False),
        ("cache_enabled", False, "cache_enabled", False),
        ("prefetch", False, "prefetch", False),
        ("prefetch", True, "prefetch", True),
    ],
)
def test_an_argument_is_what_its_variable_would_be(
    argument: str, value: object, field: str, expected: object
) -> None:
    """Numbers are numbers, and True is a word."""
    settings = configured({}, {argument: value}).settings

    assert expected == getattr(settings, field)


def test_an_argument_wins_over_its_variable() -> None:
    """And what is wrong with the variable does not matter then."""
    environ = {"ROTAWARE_NAMESPACE": "no good", "ROTAWARE_CHECK_INTERVAL": "9"}

    settings = configured(environ, {"namespace": "edge"}).settings

    assert ("/rotaware/edge/stamps", 9.0) == (
        settings.stamps,
        settings.check_interval_seconds,
    )


def test_every_problem_is_told_by_its_name() -> None:
    """Those of arguments and those of variables in one message, each with a fix."""
    told = problems(
        {"namespace": "a/b", "cache_size": 1.5, "secrets_ttl_seconds": float("nan")},
        {"ROTAWARE_STAMPS": "nowhere", "ROTAWARE_NAMSPACE": "x"},
        secrets="app/db",
        parameters=["a b", 7],
        variables={"KEY": "no base64!"},
    )

    assert [
        "ROTAWARE_NAMSPACE",
        "ROTAWARE_STAMPS",
        "namespace",
        "cache_size",
        "secrets_ttl_seconds",
        "secrets",
        "parameters[0]",
        "parameters[1]",
        "variables",
    ] == [problem.partition(":")[0] for problem in told]
    assert all("; " in problem for problem in told)


@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("check_interval_seconds", True, "'True' is not a number; use seconds from 0"),
        ("check_interval_seconds", -1, "'-1' is not a number; use seconds from 0"),
        ("check_interval_seconds", -1.5, "'-1.5' is not a number; use seconds from 0"),
        ("check_interval_seconds", [5], "'[5]' is not a number; use seconds from 0"),
        ("check_timeout_seconds", 0.000001, "'0.000001' is out of range; use seconds"),
        ("secrets_timeout_seconds", "1s", "'1s' is not a number; use seconds from 0"),
        ("cache_enabled", "on", "'on' is neither; use True or False"),
        ("prefetch", "on", "'on' is neither; use True or False"),
        ("max_connections", 0, "'0' is not a whole number from 1"),
    ],
)
def test_a_wrong_value_is_told_in_words_for_arguments(
    argument: str, value: object, words: str
) -> None:
    """They speak of what an argument may be, not of what a variable holds."""
    (problem,) = problems({argument: value})

    assert problem.startswith(f"{argument}: {words}")


def test_lists_say_what_to_prefetch() -> None:
    """Names alone, or names with their options; each thing once."""
    config = configured(
        {},
        {},
        secrets={"app/db": None, "app/x": {"ttl_seconds": 60, "version_stage": "v2"}},
        parameters={"/app/flag": {}, "/app/key": {"decrypt": True, "ttl_seconds": 5.5}},
    )

    assert (
        Prefetch(Query.secret("app/db")),
        Prefetch(Query.secret("app/x", stage="v2"), 60.0),
        Prefetch(Query.parameter("/app/flag")),
        Prefetch(Query.parameter("/app/key", decrypt=True), 5.5),
    ) == config.prefetch
    assert [Query.secret("a"), Query.secret("b")] == (
        configured({}, {}, secrets=("a", "b", "a")).queries
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ttl": 5}, "has no option 'ttl'; use ttl_seconds, version_stage"),
        ({"ttl_seconds": -1}, "ttl_seconds: '-1' is not a number; use seconds"),
        ({"version_stage": "AWSPENDING"}, "version_stage: AWSPENDING is never held"),
        ({"version_stage": ""}, "version_stage: is empty; give it a value"),
    ],
)
def test_a_wrong_option_is_told_with_its_place(
    options: dict[str, Any], words: str
) -> None:
    """The list, the number of the entry in it, and the option."""
    (problem,) = problems(secrets={"a": None, "b": options})

    assert problem.startswith(f"secrets[1]: {words}")


def test_a_misplaced_value_is_not_quoted() -> None:
    """What stands where a name should may be a password."""
    told = problems(secrets=["pass word"], variables={"KEY": "pass word"})

    assert "pass word" not in "".join(told)


def test_the_cache_must_hold_what_is_prefetched() -> None:
    """More to prefetch than the cache holds would be fetched in vain."""
    assert configured({}, {"cache_size": 2}, secrets=["a", "b"]).prefetch
    assert ["cache_size: 1 is less than the 2 secrets and parameters to prefetch;"] == [
        problem.partition(" raise")[0]
        for problem in problems({"cache_size": 1}, secrets=["a", "b"])
    ]
    assert [] == configured({}, {"cache_size": 0}, secrets=["a", "b"]).queries


def test_variables_to_decrypt() -> None:
    """Those of the argument; else those that the environment lists."""
    environ = {"ROTAWARE_KMS_ENV": "KEY", "KEY": CIPHERTEXT}

    assert {"KEY": CIPHERTEXT} == configured(environ, {}).ciphertexts
    given = configured(environ, {}, variables={"OTHER": CIPHERTEXT})
    assert {"OTHER": CIPHERTEXT} == given.ciphertexts
    assert [Query.variable("OTHER")] == given.queries
    assert {} == configured(environ, {}, variables={}).ciphertexts
    (problem,) = problems(environ={"ROTAWARE_KMS_ENV": "KEY"})
    assert problem.startswith("ROTAWARE_KMS_ENV: lists KEY")


@pytest.mark.parametrize("text", ["", "no base64!", b"YQ=="])
def test_a_variable_that_holds_no_ciphertext(text: Any) -> None:
    """It is named, with what it has to be."""
    (problem,) = problems(variables={"KEY": text})

    assert "variables: KEY is no KMS ciphertext; give its base64" == problem


def test_nothing_is_fetched_before_a_snapshot() -> None:
    """It would lie in it."""
    environ = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}

    assert [] == configured(environ, {}, secrets=["a"]).queries
    assert [] == configured({}, {"prefetch": False}, secrets=["a"]).queries
