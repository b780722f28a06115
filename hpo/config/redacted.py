"""What is kept of an experiment: not where things are stored, and no credentials.

Where a study and its runs are stored is no part of the experiment: who repeats it names stores of his own.
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
from hpo.text.cleaning import encodable
from hpo.text.credentials import hidden, hidden_in, learn_url

_OF_STORES = re.compile(r"\b(storage|tracking|uri)\b")
_OVERRIDE = "# overridden by --set "


def kept_experiment(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's values without stores and credentials."""
    kept: dict[str, Any] = encodable(hidden_in(_without_stores(experiment)))
    return kept


def kept_files(files: Mapping[str, str]) -> dict[str, str]:
    """Files, name -> text; see `kept_text`."""
    return {name: kept_text(text) for name, text in files.items()}


def kept_text(text: str, assignments: Sequence[str] = ()) -> str:
    """An experiment's file, comments and all, without stores and credentials; below it what overrode it.

    The text may be one that was kept before.
    """
    lines = text.splitlines(keepends=True)
    before = [line.removeprefix(_OVERRIDE).rstrip("\n") for line in lines if line.startswith(_OVERRIDE)]
    for assignment in (*before, *assignments):
        _learn_from(assignment.partition("=")[2])
    kept = _kept_values("".join(line for line in lines if not line.startswith(_OVERRIDE)))
    for assignment in (*before, *assignments):
        if (said := _kept_assignment(assignment)) is not None:
            kept += f"{_OVERRIDE}{said}\n"
    return kept


def _kept_values(text: str) -> str:
    if not _OF_STORES.search(text):
        return hidden(text)
    try:
        wanted = _without_stores(read_value("text", text))
    except HpoError:
        # What an older hpo kept of values that no file could hold.
        return hidden("".join(line for line in text.splitlines(keepends=True) if not _OF_STORES.search(line)))
    try:
        cut = _cut(text)
        sound = read_value("text", cut) == wanted
    except (HpoError, YAMLError):
        sound = False
    # Anchors and merged keys may be torn by the cut: what remains of the values says it as well.
    return hidden(cut if sound else to_yaml(wanted))


def _kept_assignment(assignment: str) -> str | None:
    """An override `a.b=c`; None where nothing of it remains."""
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


def learn_from(experiment: Mapping[str, Any], assignments: Sequence[str] = ()) -> None:
    """Remembers the passwords of the stores that an experiment and its overrides name, so that no message has them."""
    for assignment in assignments:
        _learn_from(assignment.partition("=")[2])
    for section in (experiment.get("study"), experiment.get("tracking")):
        for value in section.values() if isinstance(section, Mapping) else (section,):
            if isinstance(value, str):
                _learn_from(value)


def _learn_from(value: str) -> None:
    if "://" in value:
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
    """The text without the lines of the stores; in `{...}` without their part of the line.

    ruamel.yaml's round-trip loader and dumper would lose comments before the next key, and indent anew.
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
    """From where to where keys and their values stand, with the commas or the line breaks that belong to them."""
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
    """Where a node's last sign stands: ruamel.yaml ends a block where the next one begins, comments included."""
    if isinstance(node, MappingNode | SequenceNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return max(map(_end, last)) if isinstance(last, tuple) else _end(last)
    return int(node.end_mark.index)
