"""Hyperparameter experiments for Keras: Optuna proposes, Keras trains, MLflow remembers.

import hpo
result = hpo.run("experiments/digits_mlp.yaml")
result.best.params
hpo.compare("digits-mlp")       # a pandas DataFrame
"""

from hpo.compare import compare
from hpo.run import Result, run

__all__ = ["Result", "compare", "run"]
