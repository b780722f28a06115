"""Every code block of the README and of `docs/` is run, or says why not: Python, files, commands."""

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
import typer
from docs_blocks import BLOCKS, PAGES, TUTORIALS, Block, blocks_of, text_of, unfenced
from docs_session import make_files, smaller, words_of
from ruamel.yaml import YAML
from tiny import ROOT

from hpo.cli.commands import app
from hpo.errors import UserError
from hpo.plan.plan import load_plan
from hpo.project.keys import find
from scripts.site.execute import digest

_NOT_RUN = [block for block in BLOCKS if block.not_run]
_BASE = {"name": "page", "dataset": "digits", "search_space": "mlp", "objective": "val_accuracy"}
_SECTIONS = ("name", "dataset", "search_space", "objective", "training", "study", "engine", "tracking")
# What several pages speak of: the study of the README's first page.
_FIRST = "shell('hpo run experiments/digits_mlp.yaml')"
# The README's own are typed, and run, by tests/test_readme.py.
RUN: list[Path] = [
    page
    for page in PAGES
    if page.name != "README.md"
    and page not in TUTORIALS
    and any(not block.not_run and block.language in ("python", "shell") for block in blocks_of(page))
]
RUN += TUTORIALS


# All pages run in one kernel, in the first test that asks for it.
pytestmark = pytest.mark.timeout(1800)


def pages(language: str) -> list[Path]:
    return [page for page in PAGES if any(block.language == language for block in blocks_of(page))]


def test_each_block_has_a_language_and_few_are_not_run() -> None:
    assert {block.language for block in BLOCKS} <= {"python", "yaml", "shell", "text"}
    assert len(BLOCKS) > 25
    # Those that are not run give their reason; this number is to fall, not to rise.
    assert [block.place for block in _NOT_RUN if len(block.not_run.split()) < 3] == []
    assert len(_NOT_RUN) <= 14, [block.place for block in _NOT_RUN]
    # A tutorial runs its cells.
    in_texts = [block for page in TUTORIALS for block in blocks_of(page) if block.language in ("python", "shell")]
    assert [block.place for block in in_texts if not block.not_run] == [], "make it a cell, or say why it is not run"
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, block.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for page in PAGES:
        text = text_of(page)
        fences = text.count("```")
        assert fences == 2 * len(blocks_of(page)), f"{page}: a block is not closed, or not seen"
        assert unfenced(text) == [], f"{page}: write code between fences, with its language: ```yaml"


def test_code_without_fences_is_found() -> None:
    fence = "```python\nx\n```"
    for text in ("So:\n\n    hpo run", "## So\n\n\n\thpo run", f"{fence}\n\n    hpo run", "So:\n \n        hpo run"):
        assert unfenced(text) == ["hpo run"]
    assert unfenced("~~~\nhpo run\n~~~") == ["~~~", "~~~"]
    assert unfenced(f'So:\n\n{fence}\n\n- one\n\n    more\n\n=== "Tab"\n\n    text\n\n    more\n') == []


@pytest.mark.parametrize("page", pages("yaml"), ids=lambda path: path.stem)
def test_what_a_page_shows_of_files_is_valid(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    # Messages hide what such variables hold, also in tests that come later.
    for name in ("HPO_STORAGE", "DB_PASSWORD"):
        monkeypatch.setenv(name, f"sqlite:///{tmp_path}/pages.db")
    blocks = blocks_of(page)
    # A file may name one that is shown after it; a file that is shown again is meant as it stands there.
    for block in [one for one in reversed(blocks) if one.title]:
        (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    for block in blocks:
        if block.title:
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
        if block.language == "yaml":
            check(block, tmp_path)


def check(block: Block, folder: Path) -> None:
    """A whole experiment or search space, or the part of one that a block shows."""
    content = YAML(typ="safe").load(block.text)
    try:
        load(block, content, folder)
    except UserError as error:
        pytest.fail(f"{block.place}: {error}")


def load(block: Block, content: dict[str, Any], folder: Path) -> None:
    if "objective" in content and "name" in content:
        file = folder / (block.title or "shown.yaml")
        file.write_text(block.text, encoding="utf-8")
        load_plan(file)
    elif set(content) <= set(_SECTIONS):
        load_plan({**_BASE, **content})
    elif "parameters" in content:
        load_plan({**_BASE, "search_space": {"model": "mlp", **content}})
    else:
        load_plan({**_BASE, "search_space": {"model": "mlp", "parameters": content}})


@pytest.mark.parametrize("page", pages("shell"), ids=lambda path: path.stem)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    """Also those of blocks that are not run."""
    group = typer.main.get_command(app)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for block in blocks_of(page):
        if block.language != "shell":
            continue
        for line in block.text.splitlines():
            for part in line.split(" && "):
                words = words_of(part)
                if words[:1] == ["hpo"]:
                    parse(group, words[1:])
                elif words[:3] == ["python3", "-m", "pip"] and "[" in part:
                    named = part.partition("[")[2].partition("]")[0].split(",")
                    assert set(named) <= set(extras), block.place
                elif words[:2] == ["python", "-m"]:
                    assert (ROOT / f"{words[2].replace('.', '/')}.py").is_file(), block.place


def parse(group: Any, words: list[str]) -> None:
    """Fails where the command line does not know a command, an option or a key."""
    whole = group.make_context("hpo", words, resilient_parsing=True)
    if words[0].startswith("-"):
        return
    name, command, rest = group.resolve_command(whole, words)
    command.make_context(name, rest, parent=whole)
    for option, value in pairwise(words):
        if option == "--set":
            find(value.partition("=")[0])


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Page -> what went wrong in it, after one kernel has run all pages: TensorFlow's import takes seconds."""
    folder = tmp_path_factory.mktemp("pages")
    cells = [cell("start", f"from docs_session import enter, shell\nenter({str(folder / 'first')!r})\n{_FIRST}")]
    for page in RUN:
        place = str(folder / page.stem)
        cells.append(cell(page.name, f"%reset -f\nfrom docs_session import enter, shell\nenter({place!r})"))
        cells += [cell(page.name, code, place) for place, code in code_of(page)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HPO_HOME", str(folder / "home"))
        patched.setenv("HPO_CACHE", str(folder / "cache"))
        patched.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
        resources = {"metadata": {"path": str(folder)}}
        nbclient.NotebookClient(notebook, timeout=600, allow_errors=True, resources=resources).execute()
    wrong: dict[str, list[str]] = {page.name: [] for page in RUN}
    for one in notebook.cells:
        errors = [output for output in one.outputs if output.output_type == "error"]
        for error in errors:
            told = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(error.traceback))
            wrong.setdefault(one.metadata.page, []).append(f"{one.metadata.place}: {told}")
    return wrong


def code_of(page: Path) -> Iterator[tuple[str, str]]:
    """Place -> what the kernel runs: code, commands, and the files that blocks with a title show."""
    if page in TUTORIALS:
        cells = nbformat.read(page, as_version=4).cells
        yield from (
            (f"{page.name}, cell {number}", smaller(one.source))
            for number, one in enumerate(cells)
            if one.cell_type == "code"
        )
        return
    for block in blocks_of(page):
        if block.not_run:
            continue
        if block.title:
            yield block.place, f"from pathlib import Path\nPath({block.title!r}).write_text({block.text!r})"
        elif block.language == "python":
            yield block.place, smaller(block.text)
        elif block.language == "shell":
            lines = [line for line in block.text.splitlines() if words_of(line)]
            yield block.place, "\n".join(["from docs_session import shell", *(f"shell({line!r})" for line in lines)])


def cell(page: str, code: str, place: str = "") -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(code, metadata={"page": page, "place": place or page})


@pytest.mark.parametrize("page", RUN, ids=lambda path: path.stem)
def test_the_code_of_a_page_runs(page: Path, session: dict[str, list[str]]) -> None:
    if wrong := session.get("start", []) + session[page.name]:
        pytest.fail("\n\n".join(wrong))


def test_the_outputs_of_the_tutorials_are_of_their_code() -> None:
    """Else write them anew: python scripts/site/execute.py."""
    assert len(TUTORIALS) == 5
    for path in TUTORIALS:
        notebook = nbformat.read(path, as_version=4)
        assert notebook.metadata.get("executed") == digest(notebook), path.name
        assert "Traceback" not in path.read_text(encoding="utf-8"), path.name
        assert str(ROOT) not in path.read_text(encoding="utf-8"), path.name
