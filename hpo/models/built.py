"""The result of building a model, and the error for parameters with which it cannot be built."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.config.declared import Declared
from hpo.errors import ModelError

if TYPE_CHECKING:
    import keras


class InvalidModel(ModelError):
    """The model cannot be built with these parameters, but may be built with others.

    `key` is the parameter at fault; None if no single one is.
    """

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class NotApplied(InvalidModel):
    """A key of the training section that has no effect on a model which comes compiled, whatever its value is."""


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Built:
    """A model for one trial."""

    model: "keras.Model"
    """The model, compiled or not."""
    fit: Callable[..., Any] | None = None
    """A KerasTuner HyperModel's own `fit`, called as `fit(model, *args, **kwargs)`; None for `model.fit`.
    Raises InvalidModel where it raised FailedTrialError."""
    declared: Callable[[], Declared | None] = _nothing
    """Returns the hyperparameters that `build` and `fit` declared so far; None if all of them were known before."""
    apart: Callable[[], str | None] = _nothing
    """Returns why the model is not what its `fit` has trained; None if it is."""
    by: str = "fit"
    """What returns the score, for messages: the `fit`, or the `run_trial` of a tuner."""
    reads: frozenset[str] = frozenset()
    """The keys of the configuration that the code of the model has read, and has done with what it will."""
