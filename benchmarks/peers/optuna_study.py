"""Peer: Optuna's TPE and median pruner, Keras's `fit`, MLflow's runs. Started twice, it shares one SQLite study.

After optuna-examples' keras/keras_integration.py and MLflow's guide to tuning with nested runs.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import mlflow
import optuna
from optuna_integration import KerasPruningCallback

from benchmarks import job
from benchmarks.peers.arguments import Arguments, parse
from benchmarks.peers.jobs import Parameter


def main(arguments: Arguments) -> None:
    data, space = arguments.job.load(), arguments.job.space
    # Neither store can be created by two processes at once.
    with _alone(arguments.home):
        mlflow.set_tracking_uri(f"sqlite:///{arguments.home / 'mlflow.db'}")
        if mlflow.get_experiment_by_name("peer") is None:
            mlflow.create_experiment("peer", (arguments.home / "artifacts").as_uri())
        mlflow.set_experiment("peer")
        study = optuna.create_study(
            storage=f"sqlite:///{arguments.home / 'optuna.db'}",
            study_name="peer",
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=arguments.seed),
            pruner=optuna.pruners.MedianPruner(),
            load_if_exists=True,
        )
        if arguments.defaults:
            study.enqueue_trial({name: spec["default"] for name, spec in space.items()}, skip_if_exists=True)

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        params = {name: _suggest(trial, name, spec) for name, spec in space.items()}
        callbacks = [
            job.write_rows(arguments.rows, trial.number, params, arguments.job.samples),
            job.early_stopping(),
            mlflow.keras.MlflowCallback(),
            KerasPruningCallback(trial, job.OBJECTIVE),
        ]
        with mlflow.start_run(run_name=f"trial-{trial.number}", nested=True):
            mlflow.log_params(params)
            history = arguments.job.build(params).fit(
                data.x_train,
                data.y_train,
                batch_size=params["batch_size"],
                epochs=job.EPOCHS,
                validation_data=(data.x_val, data.y_val),
                callbacks=callbacks,
                verbose=0,
            )
        return float(max(history.history[job.OBJECTIVE]))

    with mlflow.start_run(run_name="study"):
        study.optimize(objective)


def _suggest(trial: optuna.Trial, name: str, spec: Parameter) -> Any:
    match spec["type"]:
        case "int":
            return trial.suggest_int(name, spec["low"], spec["high"], log=spec.get("log", False))
        case "float":
            return trial.suggest_float(name, spec["low"], spec["high"], log=spec.get("log", False))
    return trial.suggest_categorical(name, spec.get("choices", [False, True]))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main(parse())
