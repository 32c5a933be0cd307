"""Sources without what the interpreter does not need, line for line.

Comments go, and docstrings become empty, so that a small layer stays small; every
statement keeps its line, so that tracebacks and log lines still point to the source.
"""

from __future__ import annotations

import ast
import io
import tokenize

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def strip(source: str) -> str:
    """The same program, smaller."""
    return _without_docstrings(_without_comments(source))


def _without_comments(source: str) -> str:
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return "\n".join(lines) + "\n"


def _without_docstrings(source: str) -> str:
    # The parser counts columns in bytes.
    lines = source.encode().splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            text = node.body[0]
            first, last = text.lineno - 1, (text.end_lineno or text.lineno) - 1
            rest = lines[last][text.end_col_offset :]
            lines[first] = lines[first][: text.col_offset] + b'""' + rest
            for row in range(first + 1, last + 1):
                lines[row] = b""
    return (b"\n".join(lines) + b"\n").decode()
