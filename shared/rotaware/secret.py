"""What is asked for, and what came back.

A ``Query`` names a secret, parameter, path or variable and is its own cache key. A
``Value`` holds the payload and cannot be printed, formatted, compared or pickled by
accident: only ``reveal()`` gives it away.
"""

from __future__ import annotations

from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

AWSCURRENT = "AWSCURRENT"
AWSPENDING = "AWSPENDING"
SECRETS_MANAGER = "secretsmanager"
PARAMETER_STORE = "ssm"
KMS = "kms"
DYNAMODB = "dynamodb"
ARN_SUFFIX_LENGTH = len("-a1b2c3")
"""Of what Secrets Manager appends to a secret's name in its ARN."""

_ARN_COLONS = 5


class Query(NamedTuple):
    """One secret, parameter, path of parameters or variable, as a caller asks for it.

    Attributes:
        service: ``secretsmanager``, ``ssm`` or ``kms``.
        id: Name or ARN; the name of a variable that KMS encrypted; a path, which has
            no slash behind it.
        version: A secret's version id, or a parameter's version number; None for the
            version that ``label`` is on.
        label: A secret's version stage, or a parameter's label.
        decrypt: Whether a SecureString comes back decrypted; True for secrets.
        recursive: Of a path, whether the levels below its own count too; None for
            everything else.
    """

    service: str
    id: str
    version: str | None = None
    label: str | None = None
    decrypt: bool = True
    recursive: bool | None = None

    @classmethod
    def secret(
        cls, secret_id: str, version_id: str | None = None, stage: str | None = None
    ) -> Query:
        """A secret; without version and stage, the one labelled AWSCURRENT."""
        if version_id is None and stage is None:
            stage = AWSCURRENT
        return cls(SECRETS_MANAGER, secret_id, version_id, stage)

    @classmethod
    def parameter(
        cls,
        name: str,
        version: str | None = None,
        label: str | None = None,
        *,
        decrypt: bool = False,
    ) -> Query:
        """A parameter; without version and label, its latest version.

        The name may bring one of them along, as in ``name:3`` or ``name:label``.
        """
        if not (version or label):
            name, version, label = _without_selector(name)
        return cls(PARAMETER_STORE, name, version, label, decrypt)

    @classmethod
    def path(cls, path: str, *, recursive: bool = True, decrypt: bool = False) -> Query:
        """All parameters under a path."""
        bare = path.rstrip("/") or "/"
        return cls(PARAMETER_STORE, bare, decrypt=decrypt, recursive=recursive)

    @classmethod
    def variable(cls, name: str) -> Query:
        """An environment variable that holds KMS ciphertext."""
        return cls(KMS, name)

    @property
    def is_path(self) -> bool:
        """Whether it asks for many parameters at once."""
        return self.recursive is not None

    def covers(self, other: Query) -> bool:
        """Whether what is asked for under this path answers the other query."""
        path = self.id.rstrip("/") + "/"
        return (
            self.is_path
            and other == Query.parameter(other.id, decrypt=self.decrypt)
            and other.id.startswith(path)
            and (self.recursive is True or "/" not in other.id[len(path) :])
        )


class Prefetch(NamedTuple):
    """One secret or parameter to fetch at start.

    Attributes:
        query: What to fetch.
        ttl_seconds: Its own TTL; None for the service's.
        variable: The environment variable that named it, if one did. The log names
            this instead: what stood in a variable may be a misplaced password.
    """

    query: Query
    ttl_seconds: float | None = None
    variable: str | None = None


class Value:
    """A payload that cannot be printed.

    Args:
        document: The AWS answer, in the shape that the local port serves: dates as
            ISO 8601 text, absent fields as None.
    """

    __slots__ = ("_document",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def reveal(self) -> Mapping[str, Any]:
        """The AWS answer, secret fields included."""
        return self._document

    def __repr__(self) -> str:
        return "<secret value, hidden>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret value cannot be pickled or copied")


class Fetched(NamedTuple):
    """What a source answered.

    Attributes:
        value: The payload.
        arn: The ARN that AWS answered with.
        subject: The name under which the stamp sheet would know it (see ``sheet``);
            None for what no stamp outdates, such as a fixed version.
        version: The version id, or the parameter's version number.
        current: Whether the stamp speaks of this very version; not so for labels other
            than AWSCURRENT, which may move whenever the current version changes.
        created: When this version was made (epoch seconds); 0 where that is not known.
        members: Under a path, the parameters that stand there; None for what is none.
        brought: What came with that list, one for each of them; empty where it has
            been taken out, to be held under their own names.
    """

    value: Value
    arn: str
    subject: str | None
    version: str
    current: bool = True
    created: float = 0.0
    members: tuple[Query, ...] | None = None
    brought: tuple[Fetched, ...] = ()


def _without_selector(name: str) -> tuple[str, str | None, str | None]:
    """A parameter's name, and the version or label behind it.

    A name that AWS would refuse stays as it is.
    """
    bare, _, selector = name.rpartition(":")
    colons = _ARN_COLONS if bare.startswith("arn:") else 0
    if not bare or not selector or bare.count(":") != colons:
        return name, None, None
    # No label begins with a digit, but a secret's version id may.
    return (bare, selector, None) if selector.isdigit() else (bare, None, selector)
