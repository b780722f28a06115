"""Python source laid out: no import too many, and calls that do not fit a line have an argument a line."""

from pathlib import Path

import formatting

from hpo.export.script import formatted

SOURCE = '''\
import math, gzip
import keras
from keras import layers
from pathlib import Path

PATH = Path('a/folder/with/a/long/name/and/another/folder/in/it/and/a/file/that/is/named.csv')
def build_model():
    """The model of the trial, compiled."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8,
        kernel_initializer=keras.initializers.VarianceScaling(scale=0.5, mode='fan_out', distribution='uniform'),
        kernel_regularizer=keras.regularizers.L1L2(l1=1.25e-05, l2=0.001)), layers.Dense(1, activation="sigmoid")])
    return keras.Model(path=PATH, model=model, of_another_argument="of some length", random_state=0)
'''
LAID_OUT = '''\
from pathlib import Path

import keras
from keras import layers

PATH = Path(
    "a/folder/with/a/long/name/and/another/folder/in/it/and/a/file/that/is/named.csv",
)


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
                    distribution="uniform",
                ),
                kernel_regularizer=keras.regularizers.L1L2(l1=1.25e-05, l2=0.001),
            ),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return keras.Model(
        path=PATH,
        model=model,
        of_another_argument="of some length",
        random_state=0,
    )
'''


def test_wider_lines_change_nothing(tmp_path: Path) -> None:
    text = formatted(SOURCE)
    assert text == LAID_OUT
    formatting.formatted(text, tmp_path)
