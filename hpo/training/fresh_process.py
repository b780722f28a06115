"""A trial sees its process as a script that Python has just started would, though many share the process.

The user's modules are imported once in a process. What they set as they are imported holds for each trial: Keras keeps
much of that for each thread, and each trial has a thread. What a trial sets or changes ends with it.
"""

import contextvars
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from hpo.system.imports import load_object
from hpo.training.global_settings import Settings, Values, read_thread, set_by_users, write_thread
from hpo.training.keras_compat import thread_state
from hpo.training.module_state import Rollback

Result = TypeVar("Result")

# What the user's modules set for a thread as they were imported, by their names.
_SET_BY: dict[str, tuple[Values, contextvars.Context]] = {}
# Modules that are none of the user's: there are thousands, and they stay what they are.
_FOREIGN: dict[tuple[str, ...], set[str]] = {}


def run_fresh(paths: Sequence[str], folders: Sequence[str], own_process: bool, run: Callable[[], Result]) -> Result:
    """Runs a trial, or whatever else runs the user's code.

    Args:
        paths: import paths of the user's code that it uses.
        folders: in which these are looked for.
        own_process: whether trials have the process to themselves. In a process that is a user's or a coordinator's
            too, its environment variables, working directory, warning filters and `sys.path` stay as they come to be.
        run: what runs.

    Raises:
        ModelError: an import path names nothing, or its module raised.
    """
    before = read_thread()
    try:
        context = _imported(paths, folders)
        settings, modules = Settings(own_process), users_modules(folders)
        held = Rollback(modules)
        try:
            return context.copy().run(run)
        finally:
            held.restore()
            for module in users_modules(folders):
                # Imported by the trial itself, which the next one would do too.
                if module not in modules:
                    sys.modules.pop(module.__name__, None)
            settings.restore()
    finally:
        write_thread(before)


def _imported(paths: Sequence[str], folders: Sequence[str]) -> contextvars.Context:
    """Imports the user's modules, or sets for this thread what they did; returns what they set of its context."""
    context = contextvars.Context()
    own = set_by_users(thread_state())
    write_thread({})
    for path in dict.fromkeys(path.partition(":")[0] for path in paths):
        if path in _SET_BY:
            state, known = _SET_BY[path]
            write_thread({**read_thread(), **state})
            context = known if not list(context) else context
            continue
        before = read_thread()
        if path in sys.modules:
            # Imported by others of this process: what they set then, and since, is what holds in their thread.
            write_thread({**before, **own})
        else:
            context.run(_import, path, paths, folders)
        state = {name: value for name, value in read_thread().items() if before.get(name) is not value}
        _SET_BY[path] = state, context.copy()
    return context


def _import(module: str, paths: Sequence[str], folders: Sequence[str]) -> None:
    load_object(next(path for path in paths if path.partition(":")[0] == module), folders)


def users_modules(folders: Sequence[str]) -> list[ModuleType]:
    """The modules that lie in the folders, but for what is installed there."""
    roots = tuple(str(Path(folder).resolve()) for folder in folders)
    foreign = _FOREIGN.setdefault(roots, set())
    found: list[ModuleType] = []
    for name in sorted(sys.modules.keys() - foreign):
        module: Any = sys.modules.get(name)
        # TensorFlow has modules that are loaded by asking them for anything but their dictionary.
        known = vars(module) if isinstance(module, ModuleType) else {}
        if _is_users(str(known.get("__name__", name)), known.get("__file__"), roots):
            found.append(module)
        else:
            foreign.add(name)
    return found


def _is_users(name: str, file: object, roots: Sequence[str]) -> bool:
    if not isinstance(file, str) or name.partition(".")[0] in ("hpo", "__main__"):
        return False
    path = Path(file)
    if "site-packages" in path.parts or "dist-packages" in path.parts:
        return False
    if any(path.is_relative_to(prefix) for prefix in {sys.prefix, sys.base_prefix}):
        return False
    return any(path.is_relative_to(root) for root in roots)
