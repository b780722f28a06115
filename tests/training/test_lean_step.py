"""The lean step: the figures, weights and optimizer's state of the model's own `train_step`."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from toys import CLASSES, FLAT, HEAD, SAMPLES, dataset, layer, model_of

from hpo.training.graph import GraphLoop
from hpo.training.keras_compat import fuse_adam
from hpo.training.lean_step import lean_step_of

HIDDEN = (FLAT, layer("Dense", 16, activation="silu"), layer("Dropout", 0.3), layer("Dense", 8), layer("LeakyReLU"))


def adam(**options: Any) -> Callable[[], Any]:
    def make() -> Any:
        optimizer = keras.optimizers.Adam(0.01, **options)
        fuse_adam(optimizer)
        return optimizer

    return make


def loop_of(model: keras.Model, **options: Any) -> GraphLoop:
    return GraphLoop(model, dataset(), **options)


def trained(monkeypatch: pytest.MonkeyPatch, lean: bool) -> tuple[Any, Any]:
    monkeypatch.setattr("hpo.training.graph.lean_step_of", lean_step_of if lean else lambda *_: None)
    model = model_of(*HIDDEN, HEAD, optimizer=adam())
    loop = loop_of(model)
    assert (loop._lean is not None) is lean
    rates = np.linspace(0.01, 0.001, -(-SAMPLES // 32)).astype(np.float32)
    epochs = []
    for moving in (None, rates):
        logs = loop.train(np.arange(SAMPLES), 32, lambda loss: None, moving)
        epochs.append((logs, loop.evaluate("validation", lambda loss: None)))
    return epochs, [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]


def test_it_is_the_model_s_own_step(monkeypatch: pytest.MonkeyPatch) -> None:
    (found, state), (expected, expected_state) = trained(monkeypatch, True), trained(monkeypatch, False)
    for one, other in zip(found, expected, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            assert mine == pytest.approx(theirs, rel=1e-5)
    for one, other in zip(state, expected_state, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


OTHERS: dict[str, Callable[[], GraphLoop]] = {
    "another optimizer": lambda: loop_of(model_of(*HIDDEN, HEAD, optimizer="sgd")),
    "clipping": lambda: loop_of(model_of(*HIDDEN, HEAD, optimizer=adam(clipnorm=0.1))),
    "weight decay": lambda: loop_of(model_of(*HIDDEN, HEAD, optimizer=adam(weight_decay=0.1))),
    "a penalty": lambda: loop_of(
        model_of(FLAT, layer("Dense", 8, kernel_regularizer="l2"), HEAD, optimizer=adam())
    ),
    "a constraint": lambda: loop_of(
        model_of(FLAT, layer("Dense", 8, kernel_constraint="unit_norm"), HEAD, optimizer=adam())
    ),
    "a weighted loss": lambda: loop_of(model_of(*HIDDEN, HEAD, optimizer=adam(), loss_weights=2.0)),
    "another layer": lambda: loop_of(
        model_of(*HIDDEN, layer("BatchNormalization"), HEAD, optimizer=adam())
    ),
    "another head": lambda: loop_of(model_of(*HIDDEN, layer("Dense", 3, activation="sigmoid"), optimizer=adam())),
    "another loss": lambda: GraphLoop(
        model_of(*HIDDEN, HEAD, optimizer=adam(), loss="categorical_crossentropy"),
        dataset(np.eye(3, dtype=np.float32)[CLASSES]),
    ),
    "another metric": lambda: loop_of(
        model_of(*HIDDEN, HEAD, optimizer=adam(), metrics=["accuracy", "sparse_categorical_crossentropy"])
    ),
    "sample weights": lambda: loop_of(
        model_of(*HIDDEN, HEAD, optimizer=adam()), weights=np.ones(SAMPLES, np.float32)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_whatever_it_does_not_compute_takes_the_model_s_own(name: str) -> None:
    assert OTHERS[name]()._lean is None
