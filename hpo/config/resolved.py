"""The resolved settings of a trial: every setting that its job had, computed once, together with the job."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Resolved:
    """The settings of one trial or run, from its configuration and from its experiment; JSON values."""

    training: Mapping[str, Any]
    """The section `training`."""
    dataset: Mapping[str, Any]
    """The section `dataset`; a scaling and a task that it leaves out are those that the data decided."""
    model: Mapping[str, Any]
    """The model's parameters that the configuration sets: key -> value."""


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The (dotted key, value) pairs of nested settings that are set: `training.early_stopping.patience`, ..."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        elif value is not None:
            yield f"{above}{name}", value
