"""YAML files as plain values with the line of every key, read safely."""

import io
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hpo.errors import FileMistakes, Mistake, NotFound
from hpo.text.cleaning import is_clean

Key = tuple[str | int, ...]

# Far above any honest file, and low enough that a hostile one is refused within seconds.
_MOST_BYTES = 250_000
_MOST_VALUES = 50_000
_MOST_LEVELS = 50
_LARGEST = 2**63 - 1
_TOO_DEEP = f"must be nested at most {_MOST_LEVELS} levels deep"

_NEXT_LINE = "\x85"
_TAG = "tag:yaml.org,2002:"
_SCALARS = (f"{_TAG}null", f"{_TAG}bool", f"{_TAG}int", f"{_TAG}float")
# Dates stay the text that they are written as: no key of hpo takes a date.
_TEXT = (f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value", f"{_TAG}merge")
# A key is text as it is written, also where it is a class number: {0: 2.0}.
_KEYS = (*_TEXT, f"{_TAG}bool", f"{_TAG}int", f"{_TAG}float")


@dataclass(frozen=True)
class Document:
    """A YAML file as plain Python values, with the place where each key was set.

    `places` maps a key path to `file:line`, or to the `--set` option that overrode it. `above` is the key path of this
    document within its file; it is empty unless the document is a part of a file.
    """

    name: str
    data: Any
    places: Mapping[Key, str] = field(default_factory=dict)
    above: Key = ()

    def where(self, key: Key) -> str:
        """The place of a key, or of the nearest mapping around it that has one."""
        for length in range(len(key), -1, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return self.name

    def mistake(self, key: Key, message: str) -> Mistake:
        """A mistake at a key of this document."""
        return Mistake(self.where(key), dotted((*self.above, *key)), message)

    def below(self, *key: str | int) -> "Document":
        """The part of the document under a key, as a document of its own."""
        data = self.data
        for part in key:
            data = data[part]
        inside = {path[len(key) :]: place for path, place in self.places.items() if path[: len(key)] == key}
        inside.setdefault((), self.where(key))
        return Document(self.name, data, inside, (*self.above, *key))


def dotted(key: Key) -> str:
    """`("study", "enqueue", 0, "depth")` -> `study.enqueue[0].depth`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(path: Path) -> Document:
    """Reads a YAML 1.2 file safely: plain values only, dates as text.

    Raises:
        NotFound, FileMistakes: as `examine_yaml`, and for all mistakes that it returns.
    """
    document, mistakes = examine_yaml(path)
    if mistakes:
        raise FileMistakes(mistakes)
    return document


def examine_yaml(path: Path) -> tuple[Document, list[Mistake]]:
    """Reads a file as `read_yaml` does, but returns mistakes in values beside the document instead of raising them.

    Such mistakes are a key that is set twice, a number that is not finite, and a tag of Python or another program.

    Raises:
        NotFound: there is no such file.
        FileMistakes: the file cannot be read, is not YAML, or is unreasonably large; with the lines.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise FileMistakes([Mistake(str(path), "", "is not a text file in UTF-8")]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        problem = getattr(error, "strerror", None) or error
        raise FileMistakes([Mistake(repr(str(path))[1:-1], "", f"cannot be read: {problem}")]) from None
    if len(raw) > _MOST_BYTES:
        raise FileMistakes([Mistake(str(path), "", f"must be at most {_MOST_BYTES:,} bytes long")])
    reader = _Reader(str(path), lines=True)
    data = reader.read(text)
    if not isinstance(data, dict) and reader.mistakes:
        raise FileMistakes(reader.mistakes)
    if data is None:
        raise FileMistakes([Mistake(str(path), "", "the file is empty")])
    if not isinstance(data, dict):
        raise FileMistakes([Mistake(f"{path}:1", "", "must be a mapping of keys to values")])
    return Document(str(path), data, reader.places), reader.mistakes


def read_value(name: str, text: str) -> Any:
    """The value of a YAML text; mistakes give `name` as its place.

    Raises:
        FileMistakes: as `read_yaml`.
    """
    reader = _Reader(name, lines=False)
    value = reader.read(text)
    if reader.mistakes:
        raise FileMistakes(reader.mistakes)
    return value


def to_yaml(data: Mapping[str, Any], block: bool = False) -> str:
    """Writes values as YAML text that reads as the same values; with `block`, each key has a line, in their order."""
    yaml = YAML(typ="safe", pure=True)
    if block:
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        yaml.default_flow_style = False
    stream = io.StringIO()
    yaml.dump(dict(data), stream)
    if yaml.allow_unicode and _NEXT_LINE in stream.getvalue():
        # ruamel.yaml writes this character as it is, but reads it as the end of a line.
        yaml.allow_unicode = False
        stream = io.StringIO()
        yaml.dump(dict(data), stream)
    return stream.getvalue()


class _Reader:
    """Turns the nodes of one YAML text into plain values; no other objects are ever constructed.

    The nodes have ruamel.yaml's own marks, which give the line of every key; and walking them allows a bound on what
    aliases expand to. ruamel.yaml's round-trip loader has the same marks as `.lc`, but it takes a third longer, stops
    at the first key that is set twice, and does not keep how a value was written, which messages quote.
    """

    def __init__(self, name: str, lines: bool) -> None:
        self.name = name
        self.lines = lines
        self.places: dict[Key, str] = {}
        self.mistakes: list[Mistake] = []
        self.count = 0
        self.yaml = YAML(typ="safe", pure=True)

    def read(self, text: str) -> Any:
        """The value of the whole text; None if it is empty. Mistakes in values are added to `mistakes`.

        Raises:
            FileMistakes: the text is not YAML, or is unreasonably large.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ReusedAnchorWarning)
                node = self.yaml.compose(io.StringIO(text))
            value = None if node is None else self.value(node, ())
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.mistake(mark.line if mark else None, (), _problem(error))
            raise FileMistakes(self.mistakes) from None
        except RecursionError:
            self.mistake(None, (), _TOO_DEEP)
            raise FileMistakes(self.mistakes) from None
        except (YAMLError, ValueError, ArithmeticError, LookupError, AssertionError, TypeError) as error:
            # ruamel.yaml raises these itself on malformed directives and escapes.
            self.mistake(None, (), f"is not YAML: {str(error).strip().partition(chr(10))[0]}")
            raise FileMistakes(self.mistakes) from None
        return value

    def place(self, line: int | None) -> str:
        return f"{self.name}:{line + 1}" if self.lines and line is not None else self.name

    def mistake(self, line: int | None, key: Key, message: str) -> None:
        self.mistakes.append(Mistake(self.place(line), dotted(key), message))

    def refuse(self, node: Node, key: Key, message: str) -> None:
        self.mistake(node.start_mark.line, key, message)

    def value(self, node: Node, key: Key) -> Any:
        self.count += 1
        if self.count > _MOST_VALUES:
            self.refuse(node, (), f"must hold at most {_MOST_VALUES:,} values, aliases expanded")
            raise FileMistakes(self.mistakes)
        if len(key) > _MOST_LEVELS:
            self.refuse(node, (), _TOO_DEEP)
            raise FileMistakes(self.mistakes)
        if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            data: dict[str, Any] = {}
            self.fill(data, node, key)
            return data
        if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            items = []
            for index, item in enumerate(node.value):
                self.places[*key, index] = self.place(item.start_mark.line)
                items.append(self.value(item, (*key, index)))
            return items
        if isinstance(node, ScalarNode):
            return self.scalar(node, key)
        self.refuse(node, key, f"must be a plain value, not one tagged {_short(node)}")
        return None

    def fill(self, data: dict[str, Any], node: MappingNode, key: Key) -> None:
        """Adds the keys that `data` lacks: first the mapping's own keys, then those that it merges with `<<`."""
        seen: set[str] = set()
        merged: list[Node] = []
        for name_node, value_node in node.value:
            name = name_node.value
            if not isinstance(name_node, ScalarNode) or name_node.tag not in _KEYS or not is_clean(name):
                shown = repr(name) if isinstance(name_node, ScalarNode) else "a list or mapping"
                self.refuse(name_node, key, f"a key must be text, got {shown}; put it in quotes")
            elif name in seen:
                self.refuse(name_node, (*key, name), "this key is there twice")
            elif name_node.tag == f"{_TAG}merge":
                seen.add(name)
                merged += value_node.value if isinstance(value_node, SequenceNode) else [value_node]
            else:
                seen.add(name)
                if name not in data:
                    self.places[*key, name] = self.place(name_node.start_mark.line)
                    data[name] = self.value(value_node, (*key, name))
        for source in merged:
            self.count += 1
            if isinstance(source, MappingNode):
                self.fill(data, source, key)
            else:
                self.refuse(source, (*key, "<<"), "must be a mapping, or a list of mappings")

    def scalar(self, node: ScalarNode, key: Key) -> Any:
        if node.tag in _TEXT:
            text = str(node.value)
            if not is_clean(text):
                self.refuse(node, key, "must be text without NUL and surrogate characters")
            return text
        if node.tag not in _SCALARS:
            self.refuse(node, key, f"must be a plain value, not one tagged {_short(node)}")
            return None
        try:
            value = self.yaml.constructor.yaml_constructors[node.tag](self.yaml.constructor, node)
        except (ValueError, KeyError):
            self.refuse(node, key, f"cannot be read as {_short(node)}: {node.value:.40}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.refuse(node, key, f"must be a finite number, got {node.value}")
        if isinstance(value, int) and abs(value) > _LARGEST:
            self.refuse(node, key, "must be a whole number of at most 64 bits")
        return value


def _problem(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "is not YAML").splitlines()[0]
    if problem.startswith("but ") and error.context:
        problem = f"{error.context} {problem}"
    return f"{problem}; indent with spaces, not tabs" if "'\\t'" in problem else problem


def _short(node: Node) -> str:
    return str(node.tag).replace(_TAG, "!!")
