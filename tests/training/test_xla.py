"""XLA that Keras chooses by itself, as on a GPU, keeps no model out of the graph; XLA that was asked for does."""

import keras
import pytest
from keras.src.trainers.trainer import Trainer

from hpo.training.needs_fit import needs_fit

ASKED = "the model is compiled with jit_compile"


@pytest.fixture
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "_resolve_auto_jit_compile", lambda self: True)


def model() -> keras.Model:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


@pytest.mark.usefixtures("_as_on_a_gpu")
def test_only_what_the_user_asked_for_counts() -> None:
    network = model()
    network.compile("sgd", "mse")
    assert network.jit_compile
    assert needs_fit(network) is None
    network.compile("sgd", "mse", jit_compile=True)
    assert needs_fit(network) == ASKED
    network.compile("sgd", "mse", jit_compile="auto")
    assert needs_fit(network) is None
    network.compile("sgd", "mse", None, None, None, False, 1, True)
    assert needs_fit(network) == ASKED
    network.compile("sgd", "mse", jit_compile=False)
    assert needs_fit(network) is None


@pytest.mark.usefixtures("_as_on_a_gpu")
def test_a_model_that_compiles_itself_is_seen_too() -> None:
    class Own(keras.Model):
        def compile(self, **options: object) -> None:
            super().compile("sgd", "mse", **options)

    network = Own()
    network.compile()
    assert needs_fit(network) is None
    network.compile(jit_compile=True)
    assert needs_fit(network) == ASKED


def test_xla_that_is_switched_on_later_was_asked_for() -> None:
    network = model()
    network.compile("sgd", "mse")
    network.jit_compile = True
    assert needs_fit(network) == ASKED
