"""Made the two projects beside this file: python make.py, with keras-tuner 1.4.8 and tensorboard installed.

Of what KerasTuner writes only oracle.json and the trial.json files are kept.
"""

from pathlib import Path

import keras
import keras_tuner
import numpy as np
from sklearn.datasets import load_iris

HERE = Path(__file__).parent


def build(hp):
    model = keras.Sequential([keras.Input((4,))])
    for _ in range(hp.Int("depth", 1, 2)):
        model.add(keras.layers.Dense(hp.Int("width", 4, 64, sampling="log"), activation="relu"))
    if model.count_params() > 200:
        raise keras_tuner.errors.FailedTrialError("too large")
    model.add(keras.layers.Dense(3, activation="softmax"))
    optimizer = hp.Choice("optimizer", ["adam", "sgd"])
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    if optimizer == "sgd":
        with hp.conditional_scope("optimizer", ["sgd"]):
            optimizer = keras.optimizers.SGD(rate, momentum=hp.Float("momentum", 0.0, 0.9))
    else:
        optimizer = keras.optimizers.Adam(rate)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    common = {"seed": 3, "directory": HERE, "max_consecutive_failed_trials": 8}
    for tuner in (
        keras_tuner.RandomSearch(
            build, "val_accuracy", max_trials=8, executions_per_trial=2, project_name="random", **common
        ),
        keras_tuner.Hyperband(build, "val_accuracy", max_epochs=4, factor=2, project_name="hyperband", **common),
    ):
        tuner.search(x[:100], y[:100], validation_data=(x[100:], y[100:]), epochs=5, verbose=0)
    for path in (*HERE.glob("*/tuner0.json"), *HERE.glob("*/trial_*/*")):
        if path.name != "trial.json":
            path.unlink()
