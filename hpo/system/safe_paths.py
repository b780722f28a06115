"""Checks of names and paths from stores and files: they may only lead to files that runs write."""

import hashlib
import re
from pathlib import PurePath
from urllib.parse import quote

_MODEL = re.compile(r"(trial|carried)-\d+(\.\d+)?\.keras")
_LONGEST = 200


def is_kept_model(path: object) -> bool:
    """Whether a path is that of a model file that a run writes: `.../models/STUDY/trial-0007.keras`.

    hpo copies and logs such files, and removes those of trials that were beaten. A store that came from somebody else
    must not name any other file.
    """
    if not isinstance(path, str) or "\0" in path:
        return False
    parts = PurePath(path).parts
    return "models" in parts[-3:-1] and ".." not in parts and _MODEL.fullmatch(parts[-1]) is not None


def file_name(study: str) -> str:
    """A study's name as part of a file name. A name that hpo allows stays as it is."""
    name = quote(study, safe="@")
    return name if len(name) <= _LONGEST else hashlib.sha256(study.encode("utf-8", "surrogatepass")).hexdigest()
