"""What the site has besides docs/: files of the repository that its pages link to.

The pages link to tests, examples and templates as they lie in the repository. No place
is known where the repository can be seen, so each file that is linked becomes a page
with its text, and a folder one that lists its files. What README.md says is said by
other pages here, and links to it lead to these.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, InclusionLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = "docs"
PLACE = "repository"
README = {
    "": "index.md",
    "#settings": "settings.md#all-settings",
    "#the-local-port": "compatibility.md",
    "#use-it": "quick-start.md",
}
LANGUAGES = {".py": "python", ".tf": "terraform"}
LINK = re.compile(r"\]\(([^)#:\s]*)(#[^)\s]*)?\)")
# Not for who searches the documentation.
HEAD = "---\nsearch:\n  exclude: true\n---\n\n"


def uri(path: str) -> str:
    """Where in the site a file or folder of the repository is to be seen."""
    if path.startswith(f"{DOCS}/") and (ROOT / path).is_file():
        return path.removeprefix(f"{DOCS}/")
    return f"{PLACE}/{path}.md"


def target(folder: str, link: str) -> str | None:
    """The path in the repository that a link from a folder of it leads to."""
    path = posixpath.normpath(posixpath.join(folder, link))
    return path if link and (ROOT / path).exists() else None


def generated(text: str, folder: str) -> Iterator[str]:
    """The paths that a page's links lead to, and that are no pages yet."""
    for link, _ in LINK.findall(text):
        path = target(folder, link)
        if path and path != "README.md" and uri(path).startswith(f"{PLACE}/"):
            yield path


def redirected(text: str, folder: str, at: str) -> str:
    """The text with its links as they have to be on the page at a URI of the site."""

    def new(match: re.Match[str]) -> str:
        link, anchor = match.groups(default="")
        path = target(folder, link)
        if path is None:
            return match[0]
        if path == "README.md" and anchor not in README:
            raise PluginError(f"{at}: infra/site/hooks.py knows no README.md{anchor}")
        to = README[anchor] if path == "README.md" else uri(path) + anchor
        return f"]({posixpath.relpath(to, posixpath.dirname(at) or '.')})"

    return LINK.sub(new, text)


def page_of(path: str) -> str:
    """The text of the page for a file or folder."""
    place = ROOT / path
    if place.is_dir():
        return _folder(place, path)
    text = place.read_text(encoding="utf-8")
    if place.suffix == ".md":
        return text
    language = LANGUAGES.get(place.suffix, place.suffix.removeprefix("."))
    return f"# {place.name}\n\n`{path}`\n\n~~~~~~ {language}\n{text}~~~~~~\n"


def _folder(place: Path, path: str) -> str:
    """Its README, if it has one, and a list of its other files."""
    readme = place / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else f"# {path}\n"
    files = sorted(
        each.relative_to(place).as_posix()
        for each in place.rglob("*")
        if each.is_file() and each != readme and "__pycache__" not in each.parts
    )
    rows = "\n".join(f"- [{name}]({name})" for name in files)
    return f"{text}\n## Files\n\n{rows}\n"


def folder_of(path: str) -> str:
    """From which folder the links on the page of a file or folder lead."""
    return path if (ROOT / path).is_dir() else str(PurePosixPath(path).parent)


def add_pages(add: Callable[[str, str], None], texts: dict[str, str]) -> None:
    """Add a page for each file that is linked by the texts, or by one of these pages.

    Args:
        add: Takes a path in the repository and the page's text.
        texts: The text of each page that is there, by its path in the repository.
    """
    waiting = list(texts.items())
    seen = set(texts)
    while waiting:
        path, text = waiting.pop()
        for linked in generated(text, folder_of(path)):
            if linked not in seen:
                seen.add(linked)
                page = page_of(linked)
                add(linked, page)
                waiting.append((linked, page))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""

    def add(path: str, text: str) -> None:
        file = File.generated(
            config, uri(path), content=HEAD + text, inclusion=InclusionLevel.NOT_IN_NAV
        )
        files.append(file)

    pages = [file for file in files if file.is_documentation_page()]
    add_pages(add, {f"{DOCS}/{page.src_uri}": page.content_string for page in pages})
    return files


def on_page_markdown(
    markdown: str,
    page: Page,
    config: MkDocsConfig,  # noqa: ARG001  MkDocs passes it by name
    files: Files,  # noqa: ARG001  likewise
) -> str:
    """Lead the links to the pages."""
    at = page.file.src_uri
    inside = at.startswith(f"{PLACE}/")
    path = (
        at.removeprefix(f"{PLACE}/").removesuffix(".md") if inside else f"{DOCS}/{at}"
    )
    return redirected(markdown, folder_of(path), at)
