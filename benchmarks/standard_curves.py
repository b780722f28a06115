"""The standard job's recorded curves, as a task for simulated studies; made by `benchmarks.record`."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks import job
from benchmarks.curves import Curve, Recorded
from hpo.config.space import SearchSpace
from hpo.config.yaml_file import read_yaml
from hpo.schedule.cube import Cube

NAME = "fashion_mnist"
TABLE = job.ROOT / "benchmarks" / "fashion_mnist_curves.csv.gz"
"""A row for each configuration: its number, its values, the CPU seconds of its beginning and of an epoch, its scores.

`score_E` is the validation accuracy after epoch E, empty from where the loss was not finite. The seconds are those of
hpo with one thread: a regression over the configurations that hpo trained itself.
"""

# How many times as far two configurations are from each other in what decides most: accuracy changes fastest there.
_WEIGHTS = {"learning_rate": 3.0}


@cache
def standard_space() -> SearchSpace:
    """The standard space, as hpo's users write it."""
    return SearchSpace.model_validate(read_yaml(job.ROOT / "search_spaces" / "mlp.yaml").data)


class Standard(Recorded):
    """MLPs on Fashion-MNIST, random configurations of the standard space; costs in CPU seconds."""

    def __init__(self, epochs: int) -> None:
        self.name, self.epochs = NAME, epochs
        self.space: Mapping[str, BaseDistribution] = {
            "depth": IntDistribution(*job.DEPTH),
            "width": IntDistribution(*job.WIDTH, log=True),
            "activation": CategoricalDistribution(job.ACTIVATIONS),
            "batch_size": CategoricalDistribution(job.BATCH_SIZES),
            "learning_rate": FloatDistribution(*job.LEARNING_RATE, log=True),
            "dropout": FloatDistribution(*job.DROPOUT),
        }
        self.search_space = standard_space()
        self._cube = Cube(self.search_space)
        found = pd.read_csv(TABLE)
        self.configs = [
            {str(name): value for name, value in row.items()} for row in found[list(self.space)].to_dict("records")
        ]
        self._scores = found[[f"score_{epoch}" for epoch in range(1, epochs + 1)]].to_numpy(dtype=float)
        self._begin, self._epoch = (found[name].to_numpy(dtype=float) for name in ("begin_seconds", "epoch_seconds"))
        names = list(self.search_space.order)
        _, owners = self._cube.features(np.array([self._cube.encode(self.configs[0])]))
        self._weights = np.array([_WEIGHTS.get(names[owner], 1.0) for owner in owners])
        self.table = np.vstack([self.place(config) for config in self.configs])

    def place(self, config: Mapping[str, Any]) -> np.ndarray:
        placed: np.ndarray = self._cube.features(self._cube.encode(config)[None])[0][0] * self._weights
        return placed

    def sample(self) -> list[Curve]:
        epochs = np.arange(1.0, self.epochs + 1)
        timed = zip(self._scores, self._begin, self._epoch, strict=True)
        return [Curve(scores, begin + epoch * epochs) for scores, begin, epoch in timed]
