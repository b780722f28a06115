"""What decides the data that a function of the user's returns, as far as that is known without calling it."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.data.arguments import KEY
from hpo.errors import DataError
from hpo.system.code_files import code_files
from hpo.system.digests import sha256_of
from hpo.system.home import expanded
from hpo.system.imports import may_have_changed
from hpo.system.kept_code import source_of_kept
from hpo.system.versions import versions

_MOST_FILES = 100_000
"""The most files of a folder that an argument names."""
_Versions = list[tuple[str, int, int, int]]


@dataclass(frozen=True)
class FunctionKey:
    """What a call depends on."""

    described: Sequence[Any]
    """JSON values: where the function is, its code and all of the user's that it imports, the versions of Python, NumPy
    and the libraries that it imports, its arguments, the files that they name, and the working directory."""
    edited: Sequence[str]
    """The user's modules of which this process may have imported another text than their files have now."""


def key_of(function: str, folders: Sequence[Path], arguments: Mapping[str, Any]) -> FunctionKey:
    """The key of a call of a function whose module has been imported; its arguments may name files in `folders`.

    Raises:
        DataError: an argument names a folder of too many files.
    """
    module = function.partition(":")[0]
    file = Path(str(getattr(sys.modules[module], "__file__", None))).resolve()
    if (kept := source_of_kept(function)) is not None:
        # The module that has it is made anew for each study.
        code, place = code_files(kept.modules), [kept.digest]
    else:
        # Equal modules in two folders may read other files beside them.
        code, place = code_files([module]), [function, str(file)]
    digests = {name: sha256_of(path) for name, path in code.files.items()}
    own = versions()
    software = {"python": own["python"], "numpy": own["numpy"], **code.versions()}
    named = _files_named(arguments, [Path.cwd(), file.parent, *folders])
    # `repr` tells 1 from "1" as a key, which JSON does not.
    described = [place, os.getcwd(), digests, software, repr(dict(arguments)), named]
    return FunctionKey(described, [name for name, path in code.files.items() if may_have_changed(name, path)])


def _files_named(arguments: Mapping[str, Any], bases: Sequence[Path]) -> dict[str, _Versions]:
    """The files and folders that texts among the arguments name, with the versions of all files."""
    found: dict[str, _Versions] = {}
    for name, value in arguments.items():
        for text in filter(None, _texts(value)):
            for path in (base / expanded(text) for base in bases):
                # What is no path of a file may be too long for one, or have a NUL in it.
                with suppress(OSError, ValueError):
                    found[str(path)] = [_version(path, ""), *_inside(path, name)]
    return dict(sorted(found.items()))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _version(path: Path, name: str) -> tuple[str, int, int, int]:
    """A name, the size in bytes, and two times in nanoseconds: of the content, and of any change, which nobody sets."""
    state = path.stat()
    return name, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _inside(folder: Path, argument: str) -> Iterator[tuple[str, int, int, int]]:
    """The files in a folder at any depth; none of what is a file."""
    count = 0
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                rule = f"names {folder}, which has more than {_MOST_FILES} files: too many to see whether they change"
                raise DataError(f"{rule}; leave dataset.cache out", (*KEY, argument))
            with suppress(OSError):
                yield _version(Path(root, name), os.path.relpath(os.path.join(root, name), folder))
