"""Names and paths that a store or a file says, which may lead nowhere but where runs leave what they leave."""

import hashlib
import re
from pathlib import PurePath
from urllib.parse import quote

_MODEL = re.compile(r"(trial|carried)-\d+(\.\d+)?\.keras")
_LONGEST = 200


def is_kept_model(path: object) -> bool:
    """Whether a path is that of a model that a run keeps: `.../models/STUDY/trial-0007.keras`.

    Such files are copied, logged and, once beaten, removed: a store that was handed on may name no other.
    """
    if not isinstance(path, str) or "\0" in path:
        return False
    parts = PurePath(path).parts
    return "models" in parts[-3:-1] and ".." not in parts and _MODEL.fullmatch(parts[-1]) is not None


def file_name(study: str) -> str:
    """A study's name as a part of a file's name: one that hpo allows is itself."""
    name = quote(study, safe="@")
    return name if len(name) <= _LONGEST else hashlib.sha256(study.encode("utf-8", "surrogatepass")).hexdigest()
