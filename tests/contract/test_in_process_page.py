"""What docs/in-process.md shows is what the code takes, and its test is one."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import rotaware
from rotaware.arguments import SETTINGS
from tests.support.stand_in import CREDENTIALS, StandIn

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "in-process.md").read_text(encoding="utf-8")
HEAD = "| argument | default | meaning |\n|---|---|---|\n"
EXAMPLE = 'AWS = "http://127.0.0.1:4566"'
KEYS = '"test", "test"'


def test_the_page_lists_every_argument() -> None:
    """In the order of the signature; a setting with its default and its variable."""
    signature = inspect.signature(rotaware.in_process)
    _, _, rest = PAGE.partition(HEAD)
    rows = [row.split(" | ") for row in rest.partition("\n\n")[0].splitlines()]
    shown = {row[0].strip("| `"): row for row in rows}

    assert list(signature.parameters) == list(shown)
    for name, variable in SETTINGS.items():
        unit = ", in seconds" if variable.name.endswith("_MILLIS") else ""
        default = variable.parse(variable.default or "")
        assert [
            f"| `{name}`",
            f"`{default if default is None else repr(default)}`".replace("None", "0"),
            f"as `{variable.name}`{unit} |",
        ] == shown[name]


def test_the_page_shows_how_to_test(tmp_path: Path) -> None:
    """Its fixture runs, against the stand-in of AWS that is in use here."""
    (block,) = [
        part.partition("```")[0]
        for part in PAGE.split("```python\n")[1:]
        if EXAMPLE in part.partition("```")[0]
    ]
    keys = ", ".join(f'"{value}"' for value in CREDENTIALS.values())

    with StandIn() as aws:
        own = block.replace(EXAMPLE, f'AWS = "{aws.url}"').replace(KEYS, keys)
        (tmp_path / "test_example.py").write_text(own, encoding="utf-8")
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT / "shared")},
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

    assert "1 passed" in run.stdout, run.stdout
