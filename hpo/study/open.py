"""Creates a study, or opens one to continue it, if its definition has not changed."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import optuna

from hpo.config.experiment import StudySpec
from hpo.config.redacted import kept_experiment, kept_files
from hpo.errors import NotFound, StoreAway, StudyBusy, StudyMismatch
from hpo.storage.abstract_lock import Lock
from hpo.storage.batched_storage import BatchedStorage
from hpo.storage.database import Warn
from hpo.storage.open import open_storage, opened_patiently
from hpo.study.attributes import DATA, EXPERIMENT, FILES, FOLDERS, IDENTITY, JOB, VERSIONS
from hpo.study.definition import Definition, differ_in_epochs_alone, differences
from hpo.study.read import confirming_study
from hpo.study.study import Study
from hpo.study.tell import as_samplers_see, paused_as_pruned
from hpo.system.versions import versions
from hpo.text.credentials import hidden_in
from hpo.text.urls import masked


def open_study(
    url: str, name: str, definition: Definition, spec: StudySpec, lock: Lock | None = None, warn: Warn | None = None
) -> Study:
    """Creates a study, or opens it to continue it; the caller holds its lock.

    Raises:
        UserError: the database cannot be opened.
        StoreAway: the database is away for longer than START_SECONDS.
        StudyMismatch: a study of this name has another definition; the message shows each difference.
    """
    storage = BatchedStorage(opened_patiently(url, warn=warn), lock, warn, as_samplers_see, paused_as_pruned)
    identity = json.loads(json.dumps(definition.identity))
    direction = definition.identity["objective"]["direction"]
    study = optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)
    known = _as_now(hidden_in(study.user_attrs.get(IDENTITY)), study.user_attrs.get(DATA, {}), identity)
    if known is None:
        if study.get_trials(deepcopy=False) or [one.name.lower() for one in study.directions] != [direction]:
            raise StudyMismatch(f"study {name} in {masked(url)} was not made by hpo; choose another name with --name")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([definition.identity["objective"]["metric"]])
        study.set_user_attr(VERSIONS, versions())
    if known is None or _may_have(study, storage, definition, known, identity):
        study.set_user_attr(FILES, dict(definition.files))
        study.set_user_attr(EXPERIMENT, dict(definition.experiment))
        study.set_user_attr(IDENTITY, identity)
    elif found := list(differences(known, identity)):
        raise StudyMismatch(
            f"study {name} was defined otherwise:\n"
            + "\n".join(f"  {line}" for line in found)
            + f"\nundo the change to continue this one, start another with --name, or {_how_to_reuse(name, found)}"
        )
    # Earlier versions of hpo stored the URLs of stores, passwords included.
    for key, kept in ((FILES, kept_files), (EXPERIMENT, kept_experiment)):
        if (now := kept(was := study.user_attrs.get(key, {}))) != was:
            study.set_user_attr(key, now)
    if definition.data and DATA not in study.user_attrs:
        study.set_user_attr(DATA, dict(definition.data))
    if definition.folders and list(definition.folders) != study.user_attrs.get(FOLDERS):
        # The folders of the last run are stored: the experiment may have been moved since it was begun.
        study.set_user_attr(FOLDERS, list(definition.folders))
    return Study(storage, name, definition, spec)


def delete_study(url: str, name: str) -> None:
    """Deletes a study and its confirming runs from a store, if it has them; the caller holds the study's lock.

    Raises:
        UserError: the database cannot be opened.
    """
    try:
        storage = open_storage(url, must_exist=True)
    except NotFound:
        return
    for one in (name, confirming_study(name)):
        with suppress(KeyError):
            optuna.delete_study(study_name=one, storage=storage)


@contextmanager
def discarded_if_unused(study: Study) -> Iterator[None]:
    """Deletes a study from the store if an error or a signal ends the block before its first trial."""
    try:
        yield
    except BaseException:
        # Where the store is away, or another process has the study by now, the study stays.
        with suppress(StoreAway, StudyBusy):
            study.discard_if_unused()
        raise


def _may_have(
    study: optuna.Study, storage: BatchedStorage, definition: Definition, known: Any, identity: Mapping[str, Any]
) -> bool:
    """Whether a study may have another number of epochs: no trial has had more, and no confirming run as many as now.

    Runs that confirm with different numbers of epochs would be averaged.
    """
    if not definition.lengthens or not differ_in_epochs_alone(known, identity):
        return False
    try:
        storage.get_study_id_from_name(confirming_study(study.study_name))
    except KeyError:
        most = (trial.user_attrs.get(JOB, {}).get("resolved") or {} for trial in study.get_trials(deepcopy=False))
        return all(one.get("training", {}).get("epochs", 0) <= definition.epochs for one in most)
    return False


def _as_now(known: Any, data: Mapping[str, Any], wanted: Mapping[str, Any]) -> Any:
    """A stored definition as today's: earlier versions of hpo did not keep whether images were read from disk."""
    if known is None or "memory_limit" in data or "window" not in wanted["dataset"]:
        return known
    return {**known, "dataset": {**known["dataset"], "window": wanted["dataset"]["window"]}}


def _how_to_reuse(name: str, found: Sequence[str]) -> str:
    """The command with which a changed study can use the trials of the earlier one."""
    if all(line.startswith("search_space.parameters") for line in found):
        return f"take over the trials that lie within the changed ranges: hpo extend {name} EXPERIMENT --name NEW"
    return f"start a study that learns from its trials: hpo warm-start EXPERIMENT --from {name} --name NEW"
