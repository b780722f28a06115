"""What is known of a dataset as JSON values: as studies, prepared folders and saved models keep it."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from hpo.data.dataset import DatasetInfo

_INFO = TypeAdapter(DatasetInfo)


def info_as_json(info: DatasetInfo) -> dict[str, Any]:
    """What is known of a dataset as JSON values."""
    plain: dict[str, Any] = _INFO.dump_python(info, mode="json")
    return plain


def info_from_json(plain: Mapping[str, Any]) -> DatasetInfo:
    """The same read again; fields that an older hpo did not keep have their defaults."""
    return _INFO.validate_python(plain)
