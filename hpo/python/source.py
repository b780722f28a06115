"""The source of a user's functions and classes, with all that they use: what a study's code is recognised by.

Pickled functions will not do for that: they contain the numbers of lines and the names of a notebook's cells.
"""

import hashlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from hpo.python.described import Description, is_users, literal
from hpo.python.used import codes_in, functions_of, instructions_of, methods_of, source_of, used_by
from hpo.system.digests import sha256_of


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
    modules: dict[str, None] = field(default_factory=dict)
    """These modules."""
    objects: list[Any] = field(default_factory=list)
    """The functions and classes themselves."""
    files: dict[str, None] = field(default_factory=dict)
    """The files of its functions, which are no files for the cells of a notebook."""
    owners: dict[str, str] = field(default_factory=dict)
    """Name of a constant -> the module that it was found in first."""
    values: list[tuple[str, str]] = field(default_factory=list)
    """The names and texts of all constants and imports, also where functions have others of one name."""
    module: str = "__main__"
    """The module whose code is being added."""
    seen: dict[int, Any] = field(default_factory=dict)
    """The functions and classes that were added, by their `id`."""

    def text(self) -> str:
        """The code as the text of a module."""
        parts = ["\n".join(self.imports.values()), "\n".join(f"{one} = {at}" for one, at in self.constants.items())]
        named = "\n".join(f"{name} = {found}" for name, found in self.names.items() if name != found)
        return "\n\n\n".join(part for part in (*parts, *self.sources.values(), named) if part) + "\n"

    def digest(self) -> str:
        """A short name for this code."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:10]

    def content_digest(self) -> str:
        """A digest that no other code has, also where several closures have variables of one name."""
        return hashlib.sha256(repr((self.text(), self.values)).encode()).hexdigest()


def code_of(objects: Mapping[str, Any]) -> Code:
    """The code of functions, classes and instances, and of everything of the user's that they use, at any depth.

    What libraries contain is imported by name. A function of a module of the user's is followed like one of a notebook.
    """
    code = Code()
    for name, one in objects.items():
        if isinstance(one, FunctionType | type):
            code.names[name] = one.__qualname__
        _add(getattr(one, "__name__", name), one, code)
    return code


def _add(name: str, one: Any, code: Code) -> None:
    """Adds what a name refers to, after all that it uses itself."""
    if isinstance(one, ModuleType):
        spec = one.__name__
        line = f"import {spec}" if name == spec else f"import {spec} as {name}"
        if is_users(spec):
            code.folders.setdefault(_root_of(one))
            code.modules.setdefault(spec)
            line += f"  # {_digest_of_files(one)}"
        code.imports[name] = line
        code.values.append((name, line))
    elif isinstance(one, MethodType):
        _add(name, one.__self__, code)
    elif isinstance(one, FunctionType | type):
        _add_code(name, one, code)
    elif callable(one) and getattr(one, "__wrapped__", None) is not None:
        _add(name, inspect.unwrap(one), code)
    else:
        _add_value(name, one, code)


def _add_code(name: str, one: Any, code: Code) -> None:
    if id(one) in code.seen:
        return
    code.seen[id(one)] = one
    if not is_users(one.__module__):
        code.imports[name] = f"from {one.__module__} import {one.__qualname__}"
        code.values.append((name, code.imports[name]))
        return
    if one.__module__ != "__main__":
        code.folders.setdefault(_root_of(sys.modules[one.__module__]))
        code.modules.setdefault(one.__module__)
    with _inside(one.__module__, code):
        for used, value in used_by(one):
            _add(used, value, code)
        for function in functions_of(one) if isinstance(one, FunctionType) else methods_of(one):
            code.files.setdefault(function.__code__.co_filename)
        code.objects.append(one)
        if isinstance(one, FunctionType) and hasattr(one, "__wrapped__"):
            # Its text is that of the function inside, which was added. The decorator that stands there was, too.
            if not any(one.__code__ in codes_in(known) for known in code.objects if known is not one):
                digest = instructions_of([one])
                code.constants[f"{name}_wrapped"] = f"...  # a wrapper with the instructions {digest}"
            return
        code.sources[_unique(name, one, code)] = source_of(one)


@contextmanager
def _inside(module: str, code: Code) -> Iterator[None]:
    """While what a module's function uses is added: names are those of this module."""
    before, code.module = code.module, module
    try:
        yield
    finally:
        code.module = before


def _unique(name: str, one: Any, code: Code) -> str:
    label = getattr(one, "__qualname__", name)
    while label in code.sources:
        label += "_"
    return label


def _add_value(name: str, value: Any, code: Code) -> None:
    text = literal(value)
    if text is None:
        text = f"...  # {Description(lambda found, part: _add(found, part, code)).of(value)}"
    code.values.append((name, text))
    owner = code.owners.setdefault(name, code.module)
    if owner != code.module and code.constants.get(name) != text:
        # No text of one module can say both.
        name, text = f"{name}_{re.sub(r'[^0-9a-zA-Z]', '_', code.module)}", f"...  # {name} of {code.module}: {text}"
    code.constants[name] = text


def _digest_of_files(module: ModuleType) -> str:
    """A digest of the text of a module of the user's, and of all those of the user's that it has imported."""
    found, waiting = dict[str, str](), [module.__name__]
    while waiting:
        name = waiting.pop()
        one = sys.modules.get(name)
        if name in found or name == "__main__" or one is None or not is_users(name):
            continue
        try:
            found[name] = sha256_of(Path(str(one.__file__)))
        except OSError:
            found[name] = "no file"
        for value in vars(one).values():
            owner = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            waiting += [owner] if isinstance(owner, str) else []
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:10]


def _root_of(module: ModuleType) -> str:
    """The folder from which a module is imported."""
    file = Path(str(module.__file__)).resolve()
    depth = module.__name__.count(".") + (file.name == "__init__.py")
    return str(file.parents[depth])
