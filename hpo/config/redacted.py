"""The form in which an experiment is stored: without the addresses of its stores, and without credentials.

Where a study and its runs are stored is not part of the experiment: anyone who repeats it uses stores of their own.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from hpo.config.yaml_file import read_value, to_yaml
from hpo.errors import HpoError
from hpo.system.environment import resolved
from hpo.text.cleaning import encodable
from hpo.text.credentials import hidden, hidden_in, learn_url, learn_variables

_OF_STORES = re.compile(r"\b(storage|tracking|uri)\b")
_OVERRIDE = "# overridden by --set "


def kept_experiment(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's values without stores and credentials."""
    kept: dict[str, Any] = encodable(hidden_in(_without_stores(experiment)))
    return kept


def kept_files(files: Mapping[str, str]) -> dict[str, str]:
    """Files (name -> text) in their stored form; see `kept_text`. Source code, `code`, is kept as it is."""
    return {name: hidden(text) if name == "code" else kept_text(text) for name, text in files.items()}


def kept_text(text: str, assignments: Sequence[str] = ()) -> str:
    """The text of an experiment file with its comments, without stores and credentials.

    The assignments that overrode it follow as comments. The text may be one that this function returned before.
    """
    lines = text.splitlines(keepends=True)
    before = [line.removeprefix(_OVERRIDE).rstrip("\n") for line in lines if line.startswith(_OVERRIDE)]
    for assignment in (*before, *assignments):
        _remember_password(assignment.partition("=")[2])
    kept = _kept_values("".join(line for line in lines if not line.startswith(_OVERRIDE)))
    for assignment in (*before, *assignments):
        if (rest := _kept_assignment(assignment)) is not None:
            kept += f"{_OVERRIDE}{rest}\n"
    return kept


def _kept_values(text: str) -> str:
    if not _OF_STORES.search(text):
        return hidden(text)
    try:
        wanted = _without_stores(read_value("text", text))
    except HpoError:
        # Older versions of hpo stored texts that cannot be read again.
        return hidden("".join(line for line in text.splitlines(keepends=True) if not _OF_STORES.search(line)))
    try:
        cut = _cut(text)
        sound = read_value("text", cut) == wanted
    except (HpoError, YAMLError):
        sound = False
    # Cutting lines out may break anchors and merged keys; the values are then written out instead.
    return hidden(cut if sound else to_yaml(wanted))


def _kept_assignment(assignment: str) -> str | None:
    """An override `a.b=c` without stores and credentials; None if nothing remains."""
    key, _, value = assignment.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if parts[0] == "tracking" or parts[:2] == ["study", "storage"]:
        return None
    if parts == ["study"]:
        try:
            section = read_value("text", value)
        except HpoError:
            return None
        rest = _without_stores({"study": section}).get("study")
        if rest != section:
            return hidden(f"study={json.dumps(rest)}") if rest else None
    return hidden(assignment)


def remember_passwords(experiment: Mapping[str, Any], assignments: Sequence[str] = ()) -> None:
    """Remembers the passwords in the addresses of stores in an experiment and its overrides: no message shows them."""
    for assignment in assignments:
        _remember_password(assignment.partition("=")[2])
    for section in (experiment.get("study"), experiment.get("tracking")):
        for value in section.values() if isinstance(section, Mapping) else (section,):
            if isinstance(value, str):
                _remember_password(value)
    engine = experiment.get("engine")
    runtime_env = engine.get("runtime_env") if isinstance(engine, Mapping) else None
    variables = runtime_env.get("env_vars") if isinstance(runtime_env, Mapping) else None
    if isinstance(variables, Mapping):
        learn_variables(variables)


def _remember_password(value: str) -> None:
    if "://" in (value := resolved(value)):
        learn_url(value.strip().strip("'\""))


def _without_stores(data: Any) -> dict[str, Any]:
    kept = {key: value for key, value in data.items() if key != "tracking"}
    study = kept.get("study")
    if isinstance(study, Mapping) and "storage" in study:
        rest = {key: value for key, value in study.items() if key != "storage"}
        kept["study"] = rest
        if not rest:
            del kept["study"]
    return kept


def _cut(text: str) -> str:
    """The text without the lines that set stores; within `{...}` only that part of the line is removed.

    ruamel.yaml's round-trip loader and dumper would lose the comments before the next key, and change the indentation.
    """
    root = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    if not isinstance(root, MappingNode):
        return text
    gone = [place for place, (key, _) in enumerate(root.value) if key.value == "tracking"]
    spans = []
    for place, (key, value) in enumerate(root.value):
        if key.value == "study" and isinstance(value, MappingNode):
            inside = [number for number, (name, _) in enumerate(value.value) if name.value == "storage"]
            if inside and len(value.value) == 1:
                gone.append(place)
            elif inside:
                spans += _spans(text, value, inside)
    for start, end in sorted([*spans, *_spans(text, root, sorted(gone))], reverse=True):
        text = text[:start] + text[end:]
    return text


def _spans(text: str, mapping: MappingNode, places: Sequence[int]) -> list[tuple[int, int]]:
    """The (start, end) positions of keys with their values, and with the commas or line breaks that belong to them."""
    if not mapping.flow_style:
        return [_lines(text, *mapping.value[place]) for place in places]
    ends = [(key.start_mark.index, _end(value)) for key, value in mapping.value]
    stay = [place for place in range(len(ends)) if place not in places]
    last = stay[-1] if stay else -1
    spans = [(ends[place][0], ends[place + 1][0]) for place in places if place < last]
    return [*spans, (ends[last][1], ends[-1][1])] if places and places[-1] > last >= 0 else spans


def _lines(text: str, key: Node, value: Node) -> tuple[int, int]:
    end = max(key.end_mark.index, _end(value))
    if end == 0 or text[end - 1] != "\n":
        end = text.find("\n", end) + 1 or len(text)
    return text.rfind("\n", 0, key.start_mark.index) + 1, end


def _end(node: Node) -> int:
    """The position after a node's last character.

    ruamel.yaml's own end of a block includes the comments up to the next one.
    """
    if isinstance(node, MappingNode | SequenceNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return max(map(_end, last)) if isinstance(last, tuple) else _end(last)
    return int(node.end_mark.index)
