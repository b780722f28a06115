"""Lists the questions of all recipes on their first page, as the site is built."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_LIST = "<!-- the questions of all pages -->"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replaces the mark of the first page."""
    if _LIST not in markdown:
        return markdown
    folder = Path(page.file.abs_src_path or "").parent
    pages = [file.src_uri for file in files.documentation_pages() if file.src_uri.startswith("recipes/")]
    order = [str(entry) for entry in _paths(config.nav) if entry in pages and not entry.endswith("index.md")]
    return markdown.replace(_LIST, "\n".join(_questions(folder / Path(one).name) for one in order))


def _paths(entries: object) -> list[str]:
    """The pages of a navigation, in its order."""
    if isinstance(entries, str):
        return [entries]
    if isinstance(entries, dict):
        entries = list(entries.values())
    return [path for entry in entries for path in _paths(entry)] if isinstance(entries, list) else []


def _questions(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    (title,) = re.findall(r"^# (.+)", text, flags=re.M)
    questions = re.findall(r"^## (.+)", text, flags=re.M)
    links = [f"- [{one}]({path.name}#{_slug(one)})" for one in questions]
    return "\n".join([f"## {title}", "", *links, ""])


def _slug(heading: str) -> str:
    """The anchor that Markdown's table of contents gives a heading."""
    from markdown.extensions.toc import slugify

    return slugify(heading.replace("`", ""), "-")
