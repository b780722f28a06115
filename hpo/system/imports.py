"""The user's own code by import path: `package.module:attribute`."""

import importlib
import pkgutil
import re
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from hpo.errors import ModelError, nearest
from hpo.system.signals import Signalled

_HERE = Path(__file__).resolve().parent.parent
_IN_TEXT = re.compile(r'File "([^"]+)", line (\d+)')
_CELL = re.compile(r"[/\\]ipykernel_\d+[/\\]\d+\.py$|^<ipython-input-")
_SINCE: dict[str, float] = {}
"""Module -> when it was about to be imported, where that is known: seconds since 1970."""
_PATH = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<attribute>[^\W\d]\w*(\.[^\W\d]\w*)*)")


def load_object(path: str, folders: Sequence[Path | str]) -> Any:
    """Imports what a path `package.module:attribute` names; the attribute may be dotted.

    The folders are put first on `sys.path` and stay there, since the user's modules may import later.

    Raises:
        ModelError: the path has another form, names nothing, or the module itself raised; with file and line.
    """
    form = _PATH.fullmatch(path)
    if form is None:
        module, _, attribute = path.rpartition(".")
        hint = f"; did you mean {module}:{attribute}?" if _PATH.fullmatch(f"{module}:{attribute}") else ""
        raise ModelError(f"must be an import path package.module:name, got {path!r}{hint}")
    if form["module"] == "__main__":
        rule = "__main__ is the script or notebook that calls hpo.run or hpo.tune, and none does here"
        raise ModelError(f"{path}: {rule}; name the file: of models.py models:{form['attribute']}")
    found: Any = _module(path, form["module"], folders)
    owner = form["module"]
    for name in form["attribute"].split("."):
        if not hasattr(found, name):
            public = sorted(candidate for candidate in dir(found) if not candidate.startswith("_"))
            hint = nearest(name, public) if public else "it has no public names"
            raise ModelError(f"{path}: {owner} has no attribute {name!r}; {hint}")
        found, owner = getattr(found, name), f"{owner}.{name}"
    return found


@contextmanager
def noting_imports() -> Iterator[None]:
    """Notes of what is imported within the block that its files are read now; see `may_have_changed`."""
    before, now = {*sys.modules}, time.time()
    try:
        yield
    finally:
        _SINCE.update(dict.fromkeys(sys.modules.keys() - before, now))


def may_have_changed(module: str, file: Path) -> bool:
    """Whether a module's file may be another than the one that this process has imported, as after it was edited.

    Where nobody knows when it was imported, that may have been when the process began.
    """
    if module not in sys.modules:
        return False
    if module not in _SINCE:
        import psutil

        _SINCE[module] = psutil.Process().create_time()
    try:
        state = file.stat()
    except OSError:
        return True
    return max(state.st_mtime, state.st_ctime) > _SINCE[module]


def place_of(error: BaseException, folders: Sequence[Path | str]) -> str:
    """`file:line` where an error arose: the innermost line of code within the folders, else of any code."""
    return own_place(error, folders) or _innermost(error)


def own_place(error: BaseException, folders: Sequence[Path | str]) -> str | None:
    """`file:line` of the innermost line of the user's own code; None where there is none.

    The file is relative to the one of `folders` that it is in.
    """
    roots = [Path(folder).resolve() for folder in folders]
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    # Where TensorFlow has compiled the user's code, its error message names the lines.
    places += [(name, int(line)) for name, line in _IN_TEXT.findall(str(error))]
    for name, line in reversed(places):
        path = Path(name)
        if _CELL.search(name):
            return f"cell of the notebook, line {line}"
        root = next((root for root in roots if path.is_relative_to(root)), None)
        # A virtual environment may be in that folder, and so may hpo.
        if root is not None and "site-packages" not in path.parts and not path.is_relative_to(_HERE):
            return f"{path.relative_to(root)}:{line}"
    return None


def _innermost(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    return f"{frames[-1].filename}:{frames[-1].lineno}"


def _module(path: str, name: str, folders: Sequence[Path | str]) -> ModuleType:
    first = [str(Path(folder).resolve()) for folder in folders]
    sys.path[:] = [*dict.fromkeys(first), *(entry for entry in sys.path if entry not in first)]
    # A file written since the last import of its folder would not be seen otherwise.
    importlib.invalidate_caches()
    try:
        with noting_imports():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(f"{missing}."):
            raise _failed(path, error, folders) from error
        beside = [module.name for module in pkgutil.iter_modules(first)]
        hint = f"; {nearest(name, beside)}" if beside else ""
        searched = ", ".join(first) or "the Python path"
        raise ModelError(f"{path}: no module {missing!r} in {searched}{hint}") from None
    except (KeyboardInterrupt, Signalled):
        raise
    except BaseException as error:
        raise _failed(path, error, folders) from error


def _failed(path: str, error: BaseException, folders: Sequence[Path | str]) -> ModelError:
    return ModelError(f"{path}: {place_of(error, folders)}: {type(error).__name__}: {error}")
