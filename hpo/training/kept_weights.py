"""The weights of an epoch that are kept, tested and saved: those that a `model.fit` ending there would leave."""

from collections.abc import Sequence
from typing import Any

import keras

from hpo.training.keras_compat import shows_averages


def kept_weights(model: keras.Model, callbacks: Sequence[keras.callbacks.Callback] = ()) -> list[Any]:
    """The weights of a model at the end of an epoch, in the order of `model.get_weights()`.

    At its end `model.fit` has the optimizer finalize the weights: one that averages them (`use_ema`) then puts the
    averages in their place. So the averages up to the best epoch are what is kept of it, while the model trains on
    from the weights as they are. Validation sees what it sees in `model.fit`: the averages where the trial has the
    callback SwapEMAWeights, else the weights as they are.

    `callbacks`: those that the model trains with.
    """
    if any(shows_averages(callback) for callback in callbacks) or not _finalizes(model.optimizer):
        return list(model.get_weights())
    variables = [variable.value for variable in (*model.trainable_variables, *model.optimizer.variables)]
    before = [variable.numpy() for variable in variables]
    try:
        model.optimizer.finalize_variable_values(model.trainable_variables)
        return list(model.get_weights())
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def finalize(model: keras.Model) -> None:
    """What `model.fit` does after its last epoch."""
    if _finalizes(model.optimizer):
        model.optimizer.finalize_variable_values(model.trainable_variables)


def _finalizes(optimizer: Any) -> bool:
    if not isinstance(optimizer, keras.optimizers.Optimizer) or not optimizer.built:
        return False
    own = type(optimizer).finalize_variable_values is not keras.optimizers.Optimizer.finalize_variable_values
    return own or bool(getattr(optimizer, "use_ema", False))
