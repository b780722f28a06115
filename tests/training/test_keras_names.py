"""The tables of Keras's names, by which files are checked without importing it."""

import inspect

import keras
import pytest
from keras.src.losses import ALL_OBJECTS_DICT as KERAS_LOSSES
from keras.src.metrics import ALL_OBJECTS_DICT as KERAS_METRICS

from hpo.config.metrics import CLASSIFICATION_METRICS, DIRECTIONS, LOSSES, METRICS, direction_of
from hpo.config.training import OPTIMIZERS

# Their results have no direction of their own: they are what they are given.
OF_ANY = {"mean", "sum", "metric", "loss", "meanmetricwrapper", "losswrapper", "lossfunctionwrapper"}


def plain(name: str) -> str:
    return name.lower().replace("_", "")


def taken(get, names) -> set[str]:
    found = set()
    for name in names:
        try:
            get(name)
        except (TypeError, ValueError):
            continue
        found.add(name)
    return {name for name in found if plain(name) not in OF_ANY}


def test_names_of_losses_and_metrics_are_keras():
    # `compile` itself knows acc.
    assert taken(keras.metrics.get, KERAS_METRICS) == set(METRICS) - {"acc"}
    public = {name for name, kind in vars(keras.losses).items() if inspect.isclass(kind)}
    assert taken(keras.losses.get, {*KERAS_LOSSES, *public}) == set(LOSSES)


@pytest.mark.parametrize("module", [keras.metrics, keras.losses])
def test_every_metric_and_loss_has_its_direction(module):
    names = {name for name in vars(module) if not name.startswith("_") and name not in ("get", "serialize")}
    names = {name for name in names if plain(name) not in OF_ANY and name != "deserialize"}
    assert {name for name in (*names, *LOSSES, *METRICS) if direction_of(name) is None} == set()
    assert set(DIRECTIONS) >= CLASSIFICATION_METRICS


def test_names_of_optimizers_are_keras():
    made = set()
    for name, kind in vars(keras.optimizers).items():
        if inspect.isclass(kind) and issubclass(kind, keras.optimizers.Optimizer) and name != "Optimizer":
            try:
                kind()
            except (TypeError, ValueError):
                continue
            made.add(name.lower())
    assert made == set(OPTIMIZERS)
