"""Tunes hyperparameters of Keras models: Optuna proposes, Keras trains, MLflow logs.

import hpo
result = hpo.run("experiments/digits_mlp.yaml")
result.best.params
hpo.compare("digits-mlp")       # a pandas DataFrame
hpo.confirm("digits-mlp")       # the best five again, over fresh seeds
"""

from hpo.compare.compare import compare
from hpo.confirm.confirm import Confirmed, confirm
from hpo.run import Result, run

__all__ = ["Confirmed", "Result", "compare", "confirm", "run"]
