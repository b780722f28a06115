"""The epochs of an hpo run as rows, from its MLflow store, where each has the time at which it was reported."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from benchmarks import job

_VARIED = (
    "depth", "width", "activation", "batch_size", "learning_rate", "dropout",
    "blocks", "filters", "kernel", "batch_normalization", "dense",
)  # fmt: skip


def read_hpo_rows(home: Path, samples: int) -> Iterator[dict[str, Any]]:
    """Yields a row for each epoch of each trial; `time` in seconds since 1970, good to milliseconds."""
    for run in trial_runs(home):
        params = {name: _plain(run.data.params[name]) for name in _VARIED if name in run.data.params}
        for point in history(home, run, job.OBJECTIVE):
            yield {
                "trial": int(run.data.tags["hpo.trial"]),
                "epoch": point.step,
                "time": point.timestamp / 1000,
                "val_accuracy": point.value,
                "params": params,
                "samples": samples,
            }


def trial_runs(home: Path) -> list[Run]:
    """The MLflow runs of all trials in a home folder."""
    client = _client(home)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(experiments, "tags.`hpo.role` = 'trial'", page_token=token)
        found += page
        if not (token := page.token):
            return found


def history(home: Path, run: Run, metric: str) -> list[Any]:
    """The points of a metric's curve."""
    return list(_client(home).get_metric_history(run.info.run_id, metric))


def _client(home: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{home / 'mlflow.db'}")


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
