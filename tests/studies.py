"""Studies that run in milliseconds: real Optuna, a scripted engine in the place of training."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import start

from hpo.config.experiment import Objective, StudySpec, TrainingSpec
from hpo.config.score import Score
from hpo.config.space import SearchSpace
from hpo.engines.scripted import Script, ScriptedEngine
from hpo.loop.coordinator import Budget, Coordinator, Ending
from hpo.storage.lock import sole_coordinator
from hpo.study.definition import Definition
from hpo.study.open import open_study
from hpo.study.record import TrialRecord
from hpo.study.study import Study
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


def two_epochs(job: Job) -> Sequence[float]:
    """A script that trains two epochs."""
    return [0.5 * score(job.params), score(job.params)]


def flat(job: Job) -> Sequence[float]:
    """A script of one epoch, whatever the parameters."""
    return [0.5]


def definition(space: dict[str, Any] = SPACE, epochs: int = 20, seed: int = 0, **identity: Any) -> Definition:
    """A study's definition; keyword arguments change parts of its identity."""
    known = {
        "search_space": SearchSpace.model_validate(space).model_dump(mode="json"),
        "objective": OBJECTIVE.model_dump(mode="json"),
        "dataset": {"name": "digits", "digest": "0" * 32, "scaling": "minmax"},
        "training": TrainingSpec(epochs=epochs).model_dump(mode="json"),
        "seed": seed,
    }
    files = {"experiment": "name: s\n", "search_space": "model: mlp\n"}
    return Definition(SearchSpace.model_validate(space), epochs, {**known, **identity}, files, {"name": "s"})


@dataclass
class Log:
    """An observer that remembers."""

    ended: list[TrialRecord]
    bests: list[float | None]
    epochs: int = 0
    started: int = 0
    silent: list[tuple[int, float, float | None]] = field(default_factory=list)
    declared: list[Any] = field(default_factory=list)
    notes: list[str | None] = field(default_factory=list)

    def declare(self, config: Any) -> None:
        """Takes what a model declared."""
        self.declared.append(config)

    def trial_started(self, record: TrialRecord) -> None:
        self.started += 1
        self.notes.append(record.note)

    def epoch_done(self, record: TrialRecord, event: EpochDone) -> None:
        self.epochs += 1

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        self.ended.append(record)
        self.bests.append(best.value if best else None)

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        self.silent.append((record.number, seconds, limit))


@dataclass
class Ran:
    """What a run of a study came to."""

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
    what: Definition | None = None,
    models: Path | None = None,
    name: str = "s",
    takes_next: bool = False,
    objective: Objective = OBJECTIVE,
    **spec: Any,
) -> Ran:
    """Runs a study, or goes on with it, as `hpo.run` does; keyword arguments are those of the study section."""
    study_spec = StudySpec(**{"sampler": "random", "pruner": "none", **spec})
    engine = ScriptedEngine(script, workers, takes_next)
    what = what or definition(objective=objective.model_dump(mode="json"))
    log = Log([], [])
    with sole_coordinator(url, name) as lock:
        study = open_study(url, name, what, study_spec, lock)
        study.recover()
        deadline = None if study_spec.timeout is None else time.monotonic() + study_spec.timeout
        budget = Budget(study_spec.trials, deadline, study_spec.target, study_spec.trial_timeout)
        ending = Coordinator(
            study, engine, objective, budget, jobs_of(study, models, objective), log.declare, (log,)
        ).run()
        return Ran(ending, study.trials(), engine, log)


def jobs_of(study: Study, models: Path | None, objective: Objective) -> Callable[[TrialRecord, Score | None], Job]:
    """Makes the jobs of a study's trials."""

    def make(record: TrialRecord, best: Score | None) -> Job:
        save_to = str(models / f"trial-{record.number:04}.keras") if models else None
        params = study.space.settings(record.params)
        return Job(
            record.number, params, record.seed, "mlp", TrainingSpec(), objective, "", save_to=save_to,
            save_if_better_than=best,
        )  # fmt: skip

    return make


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
