"""Makes pages of the tutorials as the site is built: text, code, and the outputs that the notebooks have.

Figures of plotly stay figures. Their script comes from the installed package, so that no page loads one from elsewhere.
"""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from plotly.offline import get_plotlyjs

_FIGURE = "application/vnd.plotly.v1+json"
_SCRIPT = "assets/plotly.min.js"
# Placeholder in the Markdown of a page -> HTML: Markdown would read the outputs as text of its own.
_outputs: dict[str, str] = {}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for each notebook, and the script of the figures."""
    _outputs.clear()
    for path in sorted(Path(config.docs_dir).glob("tutorials/*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        text = "\n\n".join(_parts(notebook["cells"], path.stem))
        files.append(File.generated(config, f"tutorials/{path.stem}.md", content=text))
    files.append(File.generated(config, _SCRIPT, content=get_plotlyjs()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to notebooks, which work in the repository, lead to their pages."""
    return re.sub(r"(\]\([\w./]+)\.ipynb\b", r"\1.md", markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts the outputs into the page."""
    for name, output in _outputs.items():
        html = html.replace(f"<p>{name}</p>", output)
    return html


def _parts(cells: list[dict[str, Any]], stem: str) -> Iterator[str]:
    for number, cell in enumerate(cells):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield source
            continue
        yield f"```python\n{source}\n```"
        shown = "".join(filter(None, map(_shown, cell.get("outputs", []))))
        if shown:
            name = f"output-{stem.replace('_', '-')}-{number}"
            # Not searched: numbers of one run are no answer to anybody's question.
            _outputs[name] = f'<div class="output" data-search-exclude>{shown}</div>'
            yield name


def _shown(output: Mapping[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"<pre>{escape(''.join(output['text']))}</pre>"
    data = output.get("data", {})
    if _FIGURE in data:
        figure = json.dumps({key: data[_FIGURE][key] for key in ("data", "layout")}).replace("</", "<\\/")
        return f'<div class="figure"><script type="application/json">{figure}</script></div>'
    if "image/png" in data:
        return f'<img alt="" src="data:image/png;base64,{data["image/png"].strip()}">'
    if "text/html" in data:
        return "".join(data["text/html"])
    return f"<pre>{escape(''.join(data.get('text/plain', '')))}</pre>"
