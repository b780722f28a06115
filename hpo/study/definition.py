"""The definition of a study, which must not change under its name, and how two definitions differ."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.config.space import SearchSpace


@dataclass(frozen=True)
class Definition:
    """The definition of a study: under one name it must not change."""

    space: SearchSpace
    """The search space of the file."""
    epochs: int
    identity: Mapping[str, Any]
    """search_space, objective, dataset, training, seed; JSON values."""
    files: Mapping[str, str]
    """The YAML files as the user wrote them."""
    experiment: Mapping[str, Any]
    """The experiment with all defaults and overrides applied, including its search space; JSON values."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What is known about the dataset, as `hpo.data.info_json.info_as_json` writes it."""
    folders: Sequence[str] = ()
    """The folders where the user's relative paths and import paths are looked up, in this order."""
    folds: bool = False
    """Whether its trials are trained on folds: `epochs` is then their number."""
    lengthens: bool = False
    """Whether its trials may go on with more epochs than they were begun with: a trial of n epochs is the same as the
    first n epochs of a longer one."""
    declared: Declared = NOTHING_DECLARED
    """The parameters that its model declares itself."""

    @property
    def whole_space(self) -> SearchSpace:
        """The space of the file, with the parameters that the model declares itself."""
        return self.declared.added_to(self.space)


def differ_in_epochs_alone(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether two definitions differ in nothing but the number of epochs."""
    return [line.partition(":")[0] for line in differences(known, wanted)] == ["training.epochs"]


def differences(known: Any, wanted: Any, key: str = "") -> Iterator[str]:
    """The differences between two definitions, a line for each key: `training.epochs: 20 -> 40`."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        for name in dict.fromkeys((*known, *wanted)):
            yield from differences(known.get(name), wanted.get(name), f"{key}.{name}" if key else name)
    elif known != wanted:
        yield f"{key}: {json.dumps(known)} -> {json.dumps(wanted)}"
