"""What was published: a table for a person, JSON for a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.publish.run import Row

_HEAD = ("REGION", "LAYER", "STATE", "ARN")


def table(rows: Iterable[Row]) -> str:
    """The rows in columns."""
    lines = [_HEAD, *(_cells(row) for row in _sorted(rows))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def as_json(rows: Iterable[Row], templates: Mapping[str, str]) -> str:
    """The same, and each Region's packaged template."""
    told = [
        {"region": row.region, "layer": row.layer, "state": row.state, "arn": row.arn}
        for row in _sorted(rows)
    ]
    return json.dumps({"layers": told, "templates": dict(templates)}, indent=2)


def _cells(row: Row) -> tuple[str, str, str, str]:
    return row.region, row.layer, row.state, row.arn or "-"


def _sorted(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.region, row.layer))
