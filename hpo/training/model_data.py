"""What a saved model knows of its data: a member of the .keras file, which is a zip archive, beside Keras's own."""

import json
import zipfile
from pathlib import Path
from typing import Any

from hpo.data.dataset import DatasetInfo
from hpo.data.info_json import info_as_json, info_from_json

_MEMBER = "hpo.json"


def write_info(model_file: Path, info: DatasetInfo, logits: bool = False) -> None:
    """Adds what is known of the data to a saved model, which Keras loads as before.

    `logits`: whether the model puts out logits, of which softmax or sigmoid makes probabilities.
    """
    with zipfile.ZipFile(model_file, "a") as archive:
        archive.writestr(_MEMBER, json.dumps({"format": 1, "data": info_as_json(info), "logits": logits}, indent=1))


def read_info(model_file: Path) -> DatasetInfo | None:
    """What `write_info` wrote of the data; None where a model was saved by others, or again since."""
    content = _content(model_file)
    return info_from_json(content["data"]) if content else None


def puts_out_logits(model_file: Path) -> bool:
    """Whether a saved model is known to put out logits."""
    return bool(_content(model_file).get("logits"))


def _content(model_file: Path) -> dict[str, Any]:
    with zipfile.ZipFile(model_file) as archive:
        return json.loads(archive.read(_MEMBER)) if _MEMBER in archive.namelist() else {}
