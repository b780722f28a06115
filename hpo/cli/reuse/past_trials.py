"""Selects those trials of a past study, or of a KerasTuner project, that are in a new study's search space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from hpo.cli.reuse.import_trials import Past
from hpo.cli.reuse.keras_tuner_project import KerasTunerTrial
from hpo.config.experiment import Objective, TrainingSpec
from hpo.config.parameters import Constant
from hpo.config.space import SearchSpace
from hpo.storage.optuna_compat import RUNG_PREFIX
from hpo.study.attributes import ENQUEUED
from hpo.study.read import StudyView
from hpo.study.record import TrialRecord


class Unfit(Exception):
    """A past trial is left out; the message is the reason."""


@dataclass(frozen=True)
class Gathered:
    """Past trials that fit, and the reasons why others do not."""

    past: Sequence[Past]
    left_out: Sequence[str]
    """A reason for each trial that was left out."""


@dataclass(frozen=True)
class Wanted:
    """The requirements that past trials must meet."""

    space: SearchSpace
    objective: Objective
    strict: bool
    """Whether they become trials of the new study, as if run in it. Otherwise only its sampler learns from them."""


def of_study(view: StudyView, trials: Mapping[int, FrozenTrial], wanted: Wanted, same_pruner: bool) -> Gathered:
    """The trials of a study that fit; `trials` are Optuna's own, by number."""
    set_before = _set_by_training(wanted.space, TrainingSpec.model_validate(view.identity["training"]))
    past, left_out = [], []
    for record in view.trials:
        try:
            seen = record if wanted.strict else _scored(record, view.objective, wanted.objective)
            if seen.state == "running":
                raise Unfit("still running")
            params = fitted(wanted.space, record.params, set_before, wanted.strict)
        except Unfit as reason:
            left_out.append(str(reason))
            continue
        trial = trials[record.number]
        listed = {key: value for key, value in trial.user_attrs.items() if key == ENQUEUED and wanted.strict}
        noted = {key: value for key, value in trial.system_attrs.items() if key.startswith(RUNG_PREFIX)}
        past.append(
            Past(view.name, str(record.number), replace(seen, params=params), listed, noted if same_pruner else {})
        )
    return Gathered(past, left_out)


def of_project(folder: Path, trials: Sequence[KerasTunerTrial], wanted: Wanted) -> Gathered:
    """The trials of a KerasTuner project that fit."""
    past, left_out = [], []
    longest = max((trial.epochs or 0 for trial in trials), default=0)
    for number, trial in enumerate(trials):
        try:
            if trial.status != "COMPLETED":
                raise Unfit(trial.status.lower())
            if trial.epochs is not None and trial.epochs < longest:
                raise Unfit(f"trained for fewer than {longest} epochs")
            value = trial.best(wanted.objective)
            if value is None:
                raise Unfit(f"without {wanted.objective.metric}")
            params = fitted(wanted.space, trial.values, {}, strict=False)
        except Unfit as reason:
            left_out.append(str(reason))
            continue
        record = TrialRecord(number, "complete", params, 0, origin=number, value=value)
        past.append(Past(str(folder.resolve()), trial.name, record))
    return Gathered(past, left_out)


def fitted(space: SearchSpace, known: Mapping[str, Any], defaults: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    """A past configuration as one of the space: name -> value, for every active parameter of the space.

    Parameters are matched by name, else by the key that they set. `defaults` has the values of parameters that `known`
    lacks. If `strict`, no value may be missing, and none left over. Otherwise constants may be missing, and parameters
    that the space does not have are ignored.

    Raises:
        Unfit: a value is missing, not allowed, or left over.
    """
    config: dict[str, Any] = {}
    used = set()
    for name in space.order:
        if not space.active(name, config):
            continue
        parameter, there = space.parameters[name], name if name in known else space.target(name)
        used.add(there)
        if there in known:
            value = known[there]
        elif name in defaults:
            value = defaults[name]
        elif isinstance(parameter, Constant) and not strict:
            value = parameter.value
        else:
            raise Unfit(f"without {name}")
        if parameter.complaint(value):
            raise Unfit(f"{name} outside the space")
        config[name] = value
    if strict and (beyond := [name for name in known if name not in used]):
        raise Unfit(f"{beyond[0]} not in the space")
    return config


def _set_by_training(space: SearchSpace, training: TrainingSpec) -> dict[str, Any]:
    """Parameter of the space -> the value of its key in the past study's training section."""
    values = training.model_dump(mode="json")
    keys = {name: space.target(name).removeprefix("training.") for name in space.parameters}
    return {name: values[key] for name, key in keys.items() if values.get(key) is not None}


def _scored(record: TrialRecord, measured: Objective, wanted: Objective) -> TrialRecord:
    """A trial with the score of another objective than its own: that metric's best value along its curves.

    Raises:
        Unfit: it has no such score.
    """
    if record.state == "running":
        raise Unfit("still running")
    if record.state == "failed" or record.value is None:
        raise Unfit(record.reason or "without a score")
    if measured == wanted:
        return record
    score = wanted.score_of(record.curves, record.fold_lengths)
    if score is None:
        raise Unfit(f"without {wanted.metric}")
    return record.scored(score)


def same_pruner(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether successive halving's notes on past trials hold for a new study; both are `study` sections of the file.

    Hyperband makes such notes too, but by brackets that depend on the study's name.
    """
    return before.get("pruner") == after.get("pruner") and after["pruner"]["name"] == "successive_halving"
