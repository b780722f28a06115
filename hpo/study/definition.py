"""What makes a study this study and no other, and how two definitions differ."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.config.space import SearchSpace


@dataclass(frozen=True)
class Definition:
    """What makes a study this study: under one name it must not change."""

    space: SearchSpace
    """The file's."""
    epochs: int
    identity: Mapping[str, Any]
    """search_space, objective, dataset, training, seed; JSON values."""
    files: Mapping[str, str]
    """The YAML files as the user wrote them."""
    experiment: Mapping[str, Any]
    """The experiment with all defaults and overrides in place, and its search space within; JSON values."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the dataset, by `hpo.data.info_json.info_as_json`."""
    folders: Sequence[str] = ()
    """Where relative paths and import paths of the user's are looked for, in this order."""
    declared: Declared = NOTHING_DECLARED
    """What its model declares of itself."""

    @property
    def whole_space(self) -> SearchSpace:
        """The space of the file, and what the model declares beside."""
        return self.declared.added_to(self.space)


def differences(known: Any, wanted: Any, key: str = "") -> Iterator[str]:
    """What differs between two definitions, a line for each key: `training.epochs: 20 -> 40`."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        for name in dict.fromkeys((*known, *wanted)):
            yield from differences(known.get(name), wanted.get(name), f"{key}.{name}" if key else name)
    elif known != wanted:
        yield f"{key}: {json.dumps(known)} -> {json.dumps(wanted)}"
