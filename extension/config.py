"""What the extension is told: its settings, what to prefetch, and what to decrypt.

Secrets to prefetch come from ``SECRET_*`` variables and the optional config file, which
alone brings in a YAML parser; what to decrypt stands in the variables that
``ROTAWARE_KMS_ENV`` lists. Every problem of all four is reported together. The value
of a ``SECRET_*`` variable is never quoted: a function may have put a password there,
thinking of something else.
"""

from __future__ import annotations

from rotaware import parsers
from rotaware.errors import SettingsError
from rotaware.kms import encrypted_variables
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.secret import Prefetch, Query
from rotaware.settings import VARIABLES as SETTINGS_VARIABLES
from rotaware.settings import Settings, Variable, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

SECRET_PREFIX = "SECRET_"  # noqa: S105  the name of a variable
MAX_CONFIG_CHARACTERS = 65_536

SECRETS = Variable(
    f"{SECRET_PREFIX}*",
    "secret_id",
    None,
    "a secret's name or ARN to prefetch; any ending",
    parsers.resource_id,
)
# Not one of the settings: others use the name too, so only those forms look at it.
LISTED_TTL = Variable(
    "CACHE_TIMEOUT",
    "listed_ttl_seconds",
    "10",
    "TTL in minutes of the secrets that the config file lists in the form"
    " `SecretManagers:` or `CacheManager:`",
    parsers.minutes,
)
VARIABLES = (*SETTINGS_VARIABLES, SECRETS, LISTED_TTL)


class Config(NamedTuple):
    """The settings, and what to fetch at start, each thing once.

    Attributes:
        settings: The settings.
        prefetch: Secrets and parameters to fetch.
        ciphertexts: Variables to decrypt, by name: what they hold.
    """

    settings: Settings
    prefetch: tuple[Prefetch, ...]
    ciphertexts: dict[str, str]

    @property
    def queries(self) -> list[Query]:
        """What to ask AWS for at start."""
        if not self.settings.prefetch:
            return []
        listed = [entry.query for entry in self.prefetch]
        return [*listed, *map(Query.variable, self.ciphertexts)]

    @property
    def listed_secrets(self) -> frozenset[str]:
        """The secrets whose current version is listed, by name or ARN as written."""
        queries = [entry.query for entry in self.prefetch]
        return frozenset(
            query.id for query in queries if query == Query.secret(query.id)
        )


def load(environ: Mapping[str, str], read_text: Callable[[str], str | None]) -> Config:
    """Read variables and config file; raise SettingsError with every problem.

    Args:
        environ: The environment variables.
        read_text: Reads a file; None when it does not exist. It may stop after more
            than ``MAX_CONFIG_CHARACTERS``. Its OSError and UnicodeError are reported.
    """
    values, problems = parsed(environ)
    encrypted = values.get("kms_env") or ()
    ciphertexts, faults = encrypted_variables(environ, encrypted)
    problems += faults
    found: dict[Query, Prefetch] = {}
    for entry in _from_variables(environ, encrypted, problems):
        found.setdefault(entry.query, entry)
    if "config_path" in values:
        # The file says more about a secret than a variable can, such as its TTL.
        for entry in _from_file(values["config_path"], environ, read_text, problems):
            found[entry.query] = entry
    if problems:
        raise SettingsError(problems)
    settings = Settings.from_parsed(values)
    if settings.prefetch and len(found) > settings.cache_size:
        fix = "raise it, or list fewer"
        if len(found) > parsers.MAX_CACHE_SIZE:
            fix = f"list {parsers.MAX_CACHE_SIZE} at most"
        problem = (
            f"PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE: {settings.cache_size} is less"
            f" than the {len(found)} secrets and parameters to prefetch; {fix}"
        )
        raise SettingsError([problem])
    return Config(settings, tuple(found.values()), ciphertexts)


def _from_variables(
    environ: Mapping[str, str], encrypted: Collection[str], problems: list[str]
) -> list[Prefetch]:
    entries = []
    for name, text in environ.items():
        # A secret itself, encrypted, is no secret's name.
        if not name.startswith(SECRET_PREFIX) or name in encrypted:
            continue
        shown = parsers.shown_name(name)
        try:
            query = Query.secret(SECRETS.parse(text))
        except ValueError as error:
            problems.append(
                f"{shown}: {error}, or rename the variable if it is not for rotaware"
            )
        else:
            entries.append(Prefetch(query, None, shown))
    return entries


def _from_file(
    path: str,
    environ: Mapping[str, str],
    read_text: Callable[[str], str | None],
    problems: list[str],
) -> list[Prefetch]:
    try:
        text = read_text(path)
    except UnicodeError:
        problems.append(f"{path}: is not UTF-8; save it as UTF-8")
        return []
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror}); make it readable")
        return []
    if text is None:
        return []
    if len(text) > MAX_CONFIG_CHARACTERS:
        problems.append(
            f"{path}: is longer than {MAX_CONFIG_CHARACTERS} characters; list less"
        )
        return []
    from extension.config_file import entries  # noqa: PLC0415  loads the YAML parser

    listed, faults = entries(text, lambda: _listed_ttl_seconds(environ, problems))
    problems += [f"{path}: {fault}" for fault in faults]
    return listed


def _listed_ttl_seconds(
    environ: Mapping[str, str], problems: list[str]
) -> float | None:
    try:
        ttl_seconds: float = LISTED_TTL.value(environ)
    except ValueError as error:
        problems.append(f"{LISTED_TTL.name}: {error}")
        return None
    return ttl_seconds
