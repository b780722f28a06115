"""Search spaces of which no configuration makes a model: found before anything is trained."""

import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hpo import models
from hpo.errors import FileMistakes, Mistake

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo
    from hpo.plan import Plan

_TRIED = 100


def refuse_impossible(plan: "Plan", info: "DatasetInfo") -> None:
    """Checks configurations of a space, its extremes and some at random, against the data's shape.

    Where only some of them are impossible, their trials fail with reason invalid and the study goes on.

    Raises:
        FileMistakes: each of them is impossible; the mistakes name the parameters at fault.
    """
    mistakes: dict[str, Mistake] = {}
    for config in _configurations(plan):
        error = _error(plan, config, info)
        if error is None:
            return
        mistake = _mistake(plan, error)
        mistakes.setdefault(mistake.key, mistake)
    raise FileMistakes(mistakes.values())


def _configurations(plan: "Plan") -> Iterator[Mapping[str, Any]]:
    yield from plan.space.extremes()
    rng = random.Random(0)
    for _ in range(_TRIED):
        yield plan.space.draw(rng)


def _error(plan: "Plan", config: Mapping[str, Any], info: "DatasetInfo") -> models.InvalidModel | None:
    try:
        models.check(plan.space.model, plan.space.settings(config), info)
    except models.InvalidModel as error:
        return error
    return None


def _mistake(plan: "Plan", error: models.InvalidModel) -> Mistake:
    names = {plan.space.target(name): name for name in plan.space.parameters}
    name = names.get(error.key or "")
    return plan.documents["search_space"].mistake(("parameters", name) if name else ("model",), str(error))
