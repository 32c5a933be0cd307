"""The command-line tool ``rotaware``, for who deploys and operates it.

It is installed by ``pip install 'rotaware[cli]'``, and is in no layer. What decides is
plain functions over facts (``findings``, ``function_findings``, ``comparison``,
``cost``); what asks AWS goes through the same port as the rest of rotaware (``stack``,
``function``, ``truth``); ``commands`` is the composition root.
"""

from __future__ import annotations

import sys

_EXTRA = frozenset({"boto3", "botocore", "click", "rich"})


def main() -> None:
    """Run the command line; what it needs is an extra, which may be missing."""
    try:
        from rotaware.cli.commands import rotaware  # noqa: PLC0415  see above
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        sys.exit(f"rotaware: {package} is missing: pip install 'rotaware[cli]'")
    rotaware()
