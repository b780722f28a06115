"""Import paths of `__main__`: what stands in the running script or in a notebook's cells is kept for a study.

A worker has another `__main__`, and so has whoever opens the study later.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo.errors import ModelError, nearest
from hpo.plan.plan import Plan, load_plan
from hpo.python.keep import Given, folder_of, keep_code

_OF_MAIN = re.compile(r"__main__:(?P<name>[^\W\d]\w*)(?P<inside>(\.[^\W\d]\w*)*)")
_DATA = ("dataset", "function")


def with_main_kept(plan: Plan) -> Plan:
    """A plan whose paths `__main__:NAME` name what the study's own folder keeps, as `hpo.tune` keeps functions.

    Raises:
        ModelError: `__main__` has no such name, or what it has cannot be handed to other processes.
    """
    space = plan.documents["search_space"].data
    experiment = {**plan.documents["experiment"].data, "search_space": space}
    named = dict(_paths(experiment, ()))
    if not named:
        return plan
    found = {path: _found(path) for path in named.values()}
    of_data = {named[_DATA]} if _DATA in named else set()
    code = {_name(path): one for path, one in found.items() if path not in of_data}
    folder = folder_of(plan.home, plan.experiment.name)
    given = Given(code, {_name(path): found[path] for path in of_data})
    module, source = keep_code(folder, plan.experiment.name, given)
    moved = _moved(experiment, module)
    kept = load_plan(moved, home=plan.home, folders=(*plan.folders, folder, *map(Path, source.folders)))
    texts = "\n".join(filter(None, (plan.files.get("code"), source.text() if code else "")))
    # The lines of mistakes are those of the user's files.
    return replace(kept, files={**kept.files, **({"code": texts} if texts else {})}, documents=plan.documents)


def _paths(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Where paths of `__main__` stand, and these."""
    listed = enumerate(value) if isinstance(value, list | tuple) else ()
    inside = value.items() if isinstance(value, Mapping) else listed
    for key, one in inside:
        yield from _paths(one, (*place, key))
    if isinstance(value, str) and _OF_MAIN.fullmatch(value):
        yield place, value


def _moved(value: Any, module: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _moved(one, module) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_moved(one, module) for one in value]
    path = _OF_MAIN.fullmatch(value) if isinstance(value, str) else None
    return value if path is None else f"{module}:{path['name']}{path['inside']}"


def _name(path: str) -> str:
    return path.removeprefix("__main__:").partition(".")[0]


def _found(path: str) -> Any:
    main, name = sys.modules["__main__"], _name(path)
    if not hasattr(main, name):
        public = sorted(one for one in dir(main) if not one.startswith("_"))
        hint = nearest(name, public) if public else "it has no public names"
        raise ModelError(f"{path}: the running script or notebook has no {name!r}; {hint}")
    return getattr(main, name)
