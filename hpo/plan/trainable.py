"""Finds search spaces without a configuration that can be trained, before anything is trained."""

from collections.abc import Callable, Mapping
from typing import Any

from hpo.config.experiment import TrainingSpec
from hpo.config.space import in_section
from hpo.errors import FileMistakes, InvalidSettings, Mistake
from hpo.models import InvalidModel
from hpo.plan.plan import Plan

_TRIED = 100
# Keys that an error of a model or of its training may name, beside those of the training section.
_NAMED = ("objective", "early_stopping.monitor", "reduce_on_plateau.monitor")


def refuse_impossible(plan: Plan, check: Callable[[Mapping[str, Any]], None]) -> None:
    """Checks the extremes of a space and some configurations at random; refuses it if none can be trained.

    If only some of them are impossible, their trials fail with reason invalid and the study goes on.

    Args:
        plan: the plan with the space.
        check: raises InvalidModel or InvalidSettings for a configuration that cannot be trained.

    Raises:
        FileMistakes: every configuration is impossible; the mistakes name the parameters at fault.
    """
    mistakes: dict[str, Mistake] = {}
    for config in plan.space.examples(_TRIED):
        try:
            check(config)
        except (InvalidModel, InvalidSettings) as error:
            mistake = _mistake(plan, error)
            mistakes.setdefault(mistake.key, mistake)
        else:
            return
    raise FileMistakes(mistakes.values())


def _mistake(plan: Plan, error: InvalidModel | InvalidSettings) -> Mistake:
    names = {plan.space.target(name): name for name in plan.space.parameters}
    name = names.get(getattr(error, "key", None) or "")
    return plan.documents["search_space"].mistake(("parameters", *([name] if name else [])), str(error))


def mistake_of(plan: Plan, error: str) -> Mistake:
    """An error as a mistake at the key that it names, if it names one: in the search space where that sets it."""
    name, _, message = error.partition(": ")
    if name not in _NAMED and name not in TrainingSpec.model_fields:
        return Mistake("", "", error)
    setting = {in_section(plan.space.target(known), "training"): known for known in plan.space.parameters}
    path = tuple(name.split("."))
    if path in setting:
        return plan.documents["search_space"].mistake(("parameters", setting[path]), message)
    return plan.documents["experiment"].mistake(path if path == ("objective",) else ("training", *path), message)
