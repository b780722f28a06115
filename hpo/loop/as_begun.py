"""The plan of a study that was begun before, with what was decided for it then where its file leaves it open."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hpo.config.dataset import OF_IMAGE_FOLDERS
from hpo.config.experiment import Scheduling
from hpo.errors import HpoError
from hpo.plan.plan import Plan
from hpo.storage.database import is_database_error
from hpo.study.read import decided_before


def as_begun(plan: Plan) -> Plan:
    """The plan with the scaling, the task, the memory limit and the schedule of its study, if the study exists.

    The defaults may have changed since, and so may the machine.
    """
    try:
        decided = decided_before(plan.storage, plan.experiment.name, plan.experiment.dataset.target)
    except HpoError:
        return plan
    except Exception as error:
        # Whoever opens the study to write waits for the database.
        if is_database_error(error):
            return plan
        raise
    return plan if decided is None else decided_as(plan, decided)


def decided_as(plan: Plan, decided: Mapping[str, Mapping[str, Any]]) -> Plan:
    """The plan with what was decided (section -> key -> value), where its file leaves it open."""
    dataset, study = plan.experiment.dataset, plan.experiment.study
    unnamed = {key: value for key, value in decided["dataset"].items() if getattr(dataset, key) is None}
    if dataset.path is None:
        # Other data have taken the place of images, which is told of the data themselves.
        unnamed = {key: value for key, value in unnamed.items() if key not in OF_IMAGE_FOLDERS}
    dataset = dataset.model_copy(update=unnamed)
    if "schedule" not in study.model_fields_set:
        study = study.model_copy(update={"schedule": Scheduling.model_validate(decided["study"]["schedule"])})
    return replace(plan, experiment=plan.experiment.model_copy(update={"dataset": dataset, "study": study}))
