"""Code written for KerasTuner, run by hpo: `from hpo.keras_tuner import RandomSearch` instead of `from keras_tuner`.

Constructors and methods have KerasTuner's own signatures (1.4). Trials train side by side, in worker processes, and are
kept in a study: `tuner.study` is what `hpo.tune` returns. What cannot be had is refused, and the message says what to
do instead. The test part is `search(test_data=...)`, else the validation data once more, else split off by hpo.
"""

import math
from typing import Any

from keras_tuner import HyperModel, HyperParameters, Objective

from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.models.discovery import discovered
from hpo.python import of_keras_tuner as own
from hpo.python.tuned_model import Compiled, Rules
from hpo.python.tuner import Tuner

__all__ = [
    "BayesianOptimization", "GridSearch", "HyperModel", "HyperParameters", "Hyperband", "Objective", "RandomSearch",
    "Tuner",
]  # fmt: skip


class RandomSearch(Tuner):
    """Random search."""


class BayesianOptimization(Tuner):
    """Bayesian optimization, by Optuna's TPE in the place of a Gaussian process; alpha and beta have no effect."""

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int = 10,
        num_initial_points: int | None = None,
        alpha: float = 1e-4,
        beta: float = 2.6,
        **options: Any,
    ) -> None:
        super().__init__(hypermodel, objective, max_trials, **options)
        self._first = num_initial_points

    def _sections(self) -> dict[str, Any]:
        first = {} if self._first is None else {"n_startup_trials": self._first}
        return {"sampler": {"name": "tpe", "multivariate": False, **first}, "pruner": "none"}


class Hyperband(Tuner):
    """Hyperband, by Optuna's pruner: as many trials as KerasTuner would begin, each up to `max_epochs`."""

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int = 1,
        **options: Any,
    ) -> None:
        trials = math.ceil(own.begun_by_hyperband(max_epochs, factor) * hyperband_iterations)
        super().__init__(hypermodel, objective, trials, **options)
        self._most, self._factor = max_epochs, factor

    def _epochs(self, wanted: int | None) -> int | None:
        return self._most

    def _sections(self) -> dict[str, Any]:
        pruner = {"name": "hyperband", "min_resource": 1, "max_resource": self._most, "reduction_factor": self._factor}
        return {"sampler": "random", "pruner": pruner}


class GridSearch(Tuner):
    """Grid search: every combination of KerasTuner's grid once; without `max_trials` the whole grid."""

    def __init__(self, hypermodel: Any = None, objective: Any = None, max_trials: int | None = None, **options: Any):
        super().__init__(hypermodel, objective, max_trials, **options)

    def _sections(self) -> dict[str, Any]:
        return {"sampler": "grid", "pruner": "none"}

    def _parameters(self) -> dict[str, Any]:
        known, given = super()._parameters(), self._hyperparameters
        if self.hypermodel is not None:
            declared = discovered(self.project_name, Compiled(self.hypermodel, Rules()), given=given)
        else:
            declared = NOTHING_DECLARED if given is None else Declared(given.get_config())
        grid = own.grid_of_numbers(declared)
        return known | {
            name: one for name, one in grid.items() if self._new[0] or one.get("sets", name) in self._given()
        }
