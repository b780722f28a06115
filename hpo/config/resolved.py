"""What a trial resolved to: every setting, as its job had them; worked out once, with the job."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Resolved:
    """The settings of one trial or run, whether its configuration or its experiment says them; JSON values."""

    training: Mapping[str, Any]
    """The section `training`."""
    dataset: Mapping[str, Any]
    """The section `dataset`, with the scaling and the task that the data decided where it says none."""
    model: Mapping[str, Any]
    """What its configuration sets of the model: key -> value."""


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key -> value of nested settings: training.early_stopping.patience; those that are set."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        elif value is not None:
            yield f"{above}{name}", value
