"""Tunes hyperparameters of Keras models: Optuna proposes, Keras trains, MLflow logs.

import hpo
space = hpo.Space(units=hpo.Int(16, 256, log=True), learning_rate=hpo.Float(1e-4, 1e-1, log=True))
study = hpo.tune(build, space, data=(x, y), objective="val_accuracy", epochs=20, trials=30)
study.best.params, study.best.model()
hpo.run("experiments/digits_mlp.yaml")      # a study from a file
hpo.open("digits-mlp").plot.history()       # a study from its store
hpo.compare("digits-mlp", "digits-cnn")     # a pandas DataFrame
"""

from hpo.compare.compare import compare
from hpo.confirm.confirm import Confirmed, confirm
from hpo.python.space import Bool, Choice, Float, Int, Space
from hpo.python.study import Study
from hpo.python.study import open_study as open
from hpo.python.tune import run, tune
from hpo.run import Result

__all__ = [
    "Bool",
    "Choice",
    "Confirmed",
    "Float",
    "Int",
    "Result",
    "Space",
    "Study",
    "compare",
    "confirm",
    "open",
    "run",
    "tune",
]
