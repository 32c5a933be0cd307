"""The documentation as a site: complete, and whole without a network."""

from __future__ import annotations

import logging
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort, PluginError

from infra.site import hooks

ROOT = Path(__file__).parents[2]
LOADING = {"img": "src", "link": "href", "script": "src", "iframe": "src"}


class Loaded(HTMLParser):
    """What a browser loads for a page, and what kinds of elements are on it.

    Attributes:
        addresses: Where from.
        classes: Of all elements.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.classes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.classes |= set((found.get("class") or "").split())
        address = found.get(LOADING.get(tag, ""))
        if address and found.get("rel") not in ("next", "prev"):
            self.addresses.append(address)


def built(into: Path, **settings: Any) -> Path:
    """Build the site, with any warning as an error."""
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(into), **settings)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return into


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once."""
    return built(tmp_path_factory.mktemp("site"))


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """All that a page needs lies in the site, also where scripts look for more."""
    pages = list(site.rglob("*.html"))

    assert len(pages) > 30
    for page in pages:
        loaded = Loaded(page.read_text(encoding="utf-8"))
        missing = [
            address
            for address in loaded.addresses
            if not (page.parent / address.partition("?")[0]).resolve().exists()
        ]

        assert "404.html" == page.name or [] == missing, page
        # Material would fetch the program that draws these.
        assert "mermaid" not in loaded.classes, page


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """A newcomer finds each page of docs/ from the first one."""
    first = (site / "index.html").read_text(encoding="utf-8")
    pages = (ROOT / "docs").rglob("*.md")
    names = [page.relative_to(ROOT / "docs").with_suffix(".html") for page in pages]

    assert [] == [name for name in names if f'href="{name}"' not in first]


def test_files_of_the_repository_are_pages(site: Path) -> None:
    """A link to a test leads to its text, one to a folder to its files."""
    features = (site / "features.html").read_text(encoding="utf-8")
    shown = site / "repository" / "tests" / "e2e" / "test_rotation.py.html"
    folder = (site / "repository/examples/edge.html").read_text(encoding="utf-8")

    assert 'href="repository/tests/e2e/test_rotation.py.html"' in features
    assert "deployment" in shown.read_text(encoding="utf-8")
    assert 'href="edge/iam/trust.json.html"' in folder
    assert "README.md" not in re.findall(r'href="([^"]*)"', features)


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("](../README.md#settings)", "](settings.md#all-settings)"),
        ("](../README.md)", "](index.md)"),
        ("](freshness.md#snapstart)", "](freshness.md#snapstart)"),
        ("](#here)", "](#here)"),
        ("](https://aws.amazon.com/)", "](https://aws.amazon.com/)"),
        ("](../infra/template.yaml)", "](repository/infra/template.yaml.md)"),
        ("](coming-from)", "](repository/docs/coming-from.md)"),
        ("](nowhere.md)", "](nowhere.md)"),
    ],
)
def test_links(link: str, shown: str) -> None:
    """What leads out of docs/ leads to a page; the rest is left to MkDocs."""
    assert shown == hooks.redirected(link, "docs", "sheet.md")


def test_a_part_of_the_readme_that_is_no_page() -> None:
    """The build ends, and says where the link is."""
    with pytest.raises(PluginError, match=r"sheet.md: .* knows no README.md#licence"):
        hooks.redirected("](../README.md#licence)", "docs", "sheet.md")


def test_a_broken_link_ends_the_build(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As does each other warning."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("[nowhere](nowhere.md)\n")
    with caplog.at_level(logging.WARNING), pytest.raises(Abort):
        built(tmp_path / "site", docs_dir=str(docs), nav=None, strict=True)

    assert "nowhere.md" in caplog.text
