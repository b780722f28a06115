"""The files that a user's module is made of: its own, and those of the user's modules that it imports, at any depth.

They are found by reading: an import within a function counts before the function is called, and nothing is imported.
"""

import ast
import importlib.util
import pkgutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

_HERE = Path(__file__).resolve().parent.parent
_LIBRARIES = tuple({Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "purelib", "platlib")})
_INSTALLED = {"site-packages", "dist-packages"}


def is_users_file(file: str) -> bool:
    """Whether a module's file is the user's own: neither of a library, nor Python's, nor of hpo."""
    path = Path(file).resolve()
    return not any(path.is_relative_to(folder) for folder in (*_LIBRARIES, _HERE)) and not _INSTALLED & {*path.parts}


@dataclass(frozen=True)
class CodeFiles:
    """What modules are made of."""

    files: Mapping[str, Path]
    """The user's modules, and their files."""
    libraries: frozenset[str]
    """The names by which these import what is installed."""

    def versions(self) -> dict[str, str]:
        """The versions of the libraries, by the names of their distributions."""
        found: dict[str, str] = {}
        for name in sorted(self.libraries):
            found |= _versions_of(name)
        return found


def code_files(modules: Iterable[str]) -> CodeFiles:
    """What modules are made of that can be imported; a module that is no user's is one of the libraries."""
    files, libraries = dict[str, Path](), set[str]()
    waiting, seen = [*modules], set[str]()
    # A file written since the last import of its folder would not be seen otherwise.
    importlib.invalidate_caches()
    while waiting:
        name = waiting.pop()
        top, parent = name.partition(".")[0], name.rpartition(".")[0]
        if name in seen or top in sys.stdlib_module_names:
            continue
        seen.add(name)
        if (whole := _spec(top)) is None:
            continue
        if not is_users_file(_place(whole)):
            libraries.add(top)
            continue
        # A package is imported before what is in it.
        waiting += [parent] if parent else []
        spec = _spec(name)
        if spec is not None and spec.has_location and spec.origin is not None:
            files[name] = Path(spec.origin)
            waiting += _imported(files[name], name if spec.submodule_search_locations is not None else parent)
    return CodeFiles(dict(sorted(files.items())), frozenset(libraries))


def _spec(name: str) -> ModuleSpec | None:
    """Where a module is; None where there is none of that name. No package is imported for that."""
    parent = name.rpartition(".")[0]
    try:
        if not parent:
            return importlib.util.find_spec(name)
        above = _spec(parent)
        if above is None or above.submodule_search_locations is None:
            return None
        finders = (pkgutil.get_importer(place) for place in above.submodule_search_locations)
        return next(filter(None, (one.find_spec(name) for one in finders if one is not None)), None)
    except (ImportError, ValueError):  # the latter of modules that were made without a file
        return None


def _place(spec: ModuleSpec) -> str:
    # A folder without an __init__.py is a package, too.
    return (spec.origin if spec.has_location else None) or next(iter(spec.submodule_search_locations or ()), "")


def _imported(file: Path, package: str) -> Iterator[str]:
    """All that may be the name of a module which a file imports."""
    try:
        tree = ast.parse(file.read_bytes()) if file.suffix == ".py" else ast.Module([], [])
    except (SyntaxError, ValueError, OSError):  # as importing it will say
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            name = f"{'.' * node.level}{node.module or ''}"
            if node.level <= package.count(".") + 1:
                name = importlib.util.resolve_name(name, package)
                yield name
                yield from (f"{name}.{one.name}" for one in node.names)


def _versions_of(module: str) -> dict[str, str]:
    try:
        return {module: version(module)}
    except PackageNotFoundError:
        return {name: version(name) for name in sorted({*_distributions().get(module, ())})}


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    # This looks into every distribution, which takes a second.
    return packages_distributions()
