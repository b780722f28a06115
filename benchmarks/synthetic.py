"""Studies whose trials were never trained, in a real store: thousands of trials in seconds."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.trial import BaseTrial, FrozenTrial

from hpo.cli.reuse.import_trials import frozen
from hpo.plan.plan import Plan, load_plan
from hpo.storage.open import open_storage
from hpo.study.definition import Definition
from hpo.study.failure import Failure
from hpo.study.open import open_study
from hpo.study.record import TrialRecord

EPOCHS = 20
CLASSES = 10
_PATIENCE = 3
_RUNGS = (1, 3, 9)
_WORKERS = 2
_FAILED = 0.03
_BEGAN = datetime(2026, 1, 5, 9, 0, 0)

SPACE: dict[str, Any] = {
    "model": "mlp",
    "parameters": {
        "depth": {"type": "int", "low": 1, "high": 4},
        "width": {"type": "int", "low": 32, "high": 512, "log": True},
        "activation": {"type": "categorical", "choices": ["relu", "tanh", "sigmoid", "leaky_relu", "silu"]},
        "batch_size": {"type": "categorical", "choices": [32, 64, 128, 256, 512]},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "dropout": {"type": "float", "low": 0.0, "high": 0.5, "when": {"depth": {"low": 2}}},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
    },
}


def synthetic_study(url: str, name: str, trials: int, seed: int = 0, objective: str = "val_accuracy") -> None:
    """Writes a study of ended trials on digits: about a quarter complete, the others pruned, 3 in 100 failed.

    Accuracy depends on every parameter, with noise from epoch to epoch and from seed to seed; the curves saturate.
    Successive halving stops at epochs 1, 3 and 9 the lowest third of the trials so far. Two workers
    take turns, so that trials end at times that fit their epochs.

    Args:
        url: SQLAlchemy URL of an SQLite store, made where there is none.
        name: of the study.
        trials: how many.
        seed: of all that is random here.
        objective: val_accuracy or val_loss.
    """
    experiment = {
        "name": name,
        "dataset": "digits",
        "search_space": SPACE,
        "objective": objective,
        "training": {"epochs": EPOCHS, "early_stopping": {"patience": _PATIENCE}},
        "study": {"trials": trials, "sampler": "random", "seed": seed},
    }
    plan = load_plan(experiment)
    open_study(url, name, _definition(plan), plan.experiment.study)
    study = open_storage(url).get_study_id_from_name(name)
    _insert(url, study, [frozen(plan.space, record, objective, {}) for record in _Records(plan).records(trials)])


def _insert(url: str, study: int, trials: Sequence[FrozenTrial]) -> None:
    """Writes trials into Optuna's tables; `add_trials`, which asks the database of each value, takes 50 ms a trial."""
    engine = sqlalchemy.create_engine(url)
    schema = sqlalchemy.MetaData()
    schema.reflect(engine)
    with engine.begin() as connection:
        trial_id = schema.tables["trials"].c.trial_id
        first = (connection.execute(sqlalchemy.select(sqlalchemy.func.max(trial_id))).scalar() or 0) + 1
        for table, rows in _rows(study, first, trials).items():
            connection.execute(sqlalchemy.insert(schema.tables[table]), rows)
    engine.dispose()


def _rows(study: int, first: int, trials: Sequence[FrozenTrial]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, trial in enumerate(trials):
        key = {"trial_id": first + number}
        times = {"datetime_start": _utc(trial.datetime_start), "datetime_complete": _utc(trial.datetime_complete)}
        rows["trials"].append({**key, "study_id": study, "number": number, "state": trial.state.name, **times})
        for name, value in trial.params.items():
            kind = trial.distributions[name]
            stored = {"param_value": kind.to_internal_repr(value), "distribution_json": distribution_to_json(kind)}
            rows["trial_params"].append({**key, "param_name": name, **stored})
        for name, attribute in trial.user_attrs.items():
            rows["trial_user_attributes"].append({**key, "key": name, "value_json": json.dumps(attribute)})
        for step, value in trial.intermediate_values.items():
            stored = {"intermediate_value": value, "intermediate_value_type": "FINITE"}
            rows["trial_intermediate_values"].append({**key, "step": step, **stored})
        if trial.values:
            stored = {"objective": 0, "value": trial.value, "value_type": "FINITE"}
            rows["trial_values"].append({**key, **stored})
    return rows


def _utc(moment: datetime | None) -> datetime | None:
    """As Optuna keeps times."""
    return moment and moment.astimezone(UTC).replace(tzinfo=None)


def _definition(plan: Plan) -> Definition:
    experiment = plan.experiment
    identity = {
        "search_space": plan.space.model_dump(mode="json"),
        "objective": experiment.objective.model_dump(mode="json"),
        "dataset": {"name": "digits", "digest": "0" * 32, "scaling": "minmax"},
        "training": experiment.training.model_dump(mode="json"),
        "seed": experiment.study.seed,
    }
    resolved = {**experiment.model_dump(mode="json"), "search_space": identity["search_space"]}
    return Definition(plan.space, EPOCHS, identity, plan.files, resolved)


@dataclass
class _Records:
    """Trials one after the other; each is judged by those before it."""

    plan: Plan
    rungs: dict[int, list[float]] = field(default_factory=lambda: {rung: [] for rung in _RUNGS})
    free: list[datetime] = field(default_factory=lambda: [_BEGAN] * _WORKERS)

    def records(self, trials: int) -> Iterator[TrialRecord]:
        for number in range(trials):
            rng = np.random.default_rng([self.plan.experiment.study.seed, number])
            params = self.plan.space.suggest(cast(BaseTrial, _Drawn(rng)))
            yield self._timed(self._ended(number, params, rng))

    def _ended(self, number: int, params: dict[str, Any], rng: np.random.Generator) -> TrialRecord:
        record = TrialRecord(
            number, "failed", params, int(rng.integers(2**31)), origin=number, model_parameters=_weights(params)
        )
        if rng.random() < _FAILED:
            return _failed(record, rng)
        curves = _curves(params, rng)
        objective = self.plan.experiment.objective
        scores = np.array(curves[objective.metric])
        epochs, ended_by = self._epochs(objective.merit(scores))
        best = int(np.argmax(objective.merit(scores[:epochs])))
        test = {"accuracy": curves["val_accuracy"][best] - 0.01, "loss": curves["val_loss"][best] + 0.02}
        return replace(
            record,
            state="pruned" if ended_by == "pruner" else "complete",
            value=float(scores[best]),
            best_epoch=best + 1,
            curves={metric: curve[:epochs] for metric, curve in curves.items()},
            test={metric: round(max(0.0, value + rng.normal(0, 0.008)), 6) for metric, value in test.items()},
            ended_by=ended_by,
        )

    def _epochs(self, scores: np.ndarray) -> tuple[int, str]:
        """How many epochs a trial trains, and what ends it; higher scores are better."""
        best = 0
        for epoch, score in enumerate(scores, 1):
            if score > scores[best]:
                best = epoch - 1
            if epoch in self.rungs:
                others = self.rungs[epoch]
                keep = len(others) < 5 or scores[:epoch].max() >= np.quantile(others[-100:], 1 / 3)
                others.append(scores[:epoch].max())
                if not keep:
                    return epoch, "pruner"
            if epoch - 1 - best >= _PATIENCE:
                return epoch, "early_stopping"
        return len(scores), "epochs"

    def _timed(self, record: TrialRecord) -> TrialRecord:
        worker = int(np.argmin([moment.timestamp() for moment in self.free]))
        started = self.free[worker]
        self.free[worker] = started + timedelta(seconds=0.4 + sum(record.curves.get("seconds", (1.0,))))
        return replace(record, started=started, ended=self.free[worker])


@dataclass
class _Drawn:
    """A trial of random search, as far as a search space asks it; Optuna's own takes a millisecond a value."""

    rng: np.random.Generator

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        return min(high, int(self.suggest_float(name, low, high + 1, step=None, log=log)))

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        if log:
            return math.exp(self.rng.uniform(math.log(low), math.log(high)))
        return float(self.rng.uniform(low, high))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]


def _weights(params: dict[str, Any]) -> int:
    width, depth = int(params["width"]), int(params["depth"])
    return 65 * width + (depth - 1) * (width + 1) * width + (width + 1) * CLASSES


def _failed(record: TrialRecord, rng: np.random.Generator) -> TrialRecord:
    failure = {
        0: Failure("nonfinite", "loss, val_loss not finite in epoch 1"),
        1: Failure("out_of_memory", "the worker was killed for want of memory"),
        2: Failure("error", "model.py:7: ValueError: no luck", "Traceback (most recent call last):\n  ..."),
    }[int(rng.choice(3, p=[0.7, 0.2, 0.1]))]
    return replace(record, failure=failure)


def _curves(params: dict[str, Any], rng: np.random.Generator) -> dict[str, list[float]]:
    """Saturating curves of all epochs; how high they rise and how fast follows from the parameters."""
    sgd, rate = params["optimizer"] == "sgd", math.log10(params["learning_rate"])
    best_rate = -1.5 - params["momentum"] if sgd else -2.7
    activation = {"relu": 0.0, "silu": 0.002, "leaky_relu": 0.001, "tanh": 0.008, "sigmoid": 0.03}
    lost = 0.02 + activation[params["activation"]] + 0.03 * (rate - best_rate) ** 2
    lost += 0.01 * abs(params["depth"] - 2.2) + 0.02 * math.log2(512 / params["width"]) / 4
    lost += 0.05 * (params.get("dropout", 0.25) - 0.2) ** 2 + 0.01 * sgd + rng.normal(0, 0.003)
    top = 1 - min(max(lost, 0.012), 0.85)
    speed = 0.9 * 10 ** (-0.25 * abs(rate - best_rate)) * (128 / params["batch_size"]) ** 0.2
    epoch = np.arange(1, EPOCHS + 1)
    rise = 1 - np.exp(-speed * epoch)
    accuracy = np.clip(1 / CLASSES + (top - 1 / CLASSES) * rise + rng.normal(0, 0.004, EPOCHS), 0, 1)
    overfitting = 0.0006 * epoch**1.5 * (1 - params.get("dropout", 0.0))
    loss = np.maximum(-1.3 * np.log(np.clip(accuracy, 0.05, 0.995)) + overfitting + rng.normal(0, 0.004, EPOCHS), 0.01)
    second = (0.15 + _weights(params) / 4e5) * (128 / params["batch_size"]) ** 0.5
    curves = {
        "loss": np.maximum(loss - 1.5 * overfitting, 0.003),
        "accuracy": np.clip(accuracy + 0.01 * rise, 0, 1),
        "val_loss": loss,
        "val_accuracy": accuracy,
        "learning_rate": np.full(EPOCHS, params["learning_rate"]),
        "seconds": second * rng.uniform(0.95, 1.1, EPOCHS),
    }
    return {name: [round(float(value), 6) for value in curve] for name, curve in curves.items()}
