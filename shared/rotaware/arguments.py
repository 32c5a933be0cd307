"""What ``rotaware.in_process`` is told: arguments, before the environment. Pure.

An argument has the name of a setting's field, and wins over the setting's variable.
Every problem of both is reported together, by the name that the caller used. Values are
quoted as for variables: malformed numbers and words, cut short, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rotaware import parsers
from rotaware.errors import SettingsError
from rotaware.kms import encrypted_variables
from rotaware.secret import AWSPENDING, Prefetch, Query
from rotaware.settings import VARIABLES, Settings, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    Listed: TypeAlias = Iterable[str] | Mapping[str, Mapping[str, Any] | None]


def _seconds_or_none(text: str) -> float | None:
    return parsers.number(text, 0) or None


def _truth(text: str) -> bool:
    return parsers.flag("True", "False")(text)


# Those whose variables have another unit, or other words.
_OWN_PARSERS: dict[str, Callable[[str], Any]] = {
    "cache_enabled": _truth,
    "prefetch": _truth,
    "secrets_timeout_seconds": _seconds_or_none,
    "parameters_timeout_seconds": _seconds_or_none,
}
NOT_ARGUMENTS = frozenset(
    {
        "config_path",
        "dialect",
        "fallback",
        "initialization_type",
        "kms_env",
        "lambda_log_level",
        "legacy_ports",
        "log_level",
        "metrics",
        "metrics_namespace",
        "port",
        "powertools_log_level",
        "service",
        "token_file",
    }
)
"""Settings of the layer's process alone, or of those who read its port."""
SETTINGS = {
    variable.field: variable
    for variable in VARIABLES
    if variable.field not in NOT_ARGUMENTS
}
"""What can be an argument, by its name."""


class Config(NamedTuple):
    """The settings, and what to fetch at start, each thing once.

    Attributes:
        settings: The settings.
        prefetch: Secrets and parameters to fetch.
        ciphertexts: Variables to decrypt, by name: what they hold.
    """

    settings: Settings
    prefetch: tuple[Prefetch, ...]
    ciphertexts: Mapping[str, str]

    @property
    def queries(self) -> list[Query]:
        """What to ask AWS for at start."""
        # What is fetched before a snapshot would lie in it.
        if not self.settings.prefetch or self.settings.snap_start:
            return []
        listed = [entry.query for entry in self.prefetch]
        return [*listed, *map(Query.variable, self.ciphertexts)]


def configured(
    environ: Mapping[str, str],
    arguments: Mapping[str, Any],
    *,
    secrets: Listed = (),
    parameters: Listed = (),
    variables: Mapping[str, str] | None = None,
) -> Config:
    """All of it together.

    Args:
        environ: The environment variables.
        arguments: Settings, by their names in ``SETTINGS``; None for what is not given.
        secrets: Names or ARNs to fetch at start; a mapping gives each its options.
        parameters: Likewise.
        variables: KMS ciphertext by name, instead of that in the environment.

    Raises:
        SettingsError: With every problem.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    overridden = {SETTINGS[name].name for name in given}
    rest = {name: text for name, text in environ.items() if name not in overridden}
    values, problems = parsed(rest)
    for name, value in given.items():
        parse = _OWN_PARSERS.get(name, SETTINGS[name].parse)
        try:
            values[name] = parse(_text(value))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    prefetch = [
        *_listed("secrets", secrets, _SECRET, problems),
        *_listed("parameters", parameters, _PARAMETER, problems),
    ]
    ciphertexts = _ciphertexts(
        environ, values.get("kms_env") or (), variables, problems
    )
    if problems:
        raise SettingsError(problems)
    settings = Settings.from_parsed(values)
    if settings.prefetch and len(prefetch) > settings.cache_size:
        problem = (
            f"cache_size: {settings.cache_size} is less than the {len(prefetch)}"
            " secrets and parameters to prefetch; raise it, or list fewer"
        )
        raise SettingsError([problem])
    return Config(settings, tuple(prefetch), ciphertexts)


def _text(value: object) -> str:
    """What stands in a variable for it."""
    if isinstance(value, float):
        return f"{value:f}".rstrip("0").rstrip(".")  # without an exponent
    return str(value)


def _ciphertexts(
    environ: Mapping[str, str],
    listed: Iterable[str],
    variables: Mapping[str, object] | None,
    problems: list[str],
) -> Mapping[str, str]:
    if variables is None:
        ciphertexts, faults = encrypted_variables(environ, listed)
        problems += faults
        return ciphertexts
    usable: dict[str, str] = {}
    for name, text in variables.items():
        held = {name: text if isinstance(text, str) else ""}
        found, faults = encrypted_variables(held, held)
        if faults:
            shown = parsers.shown_name(name)
            problems.append(f"variables: {shown} is no KMS ciphertext; give its base64")
        usable |= found
    return usable


class _Form(NamedTuple):
    """What an entry of a list may say, and the query that it makes."""

    parse: Mapping[str, Callable[[str], Any]]
    query: Callable[[str, Mapping[str, Any]], Query]


def _stage(text: str) -> str:
    stage = parsers.nonempty(text)
    if stage == AWSPENDING:
        raise ValueError("AWSPENDING is never held in memory; remove the entry")
    return stage


_SECRET = _Form(
    {"ttl_seconds": parsers.seconds(0), "version_stage": _stage},
    lambda name, options: Query.secret(name, stage=options.get("version_stage")),
)
_PARAMETER = _Form(
    {"ttl_seconds": parsers.seconds(0), "decrypt": _truth},
    lambda name, options: Query.parameter(name, decrypt=options.get("decrypt", False)),
)


def _listed(
    argument: str, listed: Listed, form: _Form, problems: list[str]
) -> list[Prefetch]:
    """The entries of one list."""
    if isinstance(listed, str):
        problems.append(f"{argument}: is a single text; give a list of names")
        return []
    entries: dict[Query, Prefetch] = {}
    for number, name in enumerate(listed):
        place = f"{argument}[{number}]"
        options = (listed[name] if isinstance(listed, Mapping) else None) or {}
        faults = [*_faults_of_name(name), *_faults_of_options(options, form)]
        problems += [f"{place}: {fault}" for fault in faults]
        if not faults:
            values = {key: form.parse[key](_text(options[key])) for key in options}
            query = form.query(name, values)
            entries[query] = Prefetch(query, values.get("ttl_seconds"))
    return list(entries.values())


def _faults_of_name(name: object) -> list[str]:
    try:
        parsers.resource_id(name if isinstance(name, str) else "")
    except ValueError as error:
        return [str(error)]
    return []


def _faults_of_options(options: Mapping[str, Any], form: _Form) -> list[str]:
    faults = []
    for key, value in options.items():
        if key not in form.parse:
            known = ", ".join(form.parse)
            faults.append(f"has no option {parsers.quote(str(key))}; use {known}")
            continue
        try:
            form.parse[key](_text(value))
        except ValueError as error:
            faults.append(f"{key}: {error}")
    return faults
