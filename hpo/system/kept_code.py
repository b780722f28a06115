"""Objects of the user's that a study keeps in its own folder as pickles, with the digests that these must have.

The folder is the owner's alone. The digest stands in the module that names the file: a pickle from elsewhere, or one
that was changed, is never loaded.
"""

import hashlib
import linecache
import os
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.errors import ModelError


@dataclass(frozen=True)
class KeptSource:
    """What is known of the source of a function that a study keeps."""

    digest: str
    """Of its text, and of that of all of the user's that it uses."""
    modules: tuple[str, ...]
    """The user's modules that it uses."""


def source_of_kept(path: str) -> KeptSource | None:
    """The source of a function `module:name` that a study keeps, whose module has been imported; None for any other."""
    module, _, name = path.partition(":")
    known = getattr(sys.modules[module], "_SOURCES_KEPT_BY_HPO", {}).get(name.partition(".")[0])
    return None if known is None else KeptSource(*known)


def load_kept(folder: Path, name: str, digest: str) -> Any:
    """What a file of a study's own folder holds, new at each call.

    Raises:
        ModelError: the file is missing, is another user's, is not what was kept, or needs a module that is not there.
    """
    path = folder / name
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_uid != os.getuid():
                raise ModelError(f"{path}: belongs to another user, and is not loaded")
            content = file.read()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; run the cell or the script again") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelError(f"{path}: is not what the study kept, and is not loaded; run the cell or the script again")
    kept = pickle.loads(content)
    # Tracebacks can then show the lines of cells.
    for file_name, text in kept["cells"].items():
        linecache.cache.setdefault(file_name, (len(text), None, text.splitlines(keepends=True), file_name))
    if kept["before"] is not None:
        kept["before"]()
    return kept["object"]
