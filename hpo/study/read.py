"""Reads studies from the store, without changing anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from hpo.config.experiment import Objective
from hpo.config.redacted import kept_experiment, kept_files
from hpo.errors import NotFound, nearest
from hpo.storage.database import read_patiently
from hpo.storage.open import open_database, open_storage
from hpo.storage.read_trials import Sampled, light_trials, sampled
from hpo.study.attributes import (
    CONFIRMATION,
    DATA,
    DECLARED,
    EXPERIMENT,
    EXTENDED_BY,
    EXTENDS,
    FILES,
    FOLDERS,
    IDENTITY,
    JOB,
    VERSIONS,
)
from hpo.study.confirmation import Confirmation
from hpo.study.record import TrialRecord
from hpo.study.stored_trial import READ, records_of
from hpo.text.credentials import hidden_in
from hpo.text.urls import masked


@dataclass(frozen=True)
class StudyView:
    """A study as it is stored."""

    name: str
    identity: Mapping[str, Any]
    """What defines the study: search_space, objective, dataset, training, seed."""
    files: Mapping[str, str]
    """The YAML files: experiment, search_space."""
    experiment: Mapping[str, Any]
    """The experiment with all defaults and overrides applied, including its search space, and the scaling of inputs
    and targets that was decided by the data."""
    versions: Mapping[str, str]
    """Versions of the packages with which the study was begun."""
    trials: Sequence[TrialRecord]
    storage: str
    confirmation: Confirmation | None = None
    """The result of `hpo confirm`; None if it has not run."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What is known about its dataset; `hpo.data.info_json.info_from_json` reads it."""
    folders: Sequence[str] = ()
    """The folders where the user's relative paths and import paths were looked up in its last run, in this order."""
    links: Mapping[str, str] = field(default_factory=dict)
    """extends, extended_by -> the name of the study, or several names separated by commas."""

    declared: Mapping[str, Any] | None = None
    """What a KerasTuner model and its fit have declared: `HyperParameters.get_config()`."""

    @cached_property
    def objective(self) -> Objective:
        """What the study improves."""
        return Objective.model_validate(self.identity["objective"])

    def trial(self, number: int) -> TrialRecord:
        """The trial with that number.

        Raises:
            NotFound: there is none; the message says which there are.
        """
        for trial in self.trials:
            if trial.number == number:
                return trial
        numbers = [trial.number for trial in self.trials]
        there = f"its trials are {min(numbers)} to {max(numbers)}" if numbers else "it has none yet"
        raise NotFound(f"study {self.name} has no trial {number}; {there}")


@read_patiently
def read_study(url: str, name: str) -> StudyView:
    """Reads a study, without changing anything.

    Raises:
        NotFound: there is no such study; the message names the nearest.
    """
    database = open_database(url, must_exist=True)
    study = _loaded(database, url, name)
    known = light_trials(database, database.get_study_id_from_name(name), READ, needs=JOB)
    return view_of(study, url, known)


def decided_before(url: str, name: str, target: str | tuple[str, ...] | None) -> dict[str, dict[str, Any]] | None:
    """What was decided for a study where its file left it open: see `decided_in`; None if there is no such study.

    `target`: the column to predict, or several; None too if the study has another.

    Raises:
        NotFound: there is no store.
    """
    database = open_database(url, must_exist=True)
    wanted = list(target) if isinstance(target, tuple) else target
    try:
        known = database.get_study_user_attrs(database.get_study_id_from_name(name))
    except KeyError:
        return None
    if IDENTITY not in known or known[EXPERIMENT]["dataset"].get("target") != wanted:
        return None
    return decided_in(known)


def decided_in(attributes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What was decided for a study, by its attributes: section -> key -> value; by the data, or by earlier defaults."""
    dataset, data = attributes[IDENTITY]["dataset"], attributes.get(DATA, {})
    # Earlier versions of hpo scaled no targets.
    found = {"target_scaling": dataset.get("target_scaling", "none")}
    # Of several inputs each has a scaling of its own, and the identity says none.
    if not data.get("inputs"):
        found["scaling"] = dataset["scaling"]
    # Several targets are no task that a file may name: each has its own.
    if data.get("task") not in (None, "several"):
        found["task"] = data["task"]
    # It depends on the machine, and decides the order of the samples.
    if (limit := data.get("memory_limit")) is not None:
        found["memory_limit"] = limit
    # They took a class that is too small for strata as a reason to make none.
    draws = data.get("draws") or ()
    if draws and not any(draw["stratified"] or "method" in draw for draw in draws):
        found["stratify"] = False
    # They knew no other schedule.
    schedule = attributes[EXPERIMENT].get("study", {}).get("schedule", {"name": "one_pass"})
    return {"dataset": found, "study": {"schedule": schedule}}


@read_patiently
def read_sampled(url: str, name: str) -> dict[int, Sampled]:
    """The sampled parameters of a study's trials, by number, with their ranges as the sampler saw them.

    Raises:
        NotFound: there is no store.
    """
    database = open_database(url, must_exist=True)
    return sampled(database, database.get_study_id_from_name(name))


@read_patiently
def known_study(url: str, name: str) -> optuna.Study:
    """The study as Optuna's own object, for Optuna's own tools.

    Raises:
        NotFound: there is no such study; the message names the nearest.
    """
    return _loaded(open_storage(url, must_exist=True), url, name)


def _loaded(storage: BaseStorage, url: str, name: str) -> optuna.Study:
    names = optuna.get_all_study_names(storage)
    if name not in names:
        known = study_names(url)
        hint = nearest(name, known) if known else "there are none yet"
        raise NotFound(f"no study {name!r} in {masked(url)}; {hint}")
    study = optuna.load_study(study_name=name, storage=storage)
    if IDENTITY not in study.user_attrs:
        raise NotFound(f"study {name} in {masked(url)} was not made by hpo")
    return study


def view_of(study: optuna.Study, url: str, trials: Sequence[FrozenTrial] | None = None) -> StudyView:
    """A study as it is stored at `url`; `trials`: its trials, if they have been read already."""
    attributes = study.user_attrs
    confirmed, experiment = attributes.get(CONFIRMATION), kept_experiment(attributes[EXPERIMENT])
    if isinstance(dataset := experiment.get("dataset"), Mapping):
        # What is the default may have changed since the study was begun.
        decided = decided_in(attributes)
        begun = {key: one for key, one in decided["dataset"].items() if dataset.get(key) is None}
        study_section = {**decided["study"], **experiment.get("study", {})}
        experiment = {**experiment, "dataset": {**dataset, **begun}, "study": study_section}
    return StudyView(
        name=study.study_name,
        identity=hidden_in(attributes[IDENTITY]),
        # Earlier versions of hpo stored the URLs of stores in these too.
        files=kept_files(attributes[FILES]),
        experiment=experiment,
        versions=attributes[VERSIONS],
        trials=records_of(study.get_trials(deepcopy=False) if trials is None else trials),
        storage=url,
        confirmation=None if confirmed is None else Confirmation.model_validate(confirmed),
        data=hidden_in(attributes.get(DATA, {})),
        folders=attributes.get(FOLDERS, ()),
        declared=attributes.get(DECLARED),
        links={key.removeprefix("hpo:"): attributes[key] for key in (EXTENDS, EXTENDED_BY) if key in attributes},
    )


@read_patiently
def study_names(url: str) -> list[str]:
    """The names of all studies in a store that hpo made; empty if there is no store yet."""
    try:
        storage = open_storage(url, must_exist=True)
    except NotFound:
        return []
    summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    return [summary.study_name for summary in summaries if IDENTITY in summary.user_attrs]


def confirming_study(study: str) -> str:
    """The name of the Optuna study that holds a study's confirming runs; no user can choose such a name."""
    return f"{study}@confirm"


@read_patiently
def confirming_runs(url: str, study: str) -> list[TrialRecord]:
    """The confirming runs of a study, in the order in which they began; empty if it was never confirmed.

    Raises:
        NotFound: there is no store.
    """
    storage = open_storage(url, must_exist=True)
    try:
        known = optuna.load_study(study_name=confirming_study(study), storage=storage)
    except KeyError:
        return []
    return records_of(known.get_trials(deepcopy=False))
