"""Every block of code on every page: run by a test, or checked here as far as it goes.

``RUN_BY`` names the test that runs the blocks of a kind on a page, or compares them
with what they quote. All others have to be of a kind that is checked here: Python
compiles and imports what is there, documents can be read, commands exist with their
options, as do the parameters that they give to a template.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import itertools
import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from awscli.clidriver import create_clidriver
from samtranslator.yaml_helper import yaml_parse

from rotaware.cli.commands import rotaware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
FENCE = re.compile(r"^( *)(```+|~~~+)(.*)\n((?:.*\n)*?)\1\2 *$", re.MULTILINE)
COMING_FROM = "tests/examples/test_coming_from.py"
RUN_BY = {
    ("README.md", "mermaid"): None,  # a drawing
    ("README.md", "text"): None,  # what `make demo` printed
    ("README.md", "json"): "tests/contract/test_docs.py",
    ("README.md", "yaml"): "tests/contract/test_docs.py",
    ("docs/coming-from/aws-extension.md", "diff"): COMING_FROM,
    ("docs/coming-from/go-secret-cache.md", "diff"): COMING_FROM,
    ("docs/coming-from/node-secrets-cache.md", "diff"): COMING_FROM,
    ("docs/coming-from/powertools.md", "diff"): COMING_FROM,
    ("docs/coming-from/secrets-manager-agent.md", "diff"): COMING_FROM,
    ("docs/command-line.md", "console"): "tests/cli/test_page.py",
    ("docs/command-line.md", "python"): "tests/cli/test_page.py",
    ("docs/databases.md", "python"): "tests/contract/test_databases_page.py",
    ("docs/deploy.md", "json"): "tests/infra/test_template_page.py",
    ("docs/in-process.md", "python"): "tests/contract/test_in_process_page.py",
    ("docs/library.md", "python"): "tests/contract/test_library_page.py",
    ("docs/library.md", "text"): "tests/contract/test_library_page.py",
    ("docs/operations.md", "text"): None,  # for CloudWatch alone to read
    ("docs/publish.md", "json"): "tests/infra/test_publish.py",
    ("docs/publish.md", "text"): "tests/infra/test_publish_run.py",
    ("docs/quick-start.md", "sh"): "tests/site/test_quick_start.py",
    ("docs/rotation.md", "json"): "tests/contract/test_stamping.py",
    ("docs/settings.md", "yaml"): "tests/contract/test_docs.py",
    ("docs/sheet.md", "json"): "tests/contract/test_sheet_in_dynamodb.py",
}
SAM_OPTIONS = {
    "--capabilities",
    "--guided",
    "--parameter-overrides",
    "--resolve-s3",
    "--stack-name",
    "--template",
}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"(?m)^([a-z0-9-]+):", MAKEFILE))
VARIABLES = set(re.findall(r"\$[({](?:\w+ )?([A-Z_]+)", MAKEFILE))


class Block(NamedTuple):
    """One fenced block.

    Attributes:
        page: Its page, from the repository's root.
        kind: The word behind the fence.
        text: What is in it.
    """

    page: str
    kind: str
    text: str


def blocks() -> Iterator[Block]:
    """All of them."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(ROOT).as_posix()
        for _, _, words, inside in FENCE.findall(text):
            yield Block(name, (words.split() or [""])[0], inside)


CLI: Any = create_clidriver()
# Found once, its data is not looked for again. The variable that says where it lies
# would change how boto3 behaves in every other test.
CLI._get_command_table()
os.environ.pop("AWS_DATA_PATH", None)
BLOCKS = list(blocks())
IDS = [f"{number}-{block.page}-{block.kind}" for number, block in enumerate(BLOCKS)]


def check_python(text: str) -> None:
    """It compiles, and what it imports is there with the names that it takes."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for name in node.names:
                assert importlib.util.find_spec(name.name), name.name
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                assert hasattr(module, name.name) or importlib.util.find_spec(inner)


def check_shell(text: str) -> None:
    """Each command is one that there is, and takes its options."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        if words:
            COMMANDS[words[0]](words[1:])


def check_make(words: list[str]) -> None:
    """The targets and variables are the Makefile's."""
    for word in words:
        name, sign, _ = word.partition("=")
        assert name in (VARIABLES if sign else TARGETS), word


def check_aws(words: list[str]) -> None:
    """AWS's command line knows the command, and each option of it."""
    command: Any = None
    table: Any = CLI._get_command_table()
    options = {"--region", "--query", "--output"}
    depth = 0
    while depth < len(words) and words[depth] in table:
        command = table[words[depth]]
        table = command._get_command_table() if depth == 0 else {}
        depth += 1
    options |= {f"--{name}" for name in command.arg_table}

    assert 2 == depth, words
    assert set() == set(options_in(words)) - options

    check_template(words, "--template-file")


def check_sam(words: list[str]) -> None:
    """A template that is here, by options that SAM has."""
    assert words[0] in {"build", "deploy"}
    assert set() == set(options_in(words)) - SAM_OPTIONS

    check_template(words, "--template")


def check_template(words: list[str], option: str) -> None:
    """It is there, or is made from the one that is; so are its parameters."""
    if option not in words:
        return
    name = words[words.index(option) + 1]
    made = name.startswith("build/packaged")
    template = yaml_parse(
        (ROOT / ("infra/template.yaml" if made else name)).read_text()
    )
    given = {
        word.partition("=")[0] for word in words if re.match(r"[A-Z][A-Za-z]+=", word)
    }

    assert set() == given - set(template.get("Parameters", {}))


def options_in(words: list[str]) -> list[str]:
    """The words that are options."""
    return [word.partition("=")[0] for word in words if word.startswith("--")]


def check_rotaware(words: list[str]) -> None:
    """One of its commands."""
    assert words[0] in {*rotaware.commands, "--help"}


def check_program(words: list[str]) -> None:
    """A program of this repository or of every machine; what it names is there."""
    for word in words:
        if word.startswith(("tests/", "examples/", "infra/")):
            assert (ROOT / word).exists(), word


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "aws": check_aws,
    "sam": check_sam,
    "rotaware": check_rotaware,
    "pip": check_program,
    "curl": check_program,
    ".venv/bin/python": check_program,
    "python3": check_program,
}
CHECKS: dict[str, Callable[[str], object]] = {
    "python": check_python,
    "sh": check_shell,
    "json": json.loads,
    "yaml": yaml_parse,
}


@pytest.mark.parametrize("block", BLOCKS, ids=IDS)
def test_every_block_is_run_or_checked(block: Block) -> None:
    """Whoever writes a block of another kind says by which test it is run."""
    if (block.page, block.kind) not in RUN_BY:
        assert block.kind in CHECKS, f"add {block[:2]} to RUN_BY"
    if block.page != "docs/quick-start.md" and block.kind in CHECKS:
        CHECKS[block.kind](block.text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("python", "from rotaware import get_secrte"),
        ("python", "import rotawear"),
        ("python", "def handler("),
        ("sh", "make laier"),
        ("sh", "make publish REGION=eu-west-1"),
        ("sh", "aws kms encrpyt --key-id alias/app"),
        ("sh", "aws kms encrypt \\\n  --keyid alias/app"),
        ("sh", "aws cloudformation deploy --template-file infra/layers.yaml"),
        ("sh", "sam deploy --template infra/template.yaml --wrong"),
        (
            "sh",
            "sam deploy --template infra/template.yaml --parameter-overrides Stamp=ssm",
        ),
        ("sh", "rotaware docter"),
        ("sh", "A=1 .venv/bin/python -m pytest tests/nowhere"),
        ("sh", "unknown command"),
        ("json", "{'a': 1}"),
        ("yaml", "a: [b"),
    ],
)
def test_mistakes_are_found(kind: str, text: str) -> None:
    """Each is of a kind that a page could have."""
    with pytest.raises(Exception):  # noqa: B017, PT011  each check has its own
        CHECKS[kind](text)


def test_the_tests_that_are_named_speak_of_the_page() -> None:
    """Each is there, names its page, and has blocks to run."""
    there = {(block.page, block.kind) for block in BLOCKS}

    assert set() == set(RUN_BY) - there
    for (page, _), test in RUN_BY.items():
        if test:
            name = Path(page).stem
            text = (ROOT / test).read_text(encoding="utf-8")

            assert name in text or Path(page).parent.name in text, (page, test)


def test_nothing_is_left_of_a_fence() -> None:
    """Each fence that begins ends, and has a word."""
    for page in PAGES:
        rest = FENCE.sub("", page.read_text(encoding="utf-8"))

        assert "```" not in rest, page
    assert "" not in {block.kind for block in BLOCKS}


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_tables_and_paragraphs_are_whole(page: Path) -> None:
    """No editor has joined a table's rows, or begun a paragraph with a blank."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    lines = prose.splitlines()

    assert [] == [line for line in lines if re.search(r"\|-+\|.*[^-|: ]", line)]
    assert [] == [line for line in lines if re.match(r" \S", line)]
    for above, line in itertools.pairwise(lines):
        if line.startswith("|--"):
            assert above.startswith("|")
            assert above.count("|") == line.count("|")
