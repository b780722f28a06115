"""Studies that run in milliseconds: real Optuna, and a scripted engine instead of training."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import start

from hpo.config.experiment import DatasetSpec, Experiment, Objective, StudySpec, TrainingSpec
from hpo.config.space import SearchSpace
from hpo.data.dataset import DatasetInfo, Scaling
from hpo.data.prepared_variants import PreparedVariants
from hpo.engines.scripted import Script, ScriptedEngine
from hpo.loop.budget import Ending
from hpo.loop.definition import definition_of
from hpo.loop.driving import opened, run_study
from hpo.loop.jobs import Prepared
from hpo.plan.plan import Plan
from hpo.study.definition import Definition
from hpo.study.record import TrialRecord
from hpo.system.scratch import process_folder
from hpo.training.messages import EpochDone, Job

OBJECTIVE = Objective(metric="val_accuracy", direction="maximize")

SPACE: dict[str, Any] = {
    "model": "mlp",
    "parameters": {
        "depth": {"type": "int", "low": 1, "high": 3},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "widths": {"type": "categorical", "choices": [[8], [8, 4]]},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
        "nesterov": {"type": "boolean", "when": {"momentum": {"low": 0.3}}},
        "activation": "relu",
    },
}

GRID: dict[str, Any] = {
    "model": "mlp",
    "parameters": {
        "depth": {"type": "int", "low": 1, "high": 2},
        "widths": {"type": "categorical", "choices": [[8], [8, 4]]},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "momentum": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.25, "when": {"optimizer": "sgd"}},
        "activation": "relu",
    },
}
"""16 configurations: 4 with adam, 12 with sgd."""
SMALL = {
    "model": "mlp",
    "parameters": {
        "kind": {"type": "categorical", "choices": ["a", "b", [1, 2]]},
        "size": {"type": "int", "low": 1, "high": 3, "log": True, "when": {"kind": "a"}},
        "rate": {"type": "float", "low": 0.1, "high": 0.35, "step": 0.1, "when": {"kind": "b"}},
        "even": {"type": "int", "low": 2, "high": 5, "step": 2, "when": {"rate": {"low": 0.25}}},
        "fixed": 7,
    },
}
"""8 configurations: a with 3 sizes, b with 3 rates of which the last has 2 even numbers, and the list."""


def score(params: Any) -> float:
    """An objective between 0 and 1 that depends on every parameter of SPACE."""
    return 0.9 / (1 + abs(params["depth"] - 2) + 30 * abs(params["learning_rate"] - 0.01) + params.get("momentum", 0.2))


def learning(job: Job) -> Iterator[float]:
    """A script that trains twenty epochs, better from one to the next."""
    for epoch in range(1, 21):
        yield score(job.params) * (1 - 0.5 / epoch)


def two_epochs(job: Job) -> Sequence[float]:
    """A script that trains two epochs."""
    return [0.5 * score(job.params), score(job.params)]


def flat(job: Job) -> Sequence[float]:
    """A script of one epoch, the same for all parameters."""
    return [0.5]


_NO_SCALING = Scaling("minmax", np.zeros(1, np.float32), np.ones(1, np.float32))
_PARTS = ("training", "validation", "test")
INFO = DatasetInfo(
    "digits", "scikit-learn", "classification", (8, 8, 1), 10, 10, False, dict.fromkeys(_PARTS, 100),
    dict.fromkeys(_PARTS, "0" * 32), "0" * 32, _NO_SCALING,
)  # fmt: skip
"""A dataset without samples."""


class NoData(PreparedVariants):
    """Replaces prepared data: engines that train nothing need none."""

    note = None
    crowded = False

    def __init__(self) -> None:
        pass

    def folder(self, spec: DatasetSpec) -> Path:
        return Path("nowhere")


def planned(
    url: str = "sqlite://",
    space: dict[str, Any] = SPACE,
    *,
    name: str = "s",
    epochs: int = 20,
    objective: Objective = OBJECTIVE,
    **study: Any,
) -> Plan:
    """A plan as files would make it, whose home is the folder of its database; `study` is the study section."""
    spec = StudySpec(**{"sampler": "random", "pruner": "none", "storage": url, **study})
    experiment = Experiment(
        name=name, dataset=DatasetSpec(name="digits"), search_space=space, objective=objective,
        training=TrainingSpec(epochs=epochs), study=spec,
    )  # fmt: skip
    files = {"experiment": "name: s\n", "search_space": "model: mlp\n"}
    home = Path(url.removeprefix("sqlite:///")).parent if url.startswith("sqlite:///") else process_folder()
    return Plan(experiment, SearchSpace.model_validate(space), files, (), home)


def definition(space: dict[str, Any] = SPACE, **changes: Any) -> Definition:
    """What makes the study of such a plan that study."""
    return definition_of(planned(space=space, **changes), INFO)


@dataclass
class Log:
    """An observer that remembers."""

    ended: list[TrialRecord]
    bests: list[float | None]
    epochs: int = 0
    started: int = 0
    silent: list[tuple[int, float, float | None]] = field(default_factory=list)
    paused: list[TrialRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def trial_started(self, record: TrialRecord) -> None:
        self.started += 1

    def epoch_done(self, record: TrialRecord, event: EpochDone) -> None:
        self.epochs += 1

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        self.ended.append(record)
        self.bests.append(best.value if best else None)

    def trial_paused(self, record: TrialRecord, note: str | None) -> None:
        self.paused.append(record)

    def engine_noted(self, note: str) -> None:
        self.notes.append(note)

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        self.silent.append((record.number, seconds, limit))


@dataclass
class Ran:
    """The outcome of a run of a study."""

    ending: Ending
    trials: list[TrialRecord]
    engine: ScriptedEngine
    log: Log

    @property
    def configs(self) -> list[dict[str, Any]]:
        """The configurations, in the order of their trials."""
        return [dict(trial.params) for trial in self.trials]

    @property
    def states(self) -> list[str]:
        return [trial.outcome for trial in self.trials]


def run(
    url: str,
    script: Script = two_epochs,
    *,
    workers: int = 1,
    takes_next: bool = False,
    info: DatasetInfo = INFO,
    **changes: Any,
) -> Ran:
    """Runs a study, or goes on with it, as `hpo.run` does; `changes` are those of `planned`."""
    return run_plan(planned(url, **changes), ScriptedEngine(script, workers, takes_next), info)


def run_plan(plan: Plan, engine: ScriptedEngine, info: DatasetInfo = INFO) -> Ran:
    """Runs the study of a plan, or goes on with it, as `hpo.run` does, but for the training and MLflow."""
    log = Log([], [])
    with opened(plan, info) as study:
        ending = run_study(study, Prepared(plan, engine, info, NoData()), time.monotonic(), (log,))
        return Ran(ending, study.trials(), engine, log)


class Clock:
    """The coordinator's clock, which a script puts forward: then a deadline comes at the same step on any machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        monkeypatch.setattr("hpo.loop.coordinator.time", self)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


class WriteLock:
    """Somebody else's write lock on an SQLite database."""

    def __init__(self, url: str) -> None:
        self._path = url.removeprefix("sqlite:///")

    def take(self) -> None:
        self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        self._connection.execute("BEGIN EXCLUSIVE")

    def drop(self) -> None:
        self._connection.close()


def process(code: str, beside: str = __file__) -> subprocess.Popen[str]:
    """Another process, in which this module can be imported, and those beside a file."""
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(beside).parent), os.environ.get("PYTHONPATH", "")])
    return start(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
