"""Trial records and datasets as MLflow's entities. Nothing here accesses a store."""

import json
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlflow.data.schema import TensorDatasetSchema
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunData, RunTag
from mlflow.types.schema import ColSpec, Schema, TensorSpec
from numpy import dtype

from hpo.config.experiment import Objective
from hpo.config.resolved import flat
from hpo.config.score import Score
from hpo.data.dataset import DatasetInfo
from hpo.statistics.sampling import tested
from hpo.study.confirmation import Confirmation, Estimate
from hpo.study.record import TrialRecord
from hpo.text.cleaning import LONGEST_ERROR, clean, markdown
from hpo.text.values import score
from hpo.tracking.mlflow_compat import (
    MAX_ENTITY_KEY_LENGTH,
    MAX_PARAM_VAL_LENGTH,
    MAX_TAG_VAL_LENGTH,
    MLFLOW_DATASET_CONTEXT,
    MLFLOW_RUN_NOTE,
    is_plain_path,
)

EPOCHS = "training.epochs"
"""The param of the most epochs of a trial."""
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
"""A trial's state -> its run's status, as in MLflow's own Optuna storage."""


def by_end(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The ended trials, in the order in which they ended."""
    ended = [record for record in records if record.state in STATUS]
    return sorted(ended, key=lambda record: (milliseconds(record.ended), record.number))


def milliseconds(moment: datetime | None) -> int:
    """Milliseconds since 1970 of a moment; None: now."""
    return int((moment.timestamp() if moment else time.time()) * 1000)


@lru_cache(maxsize=4096)
def key(name: str) -> str:
    """A name as MLflow allows it: letters, digits, `_ - . / :` and spaces, and no path that could be shortened."""
    allowed = re.sub(r"[^\w\-./: ]", "_", name, flags=re.ASCII)[:MAX_ENTITY_KEY_LENGTH]
    return allowed if is_plain_path(allowed) else re.sub("[./]", "_", allowed) or "_"


def text(value: object, most: int = LONGEST_ERROR) -> str:
    """Text that every database accepts, without credentials, of at most `most` characters."""
    return clean(value, most)


def params(values: Mapping[str, Any]) -> list[Param]:
    """Key -> value as params, each key once. Values that are not text are written as JSON."""
    found = {
        key(name): text(value if isinstance(value, str) else json.dumps(value, default=str), MAX_PARAM_VAL_LENGTH)
        for name, value in flat(values)
    }
    return [Param(name, value) for name, value in found.items()]


def tags(values: Mapping[str, object]) -> list[RunTag]:
    """Key -> value as tags; None is left out."""
    return [RunTag(name, text(value, MAX_TAG_VAL_LENGTH)) for name, value in values.items() if value is not None]


def metrics(values: Mapping[str, float], timestamp: int, step: int = 0) -> list[Metric]:
    """Metric -> value at a step. Only finite values: MLflow would store infinity as 1.8e308."""
    return [Metric(key(name), float(value), timestamp, step) for name, value in values.items() if math.isfinite(value)]


def curves(record: TrialRecord, logged_epochs: int = 0) -> list[Metric]:
    """Every metric after each epoch but the first `logged_epochs`, with times from their durations; see `points`."""
    if logged_epochs >= record.epochs:
        return []
    moments, at = [], milliseconds(record.started or record.ended)
    seconds = record.curves.get("seconds", ())
    for epoch in range(record.epochs):
        duration = seconds[epoch] if epoch < len(seconds) else 0.0
        at += int(duration * 1000) if math.isfinite(duration) else 0
        moments.append(at)
    found: list[Metric] = []
    for done, (moment, (fold, epoch)) in enumerate(zip(moments, record.places, strict=True)):
        values = {name: curve[done] for name, curve in record.curves.items() if done < len(curve)}
        found += points(values, moment, epoch, fold) if done >= logged_epochs else []
    return found


def points(values: Mapping[str, float], timestamp: int, epoch: int, fold: int | None = None) -> list[Metric]:
    """The metrics after an epoch, at step = epoch. Those of a fold have its number in their names: fold_2_val_loss."""
    prefix = "" if fold is None else f"fold_{fold}_"
    return metrics({f"{prefix}{name}": value for name, value in values.items()}, timestamp, epoch)


def scores(record: TrialRecord, objective: Objective | None = None) -> list[Metric]:
    """The columns of an ended trial in the UI: best_<metric> on the validation part, gap_<metric> to the training
    part, test_<metric>, and sizes.

    All are at step 0, so that the UI draws bars. `objective`: its best value is the trial's score, which may be another
    than that of its curve: the mean over executions, or what a fit of its own returns.
    """
    values: dict[str, float] = {"epochs": record.epochs}
    if record.model_parameters is not None:
        values["model_parameters"] = record.model_parameters
    if record.gpu_memory is not None:
        values["gpu_memory_mib"] = record.gpu_memory / 2**20
    # A failed trial has no score, even if its first epochs had one: it must not come first when sorted by score.
    if record.value is not None and record.best_epoch is not None:
        values |= {f"best_{name}": value for name, value in record.best.items() if name.startswith("val_")}
        if objective is not None:
            values[f"best_{objective.metric}"] = record.value
        values |= {f"best_{name}_std": value for name, value in record.deviations.items() if name.startswith("val_")}
        values |= {f"gap_{name}": gap for name, gap in record.gaps.items()}
        values["best_epoch"] = record.best_epoch
    values |= {f"test_{name.removeprefix('test_')}": value for name, value in record.test.items()}
    return metrics(values, milliseconds(record.ended))


def state_tags(record: TrialRecord, objective: Objective) -> list[RunTag]:
    """The tags that change while a trial runs, and a line of description."""
    values = {"hpo.state": record.state, "hpo.failure": record.reason, "hpo.ended_by": record.ended_by}
    values |= {"hpo.test_note": record.test_note, "hpo.model_note": record.model_note}
    return tags({**values, "hpo.epochs": record.epochs, MLFLOW_RUN_NOTE: _note(record, objective)})


def _note(record: TrialRecord, objective: Objective) -> str:
    parts = [record.state if record.failure is None else f"{record.state} ({record.reason})"]
    if record.value is not None:
        parts.append(f"{markdown(objective.metric)} {score(record.value)} {markdown(record.reached(objective.metric))}")
    test = record.test.get(objective.metric.removeprefix("val_"))
    if test is not None:
        parts.append(f"on the test part {score(test)}")
    if record.confirms is not None:
        split = "" if record.confirms.split is None else " and split"
        parts.append(f"seed{split} {record.confirms.ordinal} of trial {record.confirms.trial}")
    if record.attempt:
        again = "the run" if record.confirms else f"the configuration of trial {record.origin}"
        parts.append(f"attempt {record.attempt + 1} at {again}")
    parts += record.remarks
    return ", ".join(parts)


@dataclass(frozen=True)
class BestSoFar:
    """The best objective of the trials that have ended."""

    score: Score | None = None
    ended: int = 0
    """Trials that have ended."""


def best_so_far(
    records: Sequence[TrialRecord], objective: Objective, before: BestSoFar = BestSoFar()
) -> tuple[list[Metric], BestSoFar]:
    """The study's own curve after more trials have ended, in the order of their ends; and the new best.

    The points are `best_so_far_<metric>` after each trial, where step = the number of ended trials, and `best_<metric>`
    at step 0, where the trials have theirs: the UI sorts by it, and draws bars.
    """
    points, best, ended = [], before.score, before.ended
    for record in records:
        ended += 1
        score = record.score(objective)
        best = score if score is not None and score.better_than(best) else best
        if best is not None:
            points += metrics({f"best_so_far_{objective.metric}": best.value}, milliseconds(record.ended), ended)
    if records and best is not None and best.better_than(before.score):
        points += metrics({f"best_{objective.metric}": best.value}, milliseconds(records[-1].ended))
    return points, BestSoFar(best, ended)


def epochs_now(known: RunData, fixed: Sequence[Param]) -> list[RunTag]:
    """The tag that tells the epochs of a study which has, or had, other ones than its run was logged with."""
    name, now = f"hpo.now.{EPOCHS}", next((param.value for param in fixed if param.key == EPOCHS), None)
    changed = known.params.get(EPOCHS, now) != now or name in known.tags
    return tags({name: now}) if changed else []


def trial_params(fixed: Mapping[str, Any], record: TrialRecord) -> list[Param]:
    """A trial's params: its seed, its configuration, its resolved settings, and what is the same in all trials.

    A setting of the model has the name of the parameter that sets it; if that has a name of its own, the setting is
    logged as `model.<setting>`. Trials of earlier versions lack resolved settings. Then settings that the
    configuration sets are left out of the training section, which has other values for them.
    """
    if (resolved := record.resolved) is not None:
        renamed = {f"model.{name}": value for name, value in resolved.model.items() if name not in record.params}
        settings = {"training": resolved.training, "dataset": resolved.dataset, **renamed}
        return params({"seed": record.seed, **fixed, **settings, **record.params})
    training = {
        name: value
        for name, value in (fixed.get("training") or {}).items()
        if not {name, f"training.{name}"} & record.params.keys()
    }
    return params({"seed": record.seed, **fixed, "training": training, **record.params})


def confirmed(confirmation: Confirmation) -> dict[str, float]:
    """The columns of the study's run that show its confirmation."""
    chosen = confirmation.estimate
    values = {"noise_floor": confirmation.noise_floor}
    if chosen is not None:
        values |= mean_and_interval(confirmation.metric, chosen)
    for name, (found, _) in tested(confirmation).items():
        values |= mean_and_interval(f"test_{name}", found)
    return values


def mean_and_interval(name: str, estimate: Estimate) -> dict[str, float]:
    """A confirmed score: its mean and the ends of its 95% interval."""
    name = f"confirmed_{name}"
    return {name: estimate.mean, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def role_tags(record: TrialRecord) -> dict[str, str]:
    """Tags that say whether a run is a trial or a confirming run, and its number, by which it is found again."""
    if record.confirms is None:
        return {"hpo.role": "trial", "hpo.trial": str(record.number)}
    return {
        "hpo.role": "confirm",
        "hpo.confirm": str(record.number),
        "hpo.trial": str(record.confirms.trial),
        "hpo.ordinal": str(record.confirms.ordinal),
        "hpo.seed": str(record.seed),
    }


def own_tag(tags: Mapping[str, str]) -> tuple[str, str]:
    """The tag by which a run is found again. Trials and confirming runs are numbered separately."""
    name = "hpo.confirm" if tags["hpo.role"] == "confirm" else "hpo.trial"
    return name, tags[name]


def run_name(record: TrialRecord) -> str:
    """The name of the run in the UI."""
    if record.confirms is None:
        return f"trial-{record.number:04d}"
    kind = "seed" if record.confirms.split is None else "split"
    return f"confirm-{record.confirms.trial:04d}-{kind}-{record.confirms.ordinal}"


def dataset_inputs(info: DatasetInfo) -> list[DatasetInput]:
    """The parts of a dataset, with contexts training, validation and test."""
    features: list[ColSpec | TensorSpec]
    features = [TensorSpec(dtype("float32"), (-1, *info.input_shape), name="features")]
    if info.inputs:
        features = [
            TensorSpec(dtype("str" if one.is_text else one.type), (-1, *one.shape), name)
            for name, one in info.inputs.items()
        ]
    elif info.is_text:
        features = [TensorSpec(dtype("str"), (-1, *info.input_shape), name="features")]
    width = (-1, info.outputs) if info.one_hot else (-1, *info.target_shape)
    targets = TensorSpec(dtype("int64" if info.classes else "float32"), width, name="targets")
    schema = json.dumps(TensorDatasetSchema(Schema(features), Schema([targets])).to_dict())
    numbers = sum(math.prod(one.shape) for one in info.inputs.values()) or math.prod(info.input_shape)
    local = Path(info.source).exists()
    place = clean(info.source)
    source = {"uri": place} if local else {"tags": {"mlflow.source.name": place}}
    return [
        DatasetInput(
            Dataset(
                name=clean(info.name, MAX_ENTITY_KEY_LENGTH),
                # As long as MLflow's own digests, which its tables show fully. The full digest is a tag.
                digest=info.digests.get(part, info.digest)[:8],
                source_type="local" if local else "code",
                source=json.dumps(source),
                schema=schema,
                profile=json.dumps({"num_rows": size, "num_elements": size * numbers}),
            ),
            [InputTag(MLFLOW_DATASET_CONTEXT, part)],
        )
        for part, size in info.sizes.items()
    ]
