"""The lines of a script that build its model: calls that do not fit a line have an argument a line."""

from types import SimpleNamespace
from typing import Any

from hpo.export.script.fragments import Script
from hpo.export.script.model import add_model
from hpo.export.script.recipe import Recipe

LINES = '''\
def build_model():
    """The model of the trial, compiled."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(
                8,
                kernel_initializer=keras.initializers.VarianceScaling(
                    scale=0.5,
                    mode="fan_out",
                    distribution="untruncated_normal",
                ),
                kernel_regularizer=keras.regularizers.L1L2(l1=1.25e-05, l2=0.001),
            ),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return model'''


def test_long_layers_are_laid_out():
    start = "keras.initializers.VarianceScaling("
    layers = (
        "keras.Input((4,))",
        f'layers.Dense(8, kernel_initializer={start}scale=0.5, mode="fan_out", distribution="untruncated_normal"), '
        "kernel_regularizer=keras.regularizers.L1L2(l1=1.25e-05, l2=0.001))",
        'layers.Dense(1, activation="sigmoid")',
    )
    script = Script()
    recipe = Recipe(layers=layers, own=None, compiling=None, labels="as they are")
    info: Any = SimpleNamespace()
    add_model(script, recipe, {}, info, [])
    assert script.functions == [LINES]
    assert script.main == ["    model = build_model()"]
