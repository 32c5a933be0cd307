"""A rotation-aware secrets cache for AWS Lambda: what function code imports.

    from rotaware import get_secret

    password = get_secret("prod/db", transform="json")["password"]

Names are loaded when they are first used, so that importing costs nothing.
"""

from __future__ import annotations

# Type checkers take this name for true, wherever it comes from; typing is not free.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from rotaware.client import Client
    from rotaware.errors import (
        AwsError,
        AwsThrottledError,
        AwsTimeoutError,
        AwsUnavailableError,
        ExtensionError,
        RotawareError,
        SettingsError,
        TransformError,
    )
    from rotaware.parameters import (
        get_parameter,
        get_parameters_by_name,
        get_secret,
    )

__all__ = [
    "AwsError",
    "AwsThrottledError",
    "AwsTimeoutError",
    "AwsUnavailableError",
    "Client",
    "ExtensionError",
    "RotawareError",
    "SettingsError",
    "TransformError",
    "get_parameter",
    "get_parameters_by_name",
    "get_secret",
]

_HOMES = {
    "Client": "client",
    "get_parameter": "parameters",
    "get_parameters_by_name": "parameters",
    "get_secret": "parameters",
}


# Checkers shall know no other names than those above.
if not TYPE_CHECKING:  # pragma: no branch

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415  nothing before first use

        home = import_module(f"rotaware.{_HOMES.get(name, 'errors')}")
        value = globals()[name] = getattr(home, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
