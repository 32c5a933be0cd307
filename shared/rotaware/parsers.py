"""From text to value, for environment variables and the config file.

Each parser returns the value, or raises ValueError with the fault and the fix, joined
by a semicolon. Only malformed numbers and words are quoted, and cut short: a setting
may hold anything, also a secret that was put in the wrong place.
"""

from __future__ import annotations

from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

YEAR_SECONDS = 31_536_000
MAX_CACHE_SIZE = 1000
RESERVED_PORT = 9001  # Lambda's own Runtime API
QUOTED_CHARACTERS = 20
NAMED_CHARACTERS = 64
SSM_NAME_CHARACTERS = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
)
# Users choose all but "!", which AWS puts into the names of secrets that it manages.
SECRET_NAME_CHARACTERS = SSM_NAME_CHARACTERS.union("/+=@!")
ID_LENGTH = 2048
NAMESPACE_LENGTH = 128
SSM_NAME_LENGTH = 1011
SSM_NAME_LEVELS = 15
DYNAMODB_SCHEME = "dynamodb://"
TABLE_NAME_LENGTHS = 3, 255

# What Lambda, the AWS extension and Powertools call a level.
LOG_LEVELS = {
    "TRACE": "DEBUG",
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "INFORMATION": "INFO",
    "WARN": "WARNING",
    "WARNING": "WARNING",
    "ERROR": "ERROR",
    "CRITICAL": "NONE",  # rotaware logs nothing above ERROR
    "FATAL": "NONE",
    "SILENT": "NONE",
    "OFF": "NONE",
    "NONE": "NONE",
}


def quote(text: str) -> str:
    """A malformed number or word as a message shows it: printable and short."""
    cut = "..." if len(text) > QUOTED_CHARACTERS else ""
    return f"{text[:QUOTED_CHARACTERS]!a}{cut}"


def shown_name(name: str) -> str:
    """A variable's name as a message shows it: printable and not too long."""
    cut = name[:NAMED_CHARACTERS]
    return cut if cut.isascii() and cut.isprintable() else ascii(cut)


def number(
    text: str, minimum: float, maximum: float = YEAR_SECONDS, unit: str = "seconds"
) -> float:
    """A decimal number of a unit; no sign, no exponent, no suffix."""
    text = text.strip()
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        raise ValueError(
            f"{quote(text)} is not a number; use {unit} from {minimum} to {maximum}"
        )
    value = float(text)
    if not minimum <= value <= maximum:
        raise ValueError(
            f"{quote(text)} is out of range; use {unit} from {minimum} to {maximum}"
        )
    return value


def seconds(minimum: float) -> Callable[[str], float]:
    """A parser of seconds from the minimum to a year."""
    return lambda text: number(text, minimum)


def minutes(text: str) -> float:
    """Minutes, as seconds."""
    return 60 * number(text, 0, YEAR_SECONDS // 60, "minutes")


def whole(minimum: int, maximum: int) -> Callable[[str], int]:
    """A parser of whole numbers in the range."""

    def parse(text: str) -> int:
        text = text.strip()
        # A length bound first: int() refuses thousands of digits with other words.
        in_range = (
            text.isascii()
            and text.isdigit()
            and len(text) <= QUOTED_CHARACTERS
            and minimum <= int(text) <= maximum
        )
        if not in_range:
            raise ValueError(
                f"{quote(text)} is not a whole number from {minimum} to {maximum};"
                " use one"
            )
        return int(text)

    return parse


def version_number(text: str) -> str:
    """A parameter's version, as the text that queries hold."""
    return str(whole(1, 10**12)(text))


def port(text: str) -> int:
    """A port that the extension may listen on."""
    value = whole(1, 65535)(text)
    if value == RESERVED_PORT:
        raise ValueError(f"{RESERVED_PORT} is reserved by Lambda; use another port")
    return value


def ports(text: str) -> tuple[int, ...]:
    """Ports that the extension may listen on besides, each once."""
    listed = tuple(port(part) for part in nonempty(text).split(","))
    for value in listed:
        if listed.count(value) > 1:
            raise ValueError(f"{value} is listed twice; list it once")
    return listed


def timeout(text: str) -> float | None:
    """Milliseconds as seconds; None, no timeout, for 0."""
    return whole(0, YEAR_SECONDS * 1000)(text) / 1000 or None


def flag(true: str, false: str) -> Callable[[str], bool]:
    """A parser of two words, in any case."""

    def parse(text: str) -> bool:
        word = text.strip().lower()
        if word not in (true.lower(), false.lower()):
            raise ValueError(f"{quote(text)} is neither; use {true} or {false}")
        return word == true.lower()

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """A parser of these words, in any case."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError(f"{quote(text)} is none; use {' or '.join(words)}")
        return word

    return parse


def log_level(text: str) -> str:
    """A level, as a key of ``log.LEVELS``."""
    level = LOG_LEVELS.get(text.strip().upper())
    if level is None:
        raise ValueError(
            f"{quote(text)} is no level; use debug, info, warn, error or none"
        )
    return level


def lambda_log_level(text: str) -> str | None:
    """The same; None for an unknown one."""
    # Lambda writes this one; a level that it invents must not stop the function.
    return LOG_LEVELS.get(text.upper())


def powertools_log_level(text: str) -> str:
    """The same; INFO, Powertools' default, for an unknown one or a blank."""
    # The function's own variable: a word for its logger must not stop it.
    return LOG_LEVELS.get(text.strip().upper(), "INFO")


def nonempty(text: str) -> str:
    """Any text but blanks."""
    if not text.strip():
        raise ValueError("is empty; give it a value, or remove it")
    return text.strip()


def or_default(parse: Callable[[str], T], default: str) -> Callable[[str], T]:
    """A parser that takes a blank text for the default, as Powertools does."""
    return lambda text: parse(text if text.strip() else default)


def path(text: str) -> str:
    """An absolute path."""
    value = nonempty(text)
    if not value.startswith("/") or "\0" in value:
        raise ValueError("is no absolute path; start it with /")
    return value


def namespace(text: str) -> str:
    """A word that can stand in a parameter's name."""
    if len(text) > NAMESPACE_LENGTH or not _is_ssm_word(text):
        raise ValueError(
            f"must be 1 to {NAMESPACE_LENGTH} letters, digits, '_', '.' or '-';"
            " other characters cannot stand in a parameter's name"
        )
    return text


def stamps(text: str) -> str:
    """``off``, ``ssm``, the parameter's name, or ``dynamodb://`` and the table's."""
    word = text.strip()
    if word.lower() in ("off", "ssm"):
        return word.lower()
    if word.startswith(DYNAMODB_SCHEME):
        return _dynamodb_table(word)
    if not word.startswith("ssm:///"):
        raise ValueError(
            "names no stamp sheet; use ssm, ssm:///a/name, dynamodb://table or off"
        )
    name = word.removeprefix("ssm://")
    levels = name[1:].split("/")
    reserved = levels[0].lower().startswith(("aws", "ssm"))
    if (
        reserved
        or len(levels) > SSM_NAME_LEVELS
        or len(name) > SSM_NAME_LENGTH
        or not all(map(_is_ssm_word, levels))
    ):
        raise ValueError(
            "Parameter Store refuses such a name; use levels of letters, digits, '_',"
            " '.' or '-' that do not begin with aws or ssm, such as ssm:///team/stamps"
        )
    return name


def _dynamodb_table(word: str) -> str:
    table = word.removeprefix(DYNAMODB_SCHEME)
    shortest, longest = TABLE_NAME_LENGTHS
    if not shortest <= len(table) <= longest or not _is_ssm_word(table):
        raise ValueError(
            f"names no table; after dynamodb:// use its name, {shortest} to {longest}"
            " letters, digits, '_', '.' or '-', no ARN; ROTAWARE_NAMESPACE names the"
            " item"
        )
    return word


def variable_names(text: str) -> tuple[str, ...]:
    """Names of environment variables, each once; what is none is never quoted."""
    names = tuple(name.strip() for name in nonempty(text).split(","))
    for index, name in enumerate(names):
        place = f"name {index + 1} of {len(names)}"
        if not name.isascii() or not name.isidentifier():
            raise ValueError(
                f"{place} is no variable's name; list names of letters, digits and '_',"
                " with commas between"
            )
        if name in names[:index]:
            raise ValueError(f"{place} is there before; list it once")
    return names


def _is_ssm_word(text: str) -> bool:
    return bool(text) and SSM_NAME_CHARACTERS.issuperset(text)


def resource_id(text: str) -> str:
    """A secret's or parameter's name or ARN; its text is never quoted."""
    value = nonempty(text)
    colon = ":" if value.startswith("arn:") else ""
    word = value.replace(colon, "")
    # A parameter's name has no characters but those that a secret's may have.
    if len(value) > ID_LENGTH or not SECRET_NAME_CHARACTERS.issuperset(word):
        raise ValueError(
            "is no name or ARN; use letters, digits and the characters /_+=.@!-"
        )
    return value
