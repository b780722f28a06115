"""The options of samplers, pruners and schedules: meaning from their docstrings, type and default from their code.

Samplers and pruners are Optuna's. The docstrings of schedules say the unit as those of keys do.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpo.config.docstrings import KeyText, parse_docstring

_TYPES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string", "None": "null"}
# The value in an example if there is no default to show.
_VALUES = {"integer": 10, "number": 1.0, "boolean": True, "string": "auto"}


@dataclass(frozen=True)
class Option:
    """An option that a file may set."""

    name: str
    text: KeyText
    schema: Mapping[str, Any]
    """Its JSON Schema, with default and example."""


def options(kind: str, name: str) -> Iterator[Option]:
    """The options of a sampler, a pruner or a schedule by its name in hpo."""
    from hpo.schedule.table import schedule_class
    from hpo.study.samplers import PRUNERS, SAMPLERS, options_of

    made: type = schedule_class(name) if kind == "schedule" else (SAMPLERS if kind == "sampler" else PRUNERS)[name]
    meanings = _documented(inspect.getdoc(made) or "")
    parameters = inspect.signature(made).parameters
    for option, kinds in ({} if name == "grid" else options_of(made)).items():
        default = parameters[option].default
        schema = _schema(kinds, None if default is inspect.Parameter.empty else default)
        meaning = meanings.get(option, f"See Optuna's {made.__name__}.")
        yield Option(option, parse_docstring(meaning) if kind == "schedule" else KeyText(meaning), schema)


def _schema(kinds: tuple[str, ...], default: Any) -> dict[str, Any]:
    if not kinds:
        # The pruner that another one wraps.
        return {"type": "string", "default": default, "examples": ["median"]}
    types = [_TYPES[kind] for kind in kinds]
    example = default if default is not None else _VALUES[next(one for one in types if one != "null")]
    return {"anyOf": [{"type": one} for one in types], "default": default, "examples": [example]}


def _documented(docstring: str) -> dict[str, str]:
    """The section `Args` of a docstring: argument -> its first paragraph, without markup."""
    _, _, rest = docstring.partition("\nArgs:\n")
    section = re.split(r"\n(?=\S)", rest)[0]
    found = re.split(r"^    (\w+):", section, flags=re.MULTILINE)
    return {name: _plain(text) for name, text in zip(found[1::2], found[2::2], strict=True)}


def _plain(text: str) -> str:
    paragraph = " ".join(re.split(r"\n\s*\n|\n\s*\.\. ", text.strip())[0].split())
    without_links = re.sub(r"`([^`<]+?)\s*<[^>]*>`__?", r"\1", paragraph)
    return re.sub(r":\w+:`[~.]*(?:[\w.]*\.)?([^`]+)`", r"\1", without_links).replace("``", "")
