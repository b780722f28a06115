"""What a saved model knows of its data: a member of the .keras file, which is a zip archive, beside Keras's own."""

import json
import zipfile
from pathlib import Path
from typing import Any

from hpo.data.dataset import DatasetInfo
from hpo.data.info_json import info_as_json, info_from_json
from hpo.training.heads import Logits

_MEMBER = "hpo.json"


def write_info(model_file: Path, info: DatasetInfo, logits: Logits = None) -> None:
    """Adds what is known of the data to a saved model, which Keras loads as before.

    `logits`: what makes probabilities of what the model puts out.
    """
    with zipfile.ZipFile(model_file, "a") as archive:
        archive.writestr(_MEMBER, json.dumps({"format": 1, "data": info_as_json(info), "logits": logits}, indent=1))


def read_info(model_file: Path) -> DatasetInfo | None:
    """What `write_info` wrote of the data; None where a model was saved by others, or again since."""
    content = _content(model_file)
    return info_from_json(content["data"]) if content else None


def read_logits(model_file: Path) -> Logits:
    """What makes probabilities of what a saved model puts out; None where it is not known to need anything."""
    content = _content(model_file)
    found = content.get("logits")
    if isinstance(found, bool):
        # Earlier files say only whether there are logits.
        return None if not found else "sigmoid" if content["data"].get("task") == "multilabel" else "softmax"
    return found


def _content(model_file: Path) -> dict[str, Any]:
    with zipfile.ZipFile(model_file) as archive:
        return json.loads(archive.read(_MEMBER)) if _MEMBER in archive.namelist() else {}
