"""Variables and config file together say what to prefetch, or what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension.config import MAX_CONFIG_CHARACTERS, VARIABLES, load
from rotaware.errors import SettingsError
from rotaware.secret import Prefetch, Query
from rotaware.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/var/task/config.yaml"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf"


def file_of(text: str | None, path: str = PATH) -> Callable[[str], str | None]:
    """A reader that finds this text under this path alone."""

    def read_text(asked: str) -> str | None:
        return text if asked == path else None

    return read_text


def problems(environ: dict[str, str], text: str | None = None) -> tuple[str, ...]:
    """What is wrong with these variables and this file."""
    with pytest.raises(SettingsError) as raised:
        load(environ, file_of(text))
    return raised.value.problems


def test_without_file_and_variables_nothing_is_prefetched() -> None:
    """The config file is optional, and so is every variable."""
    config = load({}, file_of(None))

    assert Settings.from_environ({}) == config.settings
    assert () == config.prefetch


def test_secret_variables_name_secrets() -> None:
    """Every ``SECRET_`` variable names one secret, by name or ARN."""
    config = load(
        {"SECRET_DB": ARN, "SECRET_": "prod/api", "SECRETS_MANAGER_TTL": "60"},
        file_of(None),
    )

    assert (
        Prefetch(Query.secret(ARN), None, "SECRET_DB"),
        Prefetch(Query.secret("prod/api"), None, "SECRET_"),
    ) == config.prefetch


def test_what_is_listed() -> None:
    """Secrets as they are written, if their current version is meant."""
    listed = load(
        {"SECRET_DB": ARN, "ROTAWARE_PREFETCH": "off"},
        file_of(
            "secrets: [a, {id: b, stage: AWSPREVIOUS}, {id: c, ttl: 0}]\n"
            "parameters: [/p]"
        ),
    ).listed_secrets

    assert {ARN, "a", "c"} == listed


def test_the_file_lies_where_the_variable_says() -> None:
    """``ROTAWARE_CONFIG`` moves the config file."""
    config = load(
        {"ROTAWARE_CONFIG": "/opt/c.yaml"}, file_of("secrets: [a]", "/opt/c.yaml")
    )

    assert (Prefetch(Query.secret("a")),) == config.prefetch


def test_a_secret_of_variable_and_file_is_fetched_once() -> None:
    """The same secret from both places is one, with what the file says about it."""
    config = load(
        {"SECRET_ONE": "a", "SECRET_TWO": "a", "SECRET_THREE": "b"},
        file_of("secrets: [{id: a, ttl: 60}, c]"),
    )

    assert (
        Prefetch(Query.secret("a"), 60.0),
        Prefetch(Query.secret("b"), None, "SECRET_THREE"),
        Prefetch(Query.secret("c")),
    ) == config.prefetch


def test_the_community_forms_take_the_cache_timeout() -> None:
    """Minutes from ``CACHE_TIMEOUT`` are the TTL of secrets in those forms."""
    config = load(
        {"CACHE_TIMEOUT": "2"}, file_of("CacheManager: [{secrets: [a]}]\nsecrets: [b]")
    )

    assert {"a": 120.0, "b": None} == {
        entry.query.id: entry.ttl_seconds for entry in config.prefetch
    }


@pytest.mark.parametrize(
    ("environ", "ttl_seconds"),
    [
        ({}, 600.0),
        ({"CACHE_TIMEOUT": "10"}, 600.0),
        ({"CACHE_TIMEOUT": "0"}, 0.0),
        ({"CACHE_TIMEOUT": "0.5"}, 30.0),
    ],
)
def test_the_cache_timeout_is_in_minutes(
    environ: dict[str, str], ttl_seconds: float
) -> None:
    """Ten of them, where it is not set."""
    ((_, ttl, _),) = load(environ, file_of("SecretManagers: [{secrets: [a]}]")).prefetch

    assert ttl_seconds == ttl


@pytest.mark.parametrize("text", [None, "secrets: [a]"])
def test_a_foreign_cache_timeout_is_nobodys_business(text: str | None) -> None:
    """Where no community form is used, ``CACHE_TIMEOUT`` may be the function's own."""
    assert load({"CACHE_TIMEOUT": "30s"}, file_of(text))


@pytest.mark.parametrize("minutes", ["30s", ""])
def test_a_wrong_cache_timeout_is_told_once(minutes: str) -> None:
    """However many lists there are whose secrets would live as long."""
    (problem,) = problems(
        {"CACHE_TIMEOUT": minutes},
        "SecretManagers: [{secrets: [a]}]\nCacheManager: [{secrets: [b]}]",
    )

    assert problem.startswith(f"CACHE_TIMEOUT: {minutes!r} is not a number; use minute")


@pytest.mark.parametrize("text", ["hunter2?", "", "a:b"])
def test_the_value_of_a_secret_variable_is_never_quoted(text: str) -> None:
    """A variable that holds something else is refused without showing it."""
    (problem,) = problems({"SECRET_KEY": text})

    assert problem.startswith("SECRET_KEY: is ")
    assert problem.endswith("rename the variable if it is not for rotaware")
    assert "hunter2" not in problem


def test_listed_variables_are_to_be_decrypted() -> None:
    """They are asked for after the secrets; what they hold is no secret's name."""
    config = load(
        {"ROTAWARE_KMS_ENV": "SECRET_KEY,KEY", "KEY": "YQ==", "SECRET_KEY": "YWI="}
        | {"SECRET_DB": "db", "SECRET_KEY_": "key"},
        file_of(None),
    )

    assert {"SECRET_KEY": "YWI=", "KEY": "YQ=="} == config.ciphertexts
    assert [
        Query.secret("db"),
        Query.secret("key"),
        Query.variable("SECRET_KEY"),
        Query.variable("KEY"),
    ] == config.queries


def test_without_a_prefetch_nothing_is_asked_for() -> None:
    """What is listed is then fetched and decrypted when it is read."""
    config = load(
        {"ROTAWARE_KMS_ENV": "KEY", "KEY": "YQ==", "SECRET_DB": "db"}
        | {"ROTAWARE_PREFETCH": "off"},
        file_of(None),
    )

    assert [] == config.queries
    assert {"KEY": "YQ=="} == config.ciphertexts
    assert config.prefetch


def test_problems_of_variables_and_file_come_together() -> None:
    """One error holds what is wrong with settings, all those variables and the file."""
    found = problems(
        {"SECRETS_MANAGER_TTL": "5m", "SECRET_X": "a b", "CACHE_TIMEOUT": "soon"}
        | {"ROTAWARE_KMS_ENV": "UNSET,KEY", "KEY": "plain text"},
        "secrets: [{id: a, ttl: x}]\nCacheManager: [{secrets: [b]}]",
    )

    assert [
        "SECRETS_MANAGER_TTL",
        "ROTAWARE_KMS_ENV",
        "KEY",
        "SECRET_X",
        "CACHE_TIMEOUT",
        PATH,
    ] == [problem.partition(": ")[0] for problem in found]
    assert "secrets[0].ttl (line 1): 'x' is not a number" in found[5]
    assert not any("plain text" in problem for problem in found)


def test_a_wrong_list_of_variables_is_one_problem() -> None:
    """Which variables were meant is not guessed."""
    (problem,) = problems({"ROTAWARE_KMS_ENV": "KEY, ", "KEY": "plain text"})

    assert problem.startswith("ROTAWARE_KMS_ENV: name 2 of 2 is no variable's name")


def test_a_file_at_no_usable_path_is_not_looked_for() -> None:
    """A wrong ``ROTAWARE_CONFIG`` is the one problem then."""

    def read_text(path: str) -> str:
        raise AssertionError(path)

    with pytest.raises(SettingsError) as raised:
        load({"ROTAWARE_CONFIG": "config.yaml"}, read_text)

    assert (
        "ROTAWARE_CONFIG: is no absolute path; start it with /",
    ) == raised.value.problems


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (
            PermissionError(13, "Permission denied"),
            "cannot be read (Permission denied)",
        ),
        (IsADirectoryError(21, "Is a directory"), "cannot be read (Is a directory)"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "is not UTF-8; save it"),
    ],
)
def test_an_unreadable_file_is_a_problem(error: Exception, fault: str) -> None:
    """A file that exists and cannot be read is reported, not skipped."""

    def read_text(path: str) -> str:
        assert path == PATH
        raise error

    with pytest.raises(SettingsError) as raised:
        load({}, read_text)

    assert f"{PATH}: {fault}" in raised.value.problems[0]


def test_a_file_may_be_as_long_as_the_bound() -> None:
    """The bound is on what no config file needs."""
    text = "secrets: [a]\n#"
    longest = text + "x" * (MAX_CONFIG_CHARACTERS - len(text))

    assert load({}, file_of(longest)).prefetch
    assert (f"{PATH}: is longer than 65536 characters; list less",) == problems(
        {}, longest + "x"
    )


def test_the_cache_must_hold_what_is_prefetched() -> None:
    """More to prefetch than the cache holds would be fetched in vain."""
    text = "secrets: [a, b, c]"
    size = "PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE"

    assert load({size: "3"}, file_of(text)).prefetch
    assert load({size: "0"}, file_of(text)).prefetch
    assert load({size: "2", "ROTAWARE_PREFETCH": "off"}, file_of(text)).prefetch
    (problem,) = problems({size: "2"}, text)
    assert problem.startswith(f"{size}: 2 is less than the 3 secrets and parameters")
    assert problem.endswith("; raise it, or list fewer")


@pytest.mark.parametrize("count", [1000, 1001])
def test_a_thousand_are_the_most(count: int) -> None:
    """Variables do not count; who lists more is not told to raise what is highest."""
    environ = {"ROTAWARE_KMS_ENV": "KEY", "KEY": "YQ=="}
    text = f"secrets: [{','.join(f's{number}' for number in range(count))}]"

    if count == 1000:
        assert 1001 == len(load(environ, file_of(text)).queries)
        return
    (problem,) = problems(environ, text)
    assert (
        "PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE: 1000 is less than the 1001 secrets"
        " and parameters to prefetch; list 1000 at most"
    ) == problem


def test_every_variable_is_documented_once() -> None:
    """The table for the README has each name once, and a meaning for it."""
    names = [variable.name for variable in VARIABLES]

    assert len(set(names)) == len(names)
    assert all(variable.meaning for variable in VARIABLES)
    assert {"SECRET_*", "CACHE_TIMEOUT"} < set(names)


@given(
    st.dictionaries(st.text().map("SECRET_".__add__) | st.text(), st.text()),
    st.none() | st.text(),
)
def test_any_variables_and_text_are_read_or_refused(
    environ: dict[str, str], text: str | None
) -> None:
    """Whatever is given, there is a config or a SettingsError."""
    try:
        prefetch = load(environ, lambda _: text).prefetch
    except SettingsError:
        return

    assert len({entry.query for entry in prefetch}) == len(prefetch)
