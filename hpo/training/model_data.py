"""What a saved model knows of its data: a member of the .keras file, which is a zip archive, beside Keras's own."""

import json
import zipfile
from pathlib import Path

from hpo.data.dataset import DatasetInfo
from hpo.data.info_json import info_as_json, info_from_json

_MEMBER = "hpo.json"


def write_info(model_file: Path, info: DatasetInfo) -> None:
    """Adds what is known of the data to a saved model, which Keras loads as before."""
    with zipfile.ZipFile(model_file, "a") as archive:
        archive.writestr(_MEMBER, json.dumps({"format": 1, "data": info_as_json(info)}, indent=1))


def read_info(model_file: Path) -> DatasetInfo | None:
    """What `write_info` wrote; None where a model was saved by others, or again since."""
    with zipfile.ZipFile(model_file) as archive:
        if _MEMBER not in archive.namelist():
            return None
        return info_from_json(json.loads(archive.read(_MEMBER))["data"])
