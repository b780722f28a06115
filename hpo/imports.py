"""The user's own code by import path: `package.module:attribute`."""

import importlib
import pkgutil
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from hpo.errors import ModelError, nearest

_PATH = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<attribute>[^\W\d]\w*(\.[^\W\d]\w*)*)")


def load_object(path: str, folders: Sequence[Path | str]) -> Any:
    """Imports what a path `package.module:attribute` names; the attribute may be dotted.

    The folders are put first on `sys.path` and stay there, since the user's modules may import later.

    Raises:
        ModelError: the path has another form, names nothing, or the module itself raised; with the place.
    """
    form = _PATH.fullmatch(path)
    if form is None:
        module, _, attribute = path.rpartition(".")
        hint = f"; did you mean {module}:{attribute}?" if _PATH.fullmatch(f"{module}:{attribute}") else ""
        raise ModelError(f"must be an import path package.module:name, got {path!r}{hint}")
    found: Any = _module(path, form["module"], folders)
    owner = form["module"]
    for name in form["attribute"].split("."):
        if not hasattr(found, name):
            public = sorted(candidate for candidate in dir(found) if not candidate.startswith("_"))
            hint = nearest(name, public) if public else "it has no public names"
            raise ModelError(f"{path}: {owner} has no attribute {name!r}; {hint}")
        found, owner = getattr(found, name), f"{owner}.{name}"
    return found


def place_of(error: BaseException, folders: Sequence[Path | str]) -> str:
    """`file:line` where an error arose: the innermost line within the folders, else of any code."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    roots = [Path(folder).resolve() for folder in folders]
    own = [
        frame
        for frame in frames
        if any(Path(frame.filename).is_relative_to(root) for root in roots) and "site-packages" not in frame.filename
    ]
    innermost = (own or frames)[-1]
    return f"{innermost.filename}:{innermost.lineno}"


def _module(path: str, name: str, folders: Sequence[Path | str]) -> ModuleType:
    first = [str(Path(folder).resolve()) for folder in folders]
    sys.path[:] = [*dict.fromkeys(first), *(entry for entry in sys.path if entry not in first)]
    # A file written since the last import of its folder would not be seen otherwise.
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(f"{missing}."):
            raise _failed(path, error, folders) from error
        beside = [module.name for module in pkgutil.iter_modules(first)]
        hint = f"; {nearest(name, beside)}" if beside else ""
        searched = ", ".join(first) or "the Python path"
        raise ModelError(f"{path}: no module {missing!r} in {searched}{hint}") from None
    except (Exception, SystemExit) as error:
        raise _failed(path, error, folders) from error


def _failed(path: str, error: BaseException, folders: Sequence[Path | str]) -> ModelError:
    return ModelError(f"{path}: {place_of(error, folders)}: {type(error).__name__}: {error}")
