"""The table of schedules, by the names that experiment files use."""

from collections.abc import Mapping
from typing import Any

from hpo.schedule.asha import Asha
from hpo.schedule.gp_asha import GpAsha
from hpo.schedule.history import History
from hpo.schedule.one_pass import OnePass
from hpo.schedule.steps import Schedule

SCHEDULES: Mapping[str, type[Schedule]] = {"gp_asha": GpAsha, "asha": Asha, "one_pass": OnePass}


def make_schedule(name: str, options: Mapping[str, Any], history: History, seed: int) -> Schedule:
    """The schedule of a study, over a history that its coordinator goes on filling."""
    return SCHEDULES[name](history, seed, **options)
