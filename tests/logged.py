"""Trials as they are reported to a tracker, and what plain MLflow clients then find."""

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from hpo.config.experiment import Objective
from hpo.data.dataset import DatasetInfo, Scaling
from hpo.study.failure import Failure
from hpo.study.record import TrialRecord
from hpo.tracking import StudyInfo, Tracker
from hpo.training.messages import EpochDone, FoldEpoch

BEGAN = datetime(2026, 3, 1, 12, 0, 0)
NONE = np.zeros(1, np.float32)
DATASET = DatasetInfo(
    name="toy",
    source="scikit-learn",
    task="classification",
    input_shape=(4,),
    classes=3,
    outputs=3,
    one_hot=False,
    sizes={"training": 80, "validation": 20, "test": 30},
    digests={part: letter * 32 for part, letter in zip(("training", "validation", "test"), "abc", strict=True)},
    digest="d" * 32,
    scaling=Scaling("none", NONE, NONE),
)
STUDY = StudyInfo(
    name="toy-study",
    experiment="toy",
    space_hash="0123456789abcdef",
    experiment_yaml="name: toy\n",
    space_yaml="model: mlp\n",
    dataset=DATASET,
    objective=Objective(metric="val_accuracy"),
    version="0.1.0",
    fixed={"epochs": 3, "momentum": None, "early_stopping": {"patience": 2}, "nesterov": False},
)
CURVES: dict[str, Sequence[float]] = {
    "loss": [1.0, 0.5, 0.4],
    "val_accuracy": [0.5, 0.9, 0.8],
    "val_loss": [1.1, 0.6, 0.7],
    "seconds": [1, 1, 1],
}


def running(number: int) -> TrialRecord:
    started = BEGAN + timedelta(minutes=number)
    return TrialRecord(number, "running", {"width": 32, "optimizer": "adam"}, 7, origin=number, started=started)


def complete(number: int, value: float = 0.9) -> TrialRecord:
    return replace(
        running(number),
        state="complete",
        value=value,
        best_epoch=2,
        curves={**CURVES, "val_accuracy": [0.5, value, 0.1]},
        test={"loss": 0.61, "accuracy": 0.88},
        ended_by="early_stopping",
        model_parameters=123,
        ended=BEGAN + timedelta(minutes=number, seconds=30),
    )


def pruned(number: int) -> TrialRecord:
    return replace(complete(number, 0.3), state="pruned", ended_by="pruner")


def failed(number: int, failure: str = "error") -> TrialRecord:
    ended = BEGAN + timedelta(minutes=number, seconds=30)
    why = Failure(failure, "ValueError: no", "Traceback ...")
    return replace(running(number), state="failed", failure=why, ended=ended)


def unexpected(message: str) -> None:
    raise AssertionError(f"the tracker warned: {message}")


def log_trial(tracker: Tracker, record: TrialRecord) -> None:
    """As the coordinator does: start, every epoch, end."""
    tracker.start_trial(running(record.number))
    for epoch, (fold, in_fold) in enumerate(record.places, 1):
        metrics = {name: curve[epoch - 1] for name, curve in record.curves.items()}
        place = None if fold is None else FoldEpoch(fold, in_fold)
        tracker.epoch(EpochDone(record.number, epoch, metrics, fold=place))
    tracker.end_trial(record)


def look(uri: str) -> dict[str, dict]:
    """All runs by name, as plain MLflow sees them."""
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("toy")
    found = {}
    for run in client.search_runs([experiment.experiment_id], "", ViewType.ALL):
        history = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
        datasets = [(entry.tags[0].value, entry.dataset) for entry in run.inputs.dataset_inputs]
        found[run.info.run_name] = {
            "id": run.info.run_id,
            "status": run.info.status,
            "start": run.info.start_time,
            "end": run.info.end_time,
            "experiment": experiment.tags,
            "tags": run.data.tags,
            "params": run.data.params,
            "last": run.data.metrics,
            "metrics": {
                name: sorted([m.step, m.value, m.timestamp] for m in points) for name, points in history.items()
            },
            "inputs": {part: [d.name, d.digest, d.profile, d.schema] for part, d in datasets},
            "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
            "models": [model.model_id for model in run.outputs.model_outputs] if run.outputs else [],
        }
    return found


def opened(uri: str, home: Path, resume: bool = False, **changes) -> Tracker:
    study = replace(STUDY, **changes)
    return Tracker.open(uri, home / "artifacts", study, resume=resume, warn=unexpected)


def unpacked(tag: tuple[str, str]) -> dict[str, Any]:
    """A view as the UI unpacks it."""
    packed = json.loads(tag[1])["state"]
    assert packed.startswith("deflate;")
    return dict(json.loads(zlib.decompress(base64.b64decode(packed.removeprefix("deflate;")))))
