"""The table of schedules, by the names that experiment files use."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from hpo.schedule.history import History
from hpo.schedule.steps import Schedule

SCHEDULES: Mapping[str, str] = {
    "gp_asha": "hpo.schedule.gp_asha:GpAsha",
    "asha": "hpo.schedule.asha:Asha",
    "one_pass": "hpo.schedule.one_pass:OnePass",
}
"""Name -> import path of its class. SciPy, which takes a fifth of a second, is imported for those alone that use it."""


def schedule_class(name: str) -> type[Schedule]:
    """The class of a schedule of the table."""
    module, _, attribute = SCHEDULES[name].partition(":")
    found: type[Schedule] = getattr(import_module(module), attribute)
    return found


def make_schedule(name: str, options: Mapping[str, Any], history: History, seed: int) -> Schedule:
    """The schedule of a study, over a history that its coordinator goes on filling."""
    return schedule_class(name)(history, seed, **options)
