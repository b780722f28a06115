"""Writes the pages of `reference/` as the site is built: every key, every command, and what Python may import.

Nothing is kept twice. Keys come from the JSON Schemas, whose texts are the docstrings of `hpo/config`; commands from
the command line's own help; the Python page from docstrings, which mkdocstrings reads.
"""

import html
import re
from collections.abc import Iterable, Iterator

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import hpo
from hpo.cli.commands import app
from hpo.cli.explain_output import facts
from hpo.project.keys import Key, find, sections, walk

# Page -> title, first line, and the keys that it holds with all that is within them.
_KEY_PAGES = {
    "experiment": (
        "Name, objective, engine, tracking",
        "Keys of the experiment file that fit no larger section.",
        ("name", "search_space", "objective", "engine", "tracking"),
    ),
    "dataset": ("dataset", "The section `dataset` of the experiment file.", ("dataset",)),
    "training": ("training", "The section `training` of the experiment file.", ("training",)),
    "study": ("study", "The section `study` of the experiment file.", ("study",)),
    "parameters": ("model and parameters", "The keys of the search space file.", ("model", "parameters")),
}
_CHOOSERS = ("study.schedule", "study.sampler", "study.pruner")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    pages = {name: _keys_page(*page) for name, page in _KEY_PAGES.items()}
    pages["samplers"] = _samplers_page()
    pages["models"] = _models_page()
    pages["commands"] = _commands_page()
    pages["python"] = _python_page()
    pages["index"] = _index_page()
    for name, lines in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content="\n".join(lines) + "\n"))
    return files


def _index_page() -> Iterator[str]:
    yield from ("# Reference", "")
    yield "Every key of the files, with its meaning, unit, default and an example. `hpo explain KEY` shows the same."
    yield ""
    places = {key: page for page, (_, _, keys) in _KEY_PAGES.items() for key in keys}
    for title, keys in sections().items():
        yield from (f"## {title[:1].upper()}{title[1:]}", "", "| key | meaning |", "|---|---|")
        for key in keys:
            page = places.get(key.path, "models")
            yield f"| [`{key.path}`]({page}.md#{_anchor(key.path)}) | {_cell(key.text.meaning)} |"
        yield ""
    yield "[Schedules, samplers and pruners](samplers.md) have options of their own."
    yield from ("", "## Beside the files", "")
    yield "- [The commands](commands.md) with all options."
    yield "- [Python](python.md): `hpo.tune`, `hpo.Space`, the study as an object, KerasTuner's tuners."


def _keys_page(title: str, first: str, paths: Iterable[str]) -> Iterator[str]:
    yield from (f"# {title}", "", first, "")
    for path in paths:
        key = find(path)
        yield from _entry(key, 2)
        for inner in walk(key):
            if not inner.path.startswith(tuple(f"{chooser}." for chooser in _CHOOSERS)):
                yield from _entry(inner, 3 if inner.path.count(".") < 2 else 4)


def _samplers_page() -> Iterator[str]:
    yield from ("# Schedules, samplers and pruners", "")
    yield "The options of samplers and pruners are Optuna's, with the names and the meaning that Optuna gives them."
    yield ""
    for path in _CHOOSERS:
        yield from (f"## {path.rpartition('.')[2].capitalize()}s", "")
        for choice in find(path).keys.values():
            if not choice.is_choice:
                continue
            yield from _entry(choice, 3)
            if choice.keys:
                yield from ("| option | type | default | unit | meaning |", "|---|---|---|---|---|")
            for option in choice.keys.values():
                told = facts(option)
                name = option.path.rpartition(".")[2]
                cells = (_cell(told.get("type", "")), _code(told.get("default", "")), told.get("unit", ""))
                yield f"| `{name}` | {' | '.join(cells)} | {_cell(option.text.meaning)} |"
            yield ""


def _models_page() -> Iterator[str]:
    *_, (_, models) = sections().items()
    yield from ("# hpo's models", "")
    yield "The parameters of the models that hpo brings. Each may be a constant, or vary."
    yield ""
    for model in models:
        yield from _entry(model, 2)
        for key in walk(model):
            yield from _entry(key, 3)


def _entry(key: Key, level: int) -> Iterator[str]:
    """A key as a section of a page."""
    label = key.path.rpartition(".")[2] if level > 2 else key.path
    yield f"{'#' * level} `{key.path}` {{ #{_anchor(key.path)} data-toc-label='{label}' }}"
    yield from ("", _text(key.text.meaning), "")
    told = facts(key)
    example = told.pop("example", None)
    if told:
        plain = key.text.default or told.get("default") in ("none", "required")
        shown = {name: _code(text) if name == "default" and not plain else _cell(text) for name, text in told.items()}
        yield from (" · ".join(f"*{name}* {text}" for name, text in shown.items()), "{ .facts }", "")
    if key.text.values and not set(key.text.values) <= set(key.keys):
        yield from ("| value | meaning |", "|---|---|")
        yield from (f"| `{value}` | {_cell(meaning)} |" for value, meaning in key.text.values.items())
        yield ""
    if example is not None:
        yield from ("```yaml", example, "```", "")


def _commands_page() -> Iterator[str]:
    group = typer.main.get_command(app)
    whole = group.make_context("hpo", [], resilient_parsing=True)
    yield from ("# The commands", "", "`hpo COMMAND -h` shows the same.", "")
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        context = typer.Context(command, info_name=name, parent=whole)
        usage = " ".join(command.collect_usage_pieces(context))
        first, _, rest = (command.help or "").partition("\n\n")
        yield from (f"## `hpo {name}` {{ #{name} }}", "", _text(first), "", "```text", f"hpo {name} {usage}", "```", "")
        yield from (paragraph + "\n" for paragraph in _text(rest).split("\n\n") if rest)
        yield from ("| | |", "|---|---|")
        for parameter in command.get_params(context):
            if (shown := parameter.get_help_record(context)) is not None:
                yield f"| {_code(shown[0])} | {_cell(shown[1])} |"
        yield ""


def _python_page() -> Iterator[str]:
    yield from ("# Python", "", "What `import hpo` offers. [The guide](../python.md) shows how it goes together.", "")
    for name in sorted(hpo.__all__, key=lambda one: one not in ("tune", "Space", "Study")):
        yield from (f"::: hpo.{name}", "")
    yield from ("## What a study gives", "")
    for path in ("best.Best", "trials.Trials", "plots.Plots"):
        options = "{heading_level: 3, show_root_full_path: false, inherited_members: false}"
        yield from (f"::: hpo.python.{path}", f"    options: {options}", "")
    yield from ("## Code written for KerasTuner", "", "`hpo.keras_tuner` has KerasTuner's names and signatures.", "")
    for number, name in enumerate(("RandomSearch", "BayesianOptimization", "Hyperband", "GridSearch")):
        # The methods are the same for all.
        more = ", members: [__init__], inherited_members: false" if number else ""
        options = f'{{heading_level: 3, merge_init_into_class: true, filters: ["!^_[^_]"]{more}}}'
        yield from (f"::: hpo.keras_tuner.{name}", f"    options: {options}", "")


def _anchor(path: str) -> str:
    return path.replace(".", "-").lower()


def _text(text: str) -> str:
    """Text with what is in backticks as code, and everything else without markup."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    return re.sub(r"([*_\[\]\\])", r"\\\1", html.escape(text, quote=False))


def _cell(text: str) -> str:
    return " ".join(_text(text).replace("|", "\\|").split())


def _code(text: str) -> str:
    text = " ".join(text.split())
    return f"`` {text} ``".replace("|", "\\|") if text else ""
