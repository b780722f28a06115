"""The code blocks of the README, of all pages of `docs/` and of the tutorials' texts, as readers see them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from tiny import ROOT

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *TUTORIALS)
_FENCE = re.compile(
    r"(?:^[ ]*<!-- not run: (?P<reason>.+?) -->\n\n?)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)(?P<rest>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    flags=re.M | re.S,
)
# A paragraph, a heading or a fence, and then indented text. What is indented below a list's item or a tab is its text.
_INDENTED = re.compile(r"^(?!    |\t|[-*] |=== |\d+\. ).*\S\n(?:[ \t]*\n)+(?:    |\t)[ \t]*(\S.*)", flags=re.M)


@dataclass(frozen=True)
class Block:
    """A block between fences."""

    page: str
    """Its file, relative to the repository."""
    line: int
    """Its line there; of a tutorial, in its text."""
    language: str
    title: str
    """The name of the file that it shows; empty where it shows none."""
    text: str
    not_run: str
    """Why the tests do not run it, as the comment before it says; empty for all that is run."""

    @property
    def place(self) -> str:
        """`docs/python.md:12`, for messages."""
        return f"{self.page}:{self.line}"


def text_of(path: Path) -> str:
    """The Markdown of a page; of a tutorial all texts between its code, and none of that."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def unfenced(text: str) -> list[str]:
    """Code of a page that stands between no fences: the first lines of indented blocks, other fences, and HTML's."""
    outside = _FENCE.sub(r"\g<indent>fence", text)
    return [*_INDENTED.findall(outside), *re.findall(r"^ *(?:~~~|<pre).*", outside, flags=re.M)]


@cache
def blocks_of(path: Path) -> Sequence[Block]:
    """The blocks of a page, in its order."""
    page = text_of(path)
    found = []
    for match in _FENCE.finditer(page):
        indent = len(match["indent"])
        text = "".join(line[indent:] if line.strip() else "\n" for line in match["text"].splitlines(keepends=True))
        title = re.search(r'title="([^"]+)"', match["rest"])
        found.append(
            Block(
                str(path.relative_to(ROOT)),
                page.count("\n", 0, match.start("language")) + 1,
                match["language"],
                title[1] if title else "",
                text,
                match["reason"] or "",
            )
        )
    return tuple(found)


BLOCKS = tuple(block for page in PAGES for block in blocks_of(page))
