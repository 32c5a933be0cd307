"""A rotation-aware secrets cache for AWS Lambda: what function code imports.

    from rotaware import get_secret

    password = get_secret("prod/db", transform="json")["password"]

Names are loaded when they are first used, so that importing costs nothing.
"""

from __future__ import annotations

# Type checkers take this name for true, wherever it comes from; typing is not free.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from rotaware.answers import Secret
    from rotaware.client import Client
    from rotaware.errors import (
        AwsError,
        AwsThrottledError,
        AwsTimeoutError,
        AwsUnavailableError,
        ExtensionError,
        NobodyListensError,
        RotawareError,
        SettingsError,
        TransformError,
    )
    from rotaware.own_process import in_process
    from rotaware.parameters import (
        get_parameter,
        get_parameters,
        get_parameters_by_name,
        get_secret,
        get_secrets_by_name,
        get_variable,
        read_secret,
        use,
    )
    from rotaware.rotation import stamp

__all__ = [
    "AwsError",
    "AwsThrottledError",
    "AwsTimeoutError",
    "AwsUnavailableError",
    "Client",
    "ExtensionError",
    "NobodyListensError",
    "RotawareError",
    "Secret",
    "SettingsError",
    "TransformError",
    "get_parameter",
    "get_parameters",
    "get_parameters_by_name",
    "get_secret",
    "get_secrets_by_name",
    "get_variable",
    "in_process",
    "read_secret",
    "stamp",
    "use",
]

_HOMES = {
    "Client": "client",
    "Secret": "answers",
    "get_parameter": "parameters",
    "get_parameters": "parameters",
    "get_parameters_by_name": "parameters",
    "get_secret": "parameters",
    "get_secrets_by_name": "parameters",
    "get_variable": "parameters",
    "in_process": "own_process",
    "read_secret": "parameters",
    "stamp": "rotation",
    "use": "parameters",
}


# Checkers shall know no other names than those above.
if not TYPE_CHECKING:  # pragma: no branch

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # importlib, which would do the same, is an import of its own.
        home = __import__(f"rotaware.{_HOMES.get(name, 'errors')}", fromlist=(name,))
        value = globals()[name] = getattr(home, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
