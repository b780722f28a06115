"""The source of a user's functions and classes, with all that they use: what a study's code is recognised by.

Pickled functions will not do for that: they contain the numbers of lines and the names of a notebook's cells.
"""

import ast
import hashlib
import inspect
import json
import linecache
import sys
import sysconfig
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_HERE = Path(__file__).resolve().parent.parent
_LIBRARIES = tuple({Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "purelib", "platlib")})
_LONGEST = 500
"""A constant whose text is longer is represented by its digest."""


@dataclass
class Code:
    """The code of some objects, in the order in which a module would define it."""

    imports: dict[str, str] = field(default_factory=dict)
    """Name -> the line that imports it."""
    constants: dict[str, str] = field(default_factory=dict)
    """Name -> its value as Python would write it, or what is known of it."""
    sources: dict[str, str] = field(default_factory=dict)
    """Name -> the text of a function or class."""
    names: dict[str, str] = field(default_factory=dict)
    """Name under which an object was given -> that of its function or class."""
    folders: dict[str, None] = field(default_factory=dict)
    """The folders of the user's own modules that are used, in order."""
    objects: list[Any] = field(default_factory=list)
    """The functions and classes themselves."""
    files: dict[str, None] = field(default_factory=dict)
    """The files of its functions, which are no files for the cells of a notebook."""

    def text(self) -> str:
        """The code as the text of a module."""
        parts = ["\n".join(self.imports.values()), "\n".join(f"{one} = {at}" for one, at in self.constants.items())]
        named = "\n".join(f"{name} = {found}" for name, found in self.names.items() if name != found)
        return "\n\n\n".join(part for part in (*parts, *self.sources.values(), named) if part) + "\n"

    def digest(self) -> str:
        """A short name for this code."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:10]


def code_of(objects: Mapping[str, Any]) -> Code:
    """The code of functions, classes and instances, and of everything of the user's that they use, at any depth.

    What libraries contain is imported by name. A function of a module of the user's is followed like one of a notebook.
    """
    code, seen = Code(), set[int]()
    for name, one in objects.items():
        if isinstance(one, FunctionType | type):
            code.names[name] = one.__qualname__
        _add(getattr(one, "__name__", name), one, code, seen)
    return code


def is_users(module: str) -> bool:
    """Whether a module is the user's own: neither a library, nor Python's, nor of hpo."""
    if module == "__main__":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return False
    path = Path(file).resolve()
    return not any(path.is_relative_to(folder) for folder in (*_LIBRARIES, _HERE)) and "site-packages" not in path.parts


def _add(name: str, one: Any, code: Code, seen: set[int]) -> None:
    """Adds what a name refers to, after all that it uses itself."""
    if isinstance(one, ModuleType):
        spec = one.__name__
        code.imports[name] = f"import {spec}" if name == spec else f"import {spec} as {name}"
        if is_users(spec):
            code.folders.setdefault(_root_of(one))
    elif isinstance(one, MethodType):
        _add(name, one.__self__, code, seen)
    elif isinstance(one, FunctionType | type):
        if id(one) in seen:
            return
        seen.add(id(one))
        if not is_users(one.__module__):
            code.imports[name] = f"from {one.__module__} import {one.__qualname__}"
            return
        if one.__module__ != "__main__":
            code.folders.setdefault(_root_of(sys.modules[one.__module__]))
        for used, value in used_by(one):
            _add(used, value, code, seen)
        for function in _functions_of(one) if isinstance(one, FunctionType) else _methods_of(one):
            code.files.setdefault(function.__code__.co_filename)
        code.objects.append(one)
        code.sources[_unique(name, one, code)] = source_of(one)
    elif callable(one) and getattr(one, "__wrapped__", None) is not None:
        _add(name, inspect.unwrap(one), code, seen)
    else:
        _add_value(name, one, code, seen)


def _unique(name: str, one: Any, code: Code) -> str:
    label = getattr(one, "__qualname__", name)
    while label in code.sources:
        label += "_"
    return label


def _add_value(name: str, value: Any, code: Code, seen: set[int]) -> None:
    text = _literal(value)
    if text is None:
        kind = type(value)
        if is_users(kind.__module__):
            _add(kind.__name__, kind, code, seen)
        if id(value) not in seen:
            seen.add(id(value))
            for label, part in getattr(value, "__dict__", {}).items():
                if isinstance(part, FunctionType | type | MethodType) or is_users(type(part).__module__):
                    _add(f"{name}.{label}", part, code, seen)
        text = f"...  # {_description(value)}"
    code.constants[name] = text


def _literal(value: Any) -> str | None:
    """A value as Python would write it; None where it is more than numbers, texts and collections of them."""
    if value is None or (
        isinstance(value, bool | int | float | complex | str | bytes) and type(value).__module__ == "builtins"
    ):
        text = repr(value)
    elif type(value) in (list, tuple, dict, set, frozenset):
        inside = [*value.keys(), *value.values()] if isinstance(value, dict) else list(value)
        if any(_literal(one) is None for one in inside):
            return None
        text = repr(sorted(value, key=repr)) if isinstance(value, set | frozenset) else repr(value)
        text = f"{type(value).__name__}({text})" if isinstance(value, set | frozenset) else text
    else:
        return None
    return text if len(text) <= _LONGEST else None


def _description(value: Any) -> str:
    """What is known of an object, the same in each process: its class, its content or its settings."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if hasattr(value, "dtype") and hasattr(value, "__array__"):
        import numpy as np

        array = np.ascontiguousarray(np.asarray(value))
        content = array.tobytes() if array.dtype.kind != "O" else repr(array.tolist()).encode()
        return f"{kind} of shape {array.shape}, {array.dtype}, {hashlib.sha256(content).hexdigest()[:16]}"
    if callable(getattr(value, "get_config", None)):
        try:
            config = json.dumps(value.get_config(), sort_keys=True, default=lambda one: type(one).__name__)
        except Exception:  # whatever a class of the user's raises
            return kind
        return f"{kind} {config if len(config) <= _LONGEST else hashlib.sha256(config.encode()).hexdigest()[:16]}"
    text = repr(value)
    if isinstance(value, str | bytes | list | tuple | dict | set | frozenset):
        return f"{kind} {hashlib.sha256(text.encode()).hexdigest()[:16]}"
    known = {key: _literal(one) or type(one).__name__ for key, one in getattr(value, "__dict__", {}).items()}
    return f"{kind} {json.dumps(known, sort_keys=True)}" if known else kind


def used_by(one: Any) -> Iterator[tuple[str, Any]]:
    """What a function or class refers to: name -> object, from its globals, closure, bases and decorators."""
    if isinstance(one, type):
        for base in one.__bases__:
            if base is not object:
                yield base.__name__, base
        for function in _methods_of(one):
            yield from used_by(function)
        return
    for name in dict.fromkeys(_names_of(one.__code__)):
        if name in one.__globals__:
            yield name, one.__globals__[name]
    for name, cell in zip(one.__code__.co_freevars, one.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            continue


def _methods_of(one: type) -> list[FunctionType]:
    return [function for member in vars(one).values() for function in _functions_of(member)]


def _functions_of(member: Any) -> Iterator[FunctionType]:
    if isinstance(member, property):
        yield from (one for one in (member.fget, member.fset, member.fdel) if isinstance(one, FunctionType))
    member = getattr(member, "__func__", member)
    member = inspect.unwrap(member) if callable(member) else member
    if isinstance(member, FunctionType):
        yield member


def _names_of(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names_of(inner)


def source_of(one: Any) -> str:
    """The text of a function or class; a digest of its instructions where nobody has its text, as at a prompt."""
    try:
        text = _class_source(one) if isinstance(one, type) else inspect.getsource(one)
    except (OSError, TypeError):
        text = None
    if text is not None:
        return textwrap.dedent(text).rstrip()
    functions = _methods_of(one) if isinstance(one, type) else [one]
    found = "".join(_instructions(function.__code__) for function in functions)
    digest = hashlib.sha256(found.encode()).hexdigest()[:16]
    return f"{one.__name__} = ...  # its source is unknown; its instructions are {digest}"


def _class_source(one: type) -> str | None:
    """The text of a class. `inspect` finds no class of a notebook, whose `__main__` has no file."""
    own = [function for function in _methods_of(one) if function.__qualname__.startswith(f"{one.__qualname__}.")]
    for function in own:
        lines = linecache.getlines(function.__code__.co_filename)
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == one.__name__:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                if first <= function.__code__.co_firstlineno <= (node.end_lineno or first):
                    return "".join(lines[first - 1 : node.end_lineno])
    return inspect.getsource(one)


def _instructions(code: CodeType) -> str:
    constants = [_instructions(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return repr((code.co_code, code.co_names, constants))


def _root_of(module: ModuleType) -> str:
    """The folder from which a module is imported."""
    file = Path(str(module.__file__)).resolve()
    depth = module.__name__.count(".") + (file.name == "__init__.py")
    return str(file.parents[depth])
