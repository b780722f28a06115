"""What trains next, and how far: strategies that begin, pause and go on with trials.

A schedule is asked for the next step whenever a worker is free, and is told what came of it (`hpo.schedule.history`).
Its answers depend on that history and on the study's seed alone, so a study that is resumed goes on as if it had not
been interrupted. This package knows neither Optuna nor Keras.
"""

from hpo.schedule.steps import Begin, GoOn, Schedule, Step, Verdict, Wait
from hpo.schedule.table import SCHEDULES, make_schedule

__all__ = ["SCHEDULES", "Begin", "GoOn", "Schedule", "Step", "Verdict", "Wait", "make_schedule"]
