"""The platforms that hpo runs on: Linux and macOS, and Keras over TensorFlow."""

import json
import os
import sys
from pathlib import Path

from hpo.errors import UserError
from hpo.system.home import expanded


def refuse_other_systems() -> None:
    """Refuses operating systems that hpo does not run on.

    Raises:
        UserError: this is Windows.
    """
    if sys.platform == "win32":
        raise UserError("hpo runs on Linux and macOS, and not on Windows itself; in WSL it does")


def refuse_other_backends() -> None:
    """Refuses a backend of Keras other than TensorFlow, before anything is created.

    Raises:
        UserError: KERAS_BACKEND, or else Keras's own file, names another.
    """
    name, where = os.environ.get("KERAS_BACKEND"), "KERAS_BACKEND"
    if not name:
        file = Path(os.environ.get("KERAS_HOME") or expanded("~/.keras")) / "keras.json"
        name, where = _backend_in(file), str(file)
    if name not in (None, "tensorflow"):
        raise UserError(f"{where}: hpo trains by Keras over tensorflow, got {name!r}; set KERAS_BACKEND=tensorflow")


def _backend_in(file: Path) -> str | None:
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(settings["backend"]) if isinstance(settings, dict) and "backend" in settings else None
