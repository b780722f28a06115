"""Finds search spaces without a configuration that can be trained, before anything is trained."""

from collections.abc import Callable, Mapping
from typing import Any

from hpo.errors import FileMistakes, InvalidSettings, Mistake
from hpo.models import InvalidModel
from hpo.plan.plan import Plan

_TRIED = 100


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
