"""Learning curves to simulate studies on: the LCBench surrogate of YAHPO Gym, recorded runs of TaskSet, and our own.

The folder holds `lcbench/` (model.onnx, encoding.json, config_space.json) and `taskset.npz`; scores are validation
accuracy in percent and negated validation loss, so that higher is better, over epochs counted from 1. Our own are in
this package: `benchmarks.standard_curves`.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from hpo.config.space import SearchSpace

LCBENCH = (
    "126025", "126029", "167083", "167149", "167161", "167181", "167185", "167200", "168329",
    "168331", "168868", "168910", "189862", "189866", "189905", "189908", "34539", "7593",
)  # fmt: skip
"""The development tasks; the others are kept for judging."""

# The order of the surrogate's continuous inputs after the epoch.
_INPUTS = ("batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout")
_RANDOM = 1000


@dataclass(frozen=True)
class Curve:
    """One configuration's training."""

    scores: np.ndarray
    """The score after each epoch; NaN from where it diverged."""
    costs: np.ndarray
    """The cost of all epochs up to each one, in the task's unit."""


class Task(ABC):
    """A dataset and a model whose curves are known, cut to a number of epochs."""

    name: str
    epochs: int
    space: Mapping[str, BaseDistribution]

    @abstractmethod
    def sample(self) -> list[Curve]:
        """1000 random configurations or more, the same ones at each call."""

    @cached_property
    def search_space(self) -> SearchSpace:
        """The space as hpo's users write it."""
        parameters = {}
        for name, one in self.space.items():
            assert isinstance(one, IntDistribution | FloatDistribution)
            kind = "int" if isinstance(one, IntDistribution) else "float"
            parameters[name] = {"type": kind, "low": one.low, "high": one.high, "log": one.log}
        return SearchSpace.model_validate({"model": "benchmarks:recorded", "parameters": parameters})

    @cached_property
    def _random(self) -> tuple[np.ndarray, float]:
        """The best score of each random configuration, sorted from the best; the cost of the best one."""
        curves = self.sample()
        scores = np.array([np.fmax.reduce(curve.scores) for curve in curves])
        scores[np.isnan(scores)] = -np.inf
        order = np.argsort(-scores, kind="stable")
        return scores[order], float(curves[order[0]].costs[-1])

    @property
    def target(self) -> float:
        """The score that one of a hundred random configurations has."""
        scores = self._random[0]
        return float(scores[len(scores) // 100 - 1])

    @property
    def unit(self) -> float:
        """The cost of training the best of the random configurations to the last epoch."""
        return self._random[1]

    def regret(self, score: float) -> float:
        """0 for the best of the random configurations, 1 for their median or worse."""
        best, median = self._random[0][0], self._random[0][len(self._random[0]) // 2]
        return float(np.clip((best - score) / (best - median), 0.0, 1.0))


class Surrogate(Task):
    """A task of LCBench: any configuration can be trained; costs in seconds."""

    def __init__(self, folder: Path, task: str, epochs: int) -> None:
        self.name, self.epochs = f"lcbench-{task}", epochs
        self._code = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"][task]
        entries = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
        ranges = {entry["name"]: entry for entry in entries}
        self.space = {name: _distribution(ranges[name]) for name in _INPUTS}
        self._session = _session(folder / "model.onnx")

    def train(self, configs: list[Mapping[str, Any]]) -> list[Curve]:
        """The curves of some configurations.

        The surrogate's epoch 1 looks untrained, so that epoch 2 counts as the first; what epoch 1 cost stays in,
        as the time to begin. Time is not perfectly monotone there, and made so.
        """
        epochs = np.tile(np.arange(2, self.epochs + 2), len(configs))
        settings = np.repeat([[config[name] for name in _INPUTS] for config in configs], self.epochs, axis=0)
        continuous = np.column_stack([epochs, settings]).astype(np.float32)
        task = np.full((len(epochs), 1), self._code, dtype=np.int32)
        (output,) = self._session.run(None, {"x_cont": continuous, "x_cat": task})
        rows = np.split(output.astype(float), len(configs))
        return [Curve(row[:, 1], np.maximum.accumulate(row[:, 0])) for row in rows]

    def sample(self) -> list[Curve]:
        rng = np.random.default_rng(0)
        return self.train([{name: _draw(rng, one) for name, one in self.space.items()} for _ in range(_RANDOM)])


class Recorded(Task):
    """A task of which some random configurations were trained, and no others can be."""

    configs: Sequence[Mapping[str, Any]]
    """The recorded configurations, in the order of `sample`."""
    table: np.ndarray
    """Shape (configurations, coordinates): where they are; near ones train alike."""

    @abstractmethod
    def place(self, config: Mapping[str, Any]) -> np.ndarray:
        """Shape (coordinates,): where a configuration is."""

    def nearest(self, config: Mapping[str, Any], taken: list[int]) -> int:
        """The row of the nearest recorded configuration not taken yet; it is taken now."""
        free = np.setdiff1d(np.arange(len(self.table)), taken)
        row = int(free[np.argmin(np.square(self.table[free] - self.place(config)).sum(axis=1))])
        taken.append(row)
        return row


class TaskSet(Recorded):
    """A task of TaskSet: 1000 recorded configurations; a cost of 1 an epoch.

    A parameter's value is its rank among the recorded ones, from 0 to 1.
    """

    def __init__(self, archive: Path, task: str, epochs: int) -> None:
        self.name, self.epochs = f"taskset-{task}", epochs
        with np.load(archive) as arrays:
            settings, names, losses = arrays["hp"], arrays["hp_names"], arrays[task]
        self.space = {str(name): FloatDistribution(0.0, 1.0) for name in names}
        self.table = (settings.argsort(axis=0).argsort(axis=0) + 0.5) / len(settings)
        self.configs = [dict(zip(self.space, map(float, row), strict=True)) for row in self.table]
        # The first column is before training.
        scores = -losses[:, 1 : epochs + 1].astype(float)
        self._scores = np.where(np.logical_and.accumulate(np.isfinite(scores), axis=1), scores, np.nan)

    def sample(self) -> list[Curve]:
        costs = np.arange(1.0, self.epochs + 1)
        return [Curve(scores, costs) for scores in self._scores]

    def place(self, config: Mapping[str, Any]) -> np.ndarray:
        return np.array([config[name] for name in self.space])


@cache
def _session(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _distribution(entry: Mapping[str, Any]) -> BaseDistribution:
    kind = IntDistribution if entry["type"] == "uniform_int" else FloatDistribution
    return kind(entry["lower"], entry["upper"], log=entry["log"])


def _draw(rng: np.random.Generator, distribution: BaseDistribution) -> float:
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    whole = isinstance(distribution, IntDistribution)
    low, high = distribution.low - 0.5 * whole, distribution.high + 0.5 * whole
    value = np.exp(rng.uniform(np.log(low), np.log(high))) if distribution.log else rng.uniform(low, high)
    return float(np.clip(round(value), distribution.low, distribution.high)) if whole else float(value)
