"""The studies in the coordinator's storage: attributes are read from the database once, and then from memory."""

import copy
import json
from abc import ABC
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from hpo.storage.writer import Writer

_T = TypeVar("_T")


class StudyStorage(BaseStorage, ABC):
    """The part of a storage for studies; the subclass has the part for trials."""

    def __init__(self, backend: BaseStorage, writer: Writer) -> None:
        self._backend = backend
        self._writer = writer
        self._known: dict[tuple[str, Any], Any] = {}

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Creates a study."""
        return self._writer.call(lambda: self._backend.create_new_study(directions, study_name))

    def delete_study(self, study_id: int) -> None:
        """Deletes a study."""
        self._writer.call(lambda: self._backend.delete_study(study_id))
        self._known = {}

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Sets an attribute of a study."""
        self._attributes("user", study_id)[key] = value = as_json(value)
        self._writer.post(lambda: self._backend.set_study_user_attr(study_id, key, value))
        self._writer.settle()

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Sets an attribute of a study that a sampler uses."""
        self._attributes("system", study_id)[key] = value = as_json(value)
        self._writer.post(lambda: self._backend.set_study_system_attr(study_id, key, value))
        self._writer.settle()

    def get_study_id_from_name(self, study_name: str) -> int:
        """The database's key of a study."""
        return self._once("id", study_name, self._backend.get_study_id_from_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """The name of a study."""
        return self._once("name", study_id, self._backend.get_study_name_from_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Whether a study maximizes or minimizes."""
        return list(self._once("directions", study_id, self._backend.get_study_directions))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """The attributes of a study."""
        return copy.deepcopy(self._attributes("user", study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """The attributes of a study that samplers use."""
        return copy.deepcopy(self._attributes("system", study_id))

    def get_all_studies(self) -> list[Any]:
        """All studies of the database, as Optuna's own storage reads them."""
        return self._writer.call(self._backend.get_all_studies)

    def _attributes(self, whose: str, study_id: int) -> dict[str, Any]:
        read = self._backend.get_study_user_attrs if whose == "user" else self._backend.get_study_system_attrs
        return self._once(whose, study_id, read)

    def _once(self, what: str, key: Any, read: Callable[[Any], _T]) -> _T:
        """Reads something about a study; from memory the second time, since nobody else changes it."""
        if (what, key) not in self._known:
            self._known[what, key] = self._writer.call(lambda: read(key))
        known: _T = self._known[what, key]
        return known


def as_json(value: Any) -> Any:
    """A value as it is read back from the database."""
    return json.loads(json.dumps(value))
