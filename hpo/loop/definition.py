"""The definition of a study, made from a plan and its data."""

from typing import Any

from hpo import models
from hpo.config.declared import NOTHING_DECLARED
from hpo.config.redacted import kept_experiment
from hpo.config.space import in_section
from hpo.data.dataset import DatasetInfo
from hpo.data.info_json import info_as_json
from hpo.plan.plan import Plan
from hpo.study.definition import Definition
from hpo.text.credentials import hidden_in

# Parameters that set these decide how long a trial is, or what it does at which of its epochs.
_DECIDE_LENGTH = {"epochs", "schedule", "phases", "executions"}


def files_read(plan: Plan) -> dict[str, str]:
    """The SHA-256 of the files that the model reads, such as weights: under one path another may lie some day."""
    space, found = plan.space, dict[str, str]()
    for name, parameter in space.parameters.items():
        key = space.target(name)
        if key in models.file_keys(space.model):
            for value in parameter.values() or ():
                found.update(models.digests(space.model, {key: value}, plan.folders))
    return found


def definition_of(plan: Plan, info: DatasetInfo) -> Definition:
    """The definition of the plan's study."""
    experiment = plan.experiment
    identity = {
        "search_space": plan.space.model_dump(mode="json"),
        "objective": experiment.objective.model_dump(mode="json"),
        # The digest covers where the data are from, and how they were split.
        "dataset": {"name": info.name, "digest": info.digest, "scaling": info.scaling.method, **_beside(plan, info)},
        "training": experiment.training.model_dump(mode="json"),
        "seed": experiment.study.seed,
    }
    if files := files_read(plan):
        identity["files"] = files
    identity = hidden_in(identity)
    resolved = kept_experiment({**experiment.model_dump(mode="json"), "search_space": identity["search_space"]})
    # A pruner gets a value for each fold, if there are folds, and otherwise for each epoch.
    reports = info.folds or experiment.training.epochs
    return Definition(
        space=plan.space,
        epochs=reports,
        folds=info.folds is not None,
        identity=identity,
        files=plan.files,
        experiment=resolved,
        data=hidden_in(info_as_json(info)),
        folders=tuple(map(str, plan.folders)),
        lengthens=info.folds is None and _lengthens(plan),
        declared=plan.declared or NOTHING_DECLARED,
    )


def _lengthens(plan: Plan) -> bool:
    """Whether nothing in a trial depends on how many epochs it may have, and no parameter sets that number."""
    training, space = plan.experiment.training, plan.space
    depends = training.schedule or training.phases or training.callbacks or training.trainings > 1
    set_by_space = {key for name in space.parameters for key in in_section(space.target(name), "training")[:1]}
    return not depends and not set_by_space & _DECIDE_LENGTH


def _beside(plan: Plan, info: DatasetInfo) -> dict[str, Any]:
    """The keys of the dataset section that the digest does not cover; absent ones keep old definitions unchanged."""
    keys = {"augmentation", "extra_tests", "steps_per_epoch"}
    found = plan.experiment.dataset.model_dump(mode="json", include=keys, exclude_none=True)
    if info.target_scaling is not None:
        found["target_scaling"] = info.target_scaling.method
    if info.window is not None:
        # It decides the order of the samples in an epoch.
        found["window"] = info.window
    return found
