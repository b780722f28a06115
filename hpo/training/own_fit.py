"""A HyperModel's own `fit`, and what it does to inputs before it hands them to `model.fit`."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

PREPARED = (
    "was trained on inputs that the HyperModel's own fit prepares, which is no part of it: what its file predicts must "
    "be prepared in the same way"
)


class _HandedOver(BaseException):
    """Ends a `fit` where it would begin to train."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.data = data


class OwnFit:
    """Trains by a HyperModel's own `fit`, and prepares other parts as that prepares the validation part."""

    def __init__(self, fit: Callable[..., Any], model: keras.Model) -> None:
        self._fit = fit
        self._model = model
        self._arguments: tuple[Any, Any, dict[str, Any]] | None = None
        self.prepares: bool | None = None
        """Whether it hands over other inputs than it was given; None where it was not seen to hand over any."""

    def train(self, x: Any, y: Any, validation: Any, **options: Any) -> Any:
        """Calls the `fit`, and looks at the validation part that it hands to `model.fit`."""
        self._arguments = (x, y, {**options, "callbacks": []})
        plain = self._model.fit

        def seen(*arguments: Any, **given: Any) -> Any:
            if (handed := given.get("validation_data")) is not None:
                self.prepares = bool(self.prepares) or not _same_inputs(handed, validation)
            return plain(*arguments, **given)

        self._model.fit = seen
        try:
            return self._fit(self._model, x, y, validation_data=validation, **options)
        finally:
            self._model.fit = plain

    def prepared(self, part: Any) -> Any:
        """Another part as the `fit` hands it over in the place of the validation part. Nothing is trained.

        Raises:
            ValueError: it hands over none.
            Exception: whatever it raises.
        """
        assert self._arguments is not None
        x, y, options = self._arguments
        plain = self._model.fit

        def hand_over(*arguments: Any, **given: Any) -> Any:
            raise _HandedOver(given.get("validation_data"))

        self._model.fit = hand_over
        try:
            self._fit(self._model, x, y, validation_data=part, **options)
        except _HandedOver as handed:
            if handed.data is not None:
                return handed.data
        finally:
            self._model.fit = plain
        raise ValueError("the HyperModel's own fit prepares inputs, and handed over none of the test")


def _same_inputs(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if not isinstance(one, tuple | list) or not isinstance(other, tuple | list):
        return False
    mine, theirs = one[0], other[0]
    if mine is theirs:
        return True
    try:
        return np.array_equal(np.asarray(mine), np.asarray(theirs))
    except (TypeError, ValueError):
        return False
