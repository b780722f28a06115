"""A study's own folder for what Python gave it: functions and data, as files that an experiment can name.

`NAME_DIGEST.py` is a module like any other of the user's. It loads what the pickles beside it hold, new at each use,
so that no trial meets what an earlier one has changed. The digest in its name is that of the source.
"""

import hashlib
import linecache
import os
import pickle
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from hpo.errors import ModelError, UserError
from hpo.models.registered import register, registered
from hpo.python.source import Code, code_of
from hpo.python.used import used_by
from hpo.system.private_files import private_file, private_folder

_MODULE = '''"""Made by hpo: what a study was given in Python. {source} shows its source."""

from pathlib import Path

from hpo.system.kept_code import load_kept

_KEPT = {kept!r}
_MADE_ANEW = {made!r}
_SOURCES_KEPT_BY_HPO = {sources!r}


def __getattr__(name):
    if name not in _KEPT:
        raise AttributeError(name)
    load = lambda: load_kept(Path(__file__).parent, *_KEPT[name])
    return load if name in _MADE_ANEW else load()
'''
_OLD = 4
"""How many earlier pickles of the same code stay, which a process that still runs may need."""


@dataclass(frozen=True)
class Given:
    """What was given in Python, to be kept under names that an experiment can use."""

    code: Mapping[str, Any]
    """Name -> function, class or object of the user's. Its source belongs to what the study is."""
    functions: Mapping[str, Any]
    """Name -> function of the user's that makes data, whose content is what counts."""
    made_anew: frozenset[str] = frozenset()
    """The names of objects that are made anew at each use, as by a function: callbacks."""


def folder_of(home: Path, study: str) -> Path:
    """The folder in which a study keeps what Python gave it."""
    return home / "code" / study


def keep_code(
    folder: Path, study: str, given: Given, data: "Mapping[str, tuple[str, str]] | None" = None
) -> tuple[str, Code]:
    """Writes what was given into the study's folder; returns the name of the module that has it, and its code.

    `data`: further files of the folder that the module loads when they are called for: name -> (file, digest).

    Raises:
        ModelError: something cannot be handed to other processes.
    """
    code = code_of(given.code)
    slug = re.sub(r"\W", "_", study)
    module = f"{slug if slug[:1].isalpha() else f'study_{slug}'}_{code.digest()}"
    kept: dict[str, tuple[str, str]] = dict(data or {})
    used = code_of(given.functions)
    for name, one in {**given.code, **given.functions}.items():
        content = _pickled(name, one, {*code.files, *used.files}, registered(code.objects))
        digest = hashlib.sha256(content).hexdigest()
        file = f"{module}-{name}-{digest[:10]}.pkl"
        write_private(folder / file, lambda out, content=content: out.write(content))  # type: ignore[misc]
        kept[name] = (file, digest)
        _drop_old(folder, f"{module}-{name}-*.pkl")
    made = sorted({*given.made_anew, *(data or {})})
    # What data functions return may be kept from run to run, and pickles differ from run to run.
    sources = {name: (used.content_digest(), (*used.modules,)) for name in given.functions}
    text = _MODULE.format(source=f"{module}.txt", kept=kept, made=tuple(made), sources=sources)
    write_private(folder / f"{module}.txt", lambda out: out.write(code.text().encode()))
    write_private(folder / f"{module}.py", lambda out: out.write(text.encode()))
    # Whoever imported it before has to see what it names now.
    sys.modules.pop(module, None)
    code.folders.update(used.folders)
    return module, code


@contextmanager
def leaving_nothing(folder: Path) -> Iterator[None]:
    """If a mistake of the user's ends the block, a study's folder is again as it was before.

    That holds for the module of the same code, too: it names the pickles of the call that has written it last.
    """
    before = set(folder.glob("*"))
    texts = {path: path.read_bytes() for path in before if path.suffix in (".py", ".txt")}
    try:
        yield
    except UserError:
        for path in set(folder.glob("*")) - before:
            if path.is_file():
                path.unlink(missing_ok=True)
        for path, text in texts.items():
            if not path.is_file() or path.read_bytes() != text:
                write_private(path, lambda out, text=text: out.write(text))  # type: ignore[misc]
                sys.modules.pop(path.stem, None)
        if not before:
            with suppress(OSError):
                folder.rmdir()
        raise


def keep_object(folder: Path, name: str, one: Any) -> tuple[str, str]:
    """Writes an object of arrays and plain collections into the folder; returns the file's name and its digest."""
    content = pickle.dumps({"object": one, "cells": {}, "before": None}, protocol=5)
    digest = hashlib.sha256(content).hexdigest()
    file = f"{name}-{digest[:16]}.pkl"
    if not (folder / file).exists():
        write_private(folder / file, lambda out: out.write(content))
    return file, digest


def write_private(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    private_file(temporary)
    try:
        with temporary.open("wb") as out:
            write(out)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _pickled(name: str, one: Any, files: Collection[str], known: Mapping[str, Any]) -> bytes:
    import cloudpickle

    begin = partial(register, known) if known else None
    try:
        inside: bytes = cloudpickle.dumps({"object": one, "cells": _cells(files), "before": begin})
    except Exception as error:  # whatever pickling an object of the user's raises
        culprit = _culprit(one)
        where = f"{name} uses {culprit}, which" if culprit else name
        rule = f"cannot be handed to worker processes: {type(error).__name__}: {error}"
        raise ModelError(f"{where} {rule}; make it inside the function instead") from None
    return inside


def _culprit(one: Any) -> str | None:
    """The name of what a function refers to that cannot be pickled."""
    import cloudpickle

    for name, value in used_by(one) if hasattr(one, "__code__") or isinstance(one, type) else ():
        try:
            cloudpickle.dumps(value)
        except Exception:  # whatever it raises
            return f"{name} ({type(value).__name__})"
    return None


def _cells(files: Collection[str]) -> dict[str, str]:
    """The texts of those of the files that are cells of a notebook, by the names that tracebacks have for them."""
    found = {}
    for file in files:
        if not Path(file).is_file() and (lines := linecache.getlines(file)):
            found[file] = "".join(lines)
    return found


def _drop_old(folder: Path, pattern: str) -> None:
    files = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    for path in files[: -_OLD - 1]:
        path.unlink(missing_ok=True)
