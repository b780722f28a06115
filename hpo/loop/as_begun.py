"""The plan of a study that was begun before, with what was decided then where its file leaves it open."""

from collections.abc import Mapping
from dataclasses import replace

from hpo.errors import HpoError
from hpo.plan.plan import Plan
from hpo.storage.database import is_database_error
from hpo.study.read import begun_scaling


def as_begun(plan: Plan) -> Plan:
    """The plan with the scaling of its study, if the study exists: what is the default may have changed since."""
    dataset = plan.experiment.dataset
    if None not in (dataset.scaling, dataset.target_scaling):
        return plan
    try:
        scaling = begun_scaling(plan.storage, plan.experiment.name)
    except HpoError:
        return plan
    except Exception as error:
        # Whoever opens the study to write waits for the database.
        if is_database_error(error):
            return plan
        raise
    return plan if scaling is None else scaled_as(plan, scaling)


def scaled_as(plan: Plan, scaling: Mapping[str, str]) -> Plan:
    """The plan with that scaling (key of the dataset section -> value), where its file names none."""
    dataset = plan.experiment.dataset
    unnamed = {key: value for key, value in scaling.items() if getattr(dataset, key) is None}
    dataset = dataset.model_copy(update=unnamed)
    return replace(plan, experiment=plan.experiment.model_copy(update={"dataset": dataset}))
