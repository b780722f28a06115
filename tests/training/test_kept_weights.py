"""The weights that are kept are those that a `model.fit` ending with the best epoch would leave."""

from typing import Any

import keras
import numpy as np
import pytest
from toys import CLASSES, FLAT, HEAD, PIXELS, layer, model_of

from hpo.training.kept_weights import kept_weights

X, Y = (PIXELS[:64] / 255).astype(np.float32), CLASSES[:64]


class Keeps(keras.callbacks.Callback):
    def __init__(self, *beside: Any) -> None:
        super().__init__()
        self.beside = beside
        self.kept: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.kept.append(kept_weights(self.model, self.beside))


def averaging() -> Any:
    return keras.optimizers.SGD(0.3, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=None)


def fitted(epochs: int, optimizer: Any, *callbacks: Any) -> keras.Model:
    model = model_of(FLAT, layer("Dense", 4, activation="relu"), HEAD, optimizer=optimizer)
    model.fit(
        X, Y, 16, epochs, shuffle=False, verbose=0, callbacks=[*callbacks], validation_data=(X[:8], Y[:8])
    )  # fmt: skip
    return model


@pytest.mark.parametrize(
    "optimizer", [averaging, lambda: keras.optimizers.LossScaleOptimizer(averaging(), initial_scale=2.0), lambda: "sgd"]
)
def test_they_are_what_a_fit_of_so_many_epochs_leaves(optimizer: Any) -> None:
    keeps = Keeps()
    fitted(2, optimizer, keeps)
    for epochs, kept in enumerate(keeps.kept, 1):
        for one, other in zip(kept, fitted(epochs, optimizer).get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_averages_that_a_callback_has_put_into_the_model_are_kept_as_they_are() -> None:
    swaps = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    keeps = Keeps(swaps)
    fitted(2, averaging, swaps, keeps)
    for one, other in zip(keeps.kept[0], fitted(1, averaging).get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
