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


def main(arguments: Arguments) -> None:
    data = job.load_data()
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

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        params = _suggest(trial)
        callbacks = [
            job.write_rows(arguments.rows, trial.number, params),
            job.early_stopping(),
            mlflow.keras.MlflowCallback(),
            KerasPruningCallback(trial, job.OBJECTIVE),
        ]
        with mlflow.start_run(run_name=f"trial-{trial.number}", nested=True):
            mlflow.log_params(params)
            history = job.build_model(params).fit(
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


def _suggest(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "depth": trial.suggest_int("depth", *job.DEPTH),
        "width": trial.suggest_int("width", *job.WIDTH, log=True),
        "activation": trial.suggest_categorical("activation", job.ACTIVATIONS),
        "batch_size": trial.suggest_categorical("batch_size", job.BATCH_SIZES),
        "learning_rate": trial.suggest_float("learning_rate", *job.LEARNING_RATE, log=True),
        "dropout": trial.suggest_float("dropout", *job.DROPOUT),
    }


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main(parse())
