"""The definition of a study: what makes it that study, from a plan and its data."""

from typing import Any

from hpo.config.declared import NOTHING_DECLARED
from hpo.config.redacted import kept_experiment
from hpo.data.dataset import DatasetInfo
from hpo.data.info_json import info_as_json
from hpo.plan.plan import Plan
from hpo.study.definition import Definition
from hpo.text.credentials import hidden_in


def definition_of(plan: Plan, info: DatasetInfo) -> Definition:
    """What makes the plan's study that study."""
    experiment = plan.experiment
    identity = {
        "search_space": plan.space.model_dump(mode="json"),
        "objective": experiment.objective.model_dump(mode="json"),
        # The digest stands for where the data are, and for how they were split.
        "dataset": {"name": info.name, "digest": info.digest, "scaling": info.scaling.method, **_beside(plan)},
        "training": experiment.training.model_dump(mode="json"),
        "seed": experiment.study.seed,
    }
    identity = hidden_in(identity)
    resolved = kept_experiment({**experiment.model_dump(mode="json"), "search_space": identity["search_space"]})
    # What a pruner hears of: the folds, where there are any, else the epochs.
    reports = info.folds or experiment.training.epochs
    return Definition(
        space=plan.space,
        epochs=reports,
        identity=identity,
        files=plan.files,
        experiment=resolved,
        data=hidden_in(info_as_json(info)),
        folders=tuple(map(str, plan.folders)),
        declared=plan.declared or NOTHING_DECLARED,
    )


def _beside(plan: Plan) -> dict[str, Any]:
    """What of the dataset section its digest does not stand for; a study without it reads as it always did."""
    keys = {"augmentation", "extra_tests", "steps_per_epoch"}
    return plan.experiment.dataset.model_dump(mode="json", include=keys, exclude_none=True)
