"""Trial records and datasets as MLflow's entities. Pure: nothing here talks to a store."""

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow.data.schema import TensorDatasetSchema
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.types.schema import Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_RUN_NOTE
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_PARAM_VAL_LENGTH, MAX_TAG_VAL_LENGTH
from numpy import dtype

from hpo.data.dataset import DatasetInfo
from hpo.experiment import Objective
from hpo.record import TrialRecord

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
"""A trial's state -> its run's status, as in MLflow's own Optuna storage."""


def milliseconds(moment: datetime | None) -> int:
    """Milliseconds since 1970; now, where no moment is given."""
    return int((moment.timestamp() if moment else time.time()) * 1000)


def key(name: str) -> str:
    """A name as MLflow allows it: letters, digits, `_ - . / :` and spaces."""
    return re.sub(r"[^\w\-./: ]", "_", name, flags=re.ASCII)[:MAX_ENTITY_KEY_LENGTH]


def params(values: Mapping[str, Any]) -> list[Param]:
    """Key -> value as params; values that are not text are spelled as in JSON and YAML."""
    return [
        Param(key(name), (value if isinstance(value, str) else json.dumps(value, default=str))[:MAX_PARAM_VAL_LENGTH])
        for name, value in _flat(values)
        if value is not None
    ]


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def tags(values: Mapping[str, object]) -> list[RunTag]:
    """Key -> value as tags; None is left out."""
    return [RunTag(name, str(value)[:MAX_TAG_VAL_LENGTH]) for name, value in values.items() if value is not None]


def metrics(values: Mapping[str, float], timestamp: int, step: int = 0) -> list[Metric]:
    """Metric -> value at a step, the finite ones: MLflow would store infinity as 1.8e308."""
    return [Metric(key(name), float(value), timestamp, step) for name, value in values.items() if math.isfinite(value)]


def curves(record: TrialRecord) -> list[Metric]:
    """Every metric after each epoch, at the times that its epochs took; step = epoch."""
    moments, at = [], milliseconds(record.started or record.ended)
    seconds = record.curves.get("seconds", ())
    for epoch in range(record.epochs):
        duration = seconds[epoch] if epoch < len(seconds) else 0.0
        at += int(duration * 1000) if math.isfinite(duration) else 0
        moments.append(at)
    return [
        metric
        for name, curve in record.curves.items()
        for epoch, value in enumerate(curve, 1)
        for metric in metrics({name: value}, moments[epoch - 1], epoch)
    ]


def scores(record: TrialRecord) -> list[Metric]:
    """What the UI's columns show of an ended trial: best_<metric> on the validation part, test_<metric>, sizes.

    All at step 0, where the UI draws bars.
    """
    values: dict[str, float] = {"epochs": record.epochs}
    values |= {f"best_{name}": value for name, value in record.best.items() if name.startswith("val_")}
    values |= {f"test_{name.removeprefix('test_')}": value for name, value in record.test.items()}
    for name in ("best_epoch", "model_parameters"):
        if (number := getattr(record, name)) is not None:
            values[name] = number
    return metrics(values, milliseconds(record.ended))


def state_tags(record: TrialRecord, objective: Objective) -> list[RunTag]:
    """What changes in the course of a trial, and a line of description."""
    values = {"hpo.state": record.state, "hpo.failure": record.failure, "hpo.ended_by": record.ended_by}
    return tags({**values, MLFLOW_RUN_NOTE: _note(record, objective)})


def _note(record: TrialRecord, objective: Objective) -> str:
    parts = [record.state if record.failure is None else f"{record.state} ({record.failure})"]
    if record.value is not None:
        parts.append(f"{objective.metric} {record.value:.5g} at epoch {record.best_epoch} of {record.epochs}")
    test = record.test.get(objective.metric.removeprefix("val_"))
    if test is not None:
        parts.append(f"on the test part {test:.5g}")
    if record.attempt:
        parts.append(f"attempt {record.attempt + 1} at the configuration of trial {record.origin}")
    return ", ".join(parts)


def best_so_far(
    records: Sequence[TrialRecord], objective: Objective, best: float | None = None, highest: int = -1
) -> tuple[list[Metric], float | None, int]:
    """The best objective after each ended trial, step = trial number; the best, and the highest number.

    The UI shows the value of the highest step. So a trial that ends after one of a higher number is also
    logged at that one's step.
    """
    points = []
    for record in records:
        if record.state in ("complete", "pruned") and record.value is not None:
            best = record.value if objective.better(record.value, best) else best
        highest = max(highest, record.number)
        if best is not None:
            for step in dict.fromkeys((record.number, highest)):
                points += metrics({f"best_{objective.metric}": best}, milliseconds(record.ended), step)
    return points, best, highest


def dataset_inputs(info: DatasetInfo) -> list[DatasetInput]:
    """The parts of a dataset, with contexts training, validation and test."""
    features = TensorSpec(dtype("float32"), (-1, *info.input_shape), name="features")
    width = (-1, info.outputs) if info.one_hot else (-1,)
    targets = TensorSpec(dtype("int64" if info.classes else "float32"), width, name="targets")
    schema = json.dumps(TensorDatasetSchema(Schema([features]), Schema([targets])).to_dict())
    local = Path(info.source).exists()
    source = {"uri": info.source} if local else {"tags": {"mlflow.source.name": info.source}}
    return [
        DatasetInput(
            Dataset(
                name=info.name,
                digest=info.digests.get(part, info.digest)[:36],
                source_type="local" if local else "code",
                source=json.dumps(source),
                schema=schema,
                profile=json.dumps({"num_rows": size, "num_elements": size * math.prod(info.input_shape)}),
            ),
            [InputTag(MLFLOW_DATASET_CONTEXT, part)],
        )
        for part, size in info.sizes.items()
    ]
