"""What building a model yields, and the error where its parameters allow none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.config.declared import Declared
from hpo.errors import ModelError

if TYPE_CHECKING:
    import keras


class InvalidModel(ModelError):
    """The model cannot be built with these parameters; others may do.

    `key` is the parameter at fault, where one is.
    """

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Built:
    """A model for one trial."""

    model: "keras.Model"
    """Compiled or not."""
    fit: Callable[..., Any] | None = None
    """A KerasTuner HyperModel's own `fit`, called as `fit(model, *args, **kwargs)`; None for `model.fit`.
    Raises InvalidModel where it raised FailedTrialError."""
    declared: Callable[[], Declared | None] = _nothing
    """What `build`, or `fit` once it ran, declared, where that is more than was known; else None."""
