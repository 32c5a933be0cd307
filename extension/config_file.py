"""The config file's text to the secrets and parameters that it lists.

Every fault is collected: path, line, what is wrong, what to do. The file's text is not
quoted, but for malformed numbers and words, and the id that is listed twice.
"""

from __future__ import annotations

from extension.yaml_nodes import Node, YamlError, document_of
from rotaware import parsers
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.secret import AWSPENDING, Prefetch, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

COMMUNITY_FORMS = ("SecretManagers", "CacheManager")
ROOT_KEYS = ("secrets", "parameters", *COMMUNITY_FORMS)


def entries(
    text: str, community_ttl_seconds: Callable[[], float | None]
) -> tuple[list[Prefetch], list[str]]:
    """What the file lists, and what is wrong with it.

    Args:
        text: The file.
        community_ttl_seconds: The TTL of what the community forms list; asked for once
            at most, and only where there is one of them.
    """
    try:
        root = document_of(text)
    except YamlError as error:
        return [], [str(error)]
    reading = _Reading()
    reading.root(root, community_ttl_seconds)
    return reading.listed, reading.faults


class _Reading:
    """Walks the document; collects what it lists and every fault."""

    def __init__(self) -> None:
        self.listed: list[Prefetch] = []
        self.faults: list[str] = []
        self._paths: dict[Query, str] = {}

    def root(
        self, node: Node, community_ttl_seconds: Callable[[], float | None]
    ) -> None:
        """Read the whole document; an empty one lists nothing."""
        if node.content is None:
            return
        lists = self._mapping("top level", node, ROOT_KEYS)
        has_community_form = any(form in lists for form in COMMUNITY_FORMS)
        ttl_seconds = community_ttl_seconds() if has_community_form else None
        for key, child in lists.items():
            if key in COMMUNITY_FORMS:
                self._community(key, child, ttl_seconds)
                continue
            for path, item in self._items(key, child):
                self._entry(path, item, SECRET if key == "secrets" else PARAMETER)

    def _community(self, key: str, node: Node, ttl_seconds: float | None) -> None:
        for group_path, group in self._items(key, node):
            for name, child in self._mapping(group_path, group, ("secrets",)).items():
                for path, item in self._items(f"{group_path}.{name}", child):
                    secret_id = self._parsed(path, item, parsers.resource_id)
                    if secret_id is not None:
                        query = Query.secret(secret_id)
                        self._list(path, item, query, ttl_seconds)

    def _entry(self, path: str, node: Node, form: _Form) -> None:
        """One item of ``secrets:`` or ``parameters:``."""
        faults_before = len(self.faults)
        if isinstance(node.content, dict):
            if form is PARAMETER and "path" in node.content:
                form = PATH
            fields = self._mapping(path, node, tuple(form.parse))
            values = {
                key: self._parsed(f"{path}.{key}", child, form.parse[key])
                for key, child in fields.items()
            }
            if "id" not in fields and form is not PATH:
                lacking = "id and no path" if form is PARAMETER else "id"
                self._fault(path, node, f"has no {lacking}; name what to fetch")
            if "version" in fields and "label" in fields:
                self._fault(path, node, "has both version and label; keep one")
        else:
            values = {"id": self._parsed(path, node, parsers.resource_id)}
        if len(self.faults) == faults_before:
            ttl_seconds = values.pop("ttl", None)
            self._list(path, node, form.query(values), ttl_seconds)

    def _list(
        self, path: str, node: Node, query: Query, ttl_seconds: float | None
    ) -> None:
        first = self._paths.setdefault(query, path)
        if first != path:
            self._fault(
                path, node, f"lists {query.id} again, as {first} does; remove one"
            )
            return
        self.listed.append(Prefetch(query, ttl_seconds))

    def _items(self, path: str, node: Node) -> list[tuple[str, Node]]:
        if isinstance(node.content, list):
            return [(f"{path}[{i}]", item) for i, item in enumerate(node.content)]
        self._fault(path, node, "is not a list; begin each item with a dash")
        return []

    def _mapping(
        self, path: str, node: Node, allowed: tuple[str, ...]
    ) -> dict[str, Node]:
        wanted = ", ".join(allowed)
        if not isinstance(node.content, dict):
            self._fault(path, node, f"has no keys; use {wanted}")
            return {}
        for key, child in node.content.items():
            if key not in allowed:
                shown = parsers.quote(key)
                self._fault(path, child, f"has the unknown key {shown}; use {wanted}")
        return {key: node.content[key] for key in allowed if key in node.content}

    def _parsed(self, path: str, node: Node, parse: Callable[[str], Any]) -> Any:
        if isinstance(node.content, (list, dict)):
            self._fault(path, node, "is not a single value; write one text or number")
            return None
        try:
            return parse(node.content or "")
        except ValueError as error:
            self._fault(path, node, str(error))
            return None

    def _fault(self, path: str, node: Node, fault: str) -> None:
        self.faults.append(f"{path} (line {node.line}): {fault}")


class _Form(NamedTuple):
    """What an item of a list may say, and the query that it makes."""

    parse: Mapping[str, Callable[[str], Any]]
    query: Callable[[Mapping[str, Any]], Query]


def _secret(values: Mapping[str, Any]) -> Query:
    return Query.secret(values["id"], values.get("version"), values.get("stage"))


def _parameter(values: Mapping[str, Any]) -> Query:
    return Query.parameter(
        values["id"],
        values.get("version"),
        values.get("label"),
        decrypt=values.get("decrypt", False),
    )


def _path(values: Mapping[str, Any]) -> Query:
    return Query.path(
        values["path"],
        recursive=values.get("recursive", True),
        decrypt=values.get("decrypt", False),
    )


def _parameter_path(text: str) -> str:
    path = parsers.nonempty(text)
    levels = path.strip("/").split("/")
    if (
        not path.startswith("/")
        or len(path) > parsers.SSM_NAME_LENGTH
        or len(levels) > parsers.SSM_NAME_LEVELS
        or not parsers.SSM_NAME_CHARACTERS.issuperset("".join(levels))
        or "//" in path
    ):
        raise ValueError(
            "is no path of parameters; begin it with / and use levels of letters,"
            " digits, '_', '.' or '-', such as /app/prod/"
        )
    return path


def _stage(text: str) -> str:
    stage = parsers.nonempty(text)
    if stage == AWSPENDING:
        raise ValueError("is never held in memory; remove the entry")
    return stage


SECRET = _Form(
    {
        "id": parsers.resource_id,
        "ttl": parsers.seconds(0),
        "stage": _stage,
        "version": parsers.nonempty,
    },
    _secret,
)
PARAMETER = _Form(
    {
        "id": parsers.resource_id,
        "ttl": parsers.seconds(0),
        "label": parsers.nonempty,
        "version": parsers.version_number,
        "decrypt": parsers.flag("true", "false"),
    },
    _parameter,
)
PATH = _Form(
    {
        "path": _parameter_path,
        "ttl": parsers.seconds(0),
        "recursive": parsers.flag("true", "false"),
        "decrypt": parsers.flag("true", "false"),
    },
    _path,
)
