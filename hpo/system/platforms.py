"""What hpo runs on: Linux and macOS, and Keras over TensorFlow."""

import json
import os
import sys
from pathlib import Path

from hpo.errors import UserError


def refuse_other_systems() -> None:
    """Refuses what hpo does not run on, by name.

    Raises:
        UserError: this is Windows.
    """
    if sys.platform == "win32":
        raise UserError("hpo runs on Linux and macOS, and not on Windows itself; it does in WSL")


def refuse_other_backends() -> None:
    """Refuses a backend of Keras other than TensorFlow, before anything is made.

    Raises:
        UserError: KERAS_BACKEND, or else Keras's own file, names another.
    """
    name, where = os.environ.get("KERAS_BACKEND"), "KERAS_BACKEND"
    if not name:
        file = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
        name, where = _in(file), str(file)
    if name not in (None, "tensorflow"):
        raise UserError(f"{where}: hpo trains by Keras over tensorflow, got {name!r}; set KERAS_BACKEND=tensorflow")


def _in(file: Path) -> str | None:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(said["backend"]) if isinstance(said, dict) and "backend" in said else None
