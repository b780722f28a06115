"""A study's schedule, and the history that it decides from: read from the record, and continued while trials train."""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from hpo.config.experiment import StudySpec
from hpo.config.metrics import Direction
from hpo.config.score import merit
from hpo.config.space import SearchSpace
from hpo.schedule import Begin, GoOn, Schedule, Step, Verdict, Wait, make_schedule
from hpo.schedule.cube import Cube
from hpo.schedule.estimates import Estimates, Expected
from hpo.schedule.history import End, History
from hpo.study.attributes import OBSERVED
from hpo.study.definition import Definition
from hpo.study.record import TrialRecord
from hpo.study.reopened import rests
from hpo.study.stored_trial import config_of, origin_of, record_of
from hpo.study.tell import INSTRUCTIVE

# How often a proposal may be one that was tried before; then the sampler is asked.
_ATTEMPTS = 8


class Scheduled:
    """Keeps the history of a study's trials, and asks the schedule."""

    def __init__(self, spec: StudySpec, definition: Definition) -> None:
        self._spec = spec
        self._units, self._folds, self._lengthens = definition.epochs, definition.folds, definition.lengthens
        self._seed = definition.identity["seed"]
        objective = definition.identity["objective"]
        self._metric: str = objective["metric"]
        self._direction: Direction = objective["direction"]
        self.deadline = math.inf
        """The study's deadline by `time.monotonic`."""
        self._why: dict[int, str] = {}
        self._resting: set[int] = set()
        self._began, self._before = time.monotonic(), 0
        self.trials: int | None = None
        """How many configurations are to be begun in all."""
        self._estimates = Estimates(spec.min_gain)
        self.out_of_time = False
        """Whether nothing was left that could be done before the deadline."""
        self._history = History(Cube(definition.space), self._units, self._folds)

    def rest(self, trials: Sequence[FrozenTrial], resumable: Collection[int]) -> None:
        """Of the trials that ended only since an earlier run did, those that are `resumable` may go on."""
        self._before = self._history.count
        self._resting |= {trial.number for trial in trials if rests(trial) and trial.number in resumable}
        for number in self._resting:
            self.pause(number)

    def read(self, space: SearchSpace, trials: Sequence[FrozenTrial]) -> None:
        """Begins anew: with this space, and with the trials of the record. Those in training go on training."""
        self._space = space
        training = self._in_training()
        self._history = History(Cube(space), self._units, self._folds)
        self._schedule: Schedule = make_schedule(
            self._spec.schedule.name, self._spec.schedule.options, self._history, self._seed
        )
        self._attempts: dict[int, list[int]] = {}
        for trial in trials:
            if trial.state is not TrialState.WAITING:
                self._follow(origin_of(trial), trial.number)
                self._read(trial, training.get(trial.number))

    def _in_training(self) -> dict[int, int]:
        """Number -> the unit to which it trains, of the trials that are training now."""
        numbers, until = self._history.numbers, self._history.until
        return {int(numbers[row]): int(until[row]) for row in np.flatnonzero(self._history.running)}

    def _read(self, trial: FrozenTrial, trains_to: int | None) -> None:
        record, config = record_of(trial), config_of(trial)
        if self._space.complaints(config) or not self._whole(config):
            return
        if record.expected is not None:
            self._estimates.known[self._history.count] = Expected(**record.expected)
        observed = OBSERVED in trial.user_attrs
        self._history.begin(trial.number, config, self._schedule.first, observed)
        reports = record.reports(self._metric)
        if trains_to is not None or not reports:
            # The record of a trial that is training is as of its last pause.
            reports = {**reports, **dict(sorted(trial.intermediate_values.items()))}
        spent = _spent(record)
        for step, value in reports.items():
            seconds = spent[step - 1] if step <= len(spent) else 0.0
            self._history.unit_done(trial.number, merit(value, self._direction), seconds)
        if observed and not reports and record.value is not None:
            self._history.score_alone(trial.number, merit(record.value, self._direction))
        if trains_to is not None:
            self._history.go_on(trial.number, trains_to)
        elif record.state == "running" or trial.number in self._resting:
            # Either it is paused, or its coordinator was killed, and it will be marked as lost.
            self._history.pause(trial.number)
        else:
            self._end(record)

    def _whole(self, config: Mapping[str, Any]) -> bool:
        return all(name in config for name in self._space.order if self._space.active(name, config))

    @property
    def pauses(self) -> bool:
        """Whether the schedule pauses trials; otherwise the pruner stops them."""
        return self._schedule.pauses

    @property
    def proposes(self) -> bool:
        """Whether the schedule proposes configurations."""
        return self._schedule.proposes

    def next(self, may_begin: bool) -> Step:
        """The next step for a free worker."""
        begins = may_begin and not self.is_over
        step = self._schedule.next(begins, self._left)
        self.out_of_time = begins and isinstance(step, Wait)
        return step

    @property
    def is_over(self) -> bool:
        """Whether it is not worth while to begin another trial; see `until` of the study section."""
        count = self._history.count
        if self._spec.until is None:
            return False
        if count not in self._estimates.known:
            self._estimates.known[count] = self._schedule.expected_gain(self._tenth)
        return self._estimates.is_over(self._tenth, self._history.merits[self._history.own])

    @property
    def expected(self) -> Expected | None:
        """What another tenth of the budget is expected to gain now; None where that is not asked for, or not known."""
        return self._estimates.known.get(self._history.count)

    @property
    def _tenth(self) -> int:
        """How many trials a tenth of the budget is; where it is a time, by the trials of this run so far."""
        if self.trials is not None or math.isinf(self.deadline):
            return max(1, round((self.trials or self._history.count) / 10))
        spent, left = time.monotonic() - self._began, self._left
        here = self._history.count - self._before
        return max(1, round(here / max(spent, 1e-9) * (spent + left) / 10))

    @property
    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def proposal(
        self, ordinal: int, fixed: Mapping[str, Any], tried: Callable[[Mapping[str, Any]], bool]
    ) -> Mapping[str, Any] | None:
        """A configuration that was not tried; None if the schedule finds none. See `Schedule.propose`."""
        for attempt in range(_ATTEMPTS):
            config = self._schedule.propose(ordinal, attempt, fixed)
            if not tried(config):
                return config
        return None

    def why(self, number: int) -> str:
        """Why a trial began, or went on, in at most four words; empty without a schedule that pauses trials."""
        return self._why.get(number, "") if self.pauses else ""

    def begin(self, record: TrialRecord, step: Step | None) -> None:
        """A trial began."""
        self._history.begin(record.number, record.params, self._schedule.first)
        why = step.why if isinstance(step, Begin) else ""
        self._why[record.number] = self._follow(record.origin, record.number) or why

    def _follow(self, origin: int, number: int) -> str:
        """Another attempt at a configuration counts instead of those before; returns why there is one."""
        attempts, history = self._attempts.setdefault(origin, []), self._history
        stopped = False
        for before in attempts:
            if before in history:
                stopped = bool(history.stopped[history.row(before)])
                history.set_aside(before)
        attempts.append(number)
        return "" if len(attempts) == 1 else "has more epochs" if stopped else "tried again"

    def _end(self, record: TrialRecord) -> None:
        self._history.end(record.number, self._how(record))
        if record.failure is not None:
            # What came before counts, until there is another attempt.
            for before in self._attempts.get(record.origin, ()):
                self._history.take_back(before)

    def go_on(self, step: GoOn) -> None:
        """A paused trial goes on."""
        self._history.go_on(step.trial, step.until)
        self._resting.discard(step.trial)
        self._why[step.trial] = step.why

    def start_over(self, number: int) -> None:
        """A trial begins again with its first unit."""
        if number in self._history:
            self._history.start_over(number)

    def trains(self, number: int) -> bool:
        """Whether a trial is training, as far as it is known; not so one that has paused."""
        return number not in self._history or bool(self._history.running[self._history.row(number)])

    def pause(self, number: int) -> None:
        """A trial paused."""
        if number in self._history:
            self._history.pause(number)

    def end(self, record: TrialRecord) -> None:
        """A trial ended."""
        if record.number in self._history:
            self._end(record)

    def _how(self, record: TrialRecord) -> End:
        if record.state == "complete":
            allowed = record.allowed_epochs if self._lengthens else None
            return "final" if allowed is None or allowed >= self._units else "stopped"
        if record.state == "pruned":
            return "stopped"
        return "failed" if record.reason in INSTRUCTIVE else "gone"

    def unit_done(self, number: int, value: float, seconds: float) -> None:
        """A trial finished a unit, after so many seconds of training in all."""
        if number in self._history:
            self._history.unit_done(number, merit(value, self._direction), seconds)

    def verdict(self, number: int, may_begin: bool, may_pause: bool) -> Verdict:
        """What a running trial does now that it has finished a unit; see `Schedule`."""
        if number not in self._history or not self._schedule.pauses:
            return "proceed"
        row = self._history.row(number)
        done, until = int(self._history.done[row]), int(self._history.until[row])
        if done < until or done == self._units:
            return "proceed"
        if not may_pause:
            if self._schedule.stops(number):
                return "stop"
            self._history.go_on(number, self._schedule.after(done))
            return "proceed"
        # If it is the one to go on with, it need not pause at all.
        self._history.pause(number)
        step = self.next(may_begin)
        if isinstance(step, GoOn) and step.trial == number:
            self.go_on(step)
            return "proceed"
        # It is paused once its worker has said so.
        self._history.go_on(number, until)
        return "pause"


def would_go_on(
    spec: StudySpec, definition: Definition, trials: Sequence[FrozenTrial], resumable: Collection[int]
) -> bool:
    """Whether the schedule of a study would go on with a trial that ended only since the last run did."""
    scheduled = Scheduled(spec, definition)
    scheduled.read(definition.whole_space, trials)
    scheduled.rest(trials, resumable)
    return isinstance(scheduled.next(may_begin=False), GoOn)


def _spent(record: TrialRecord) -> list[float]:
    """The seconds of training up to each epoch, or up to the end of each fold."""
    spent = list(accumulate(record.curves.get("seconds", ())))
    if not record.fold_lengths:
        return spent
    return [spent[end - 1] for end in accumulate(record.fold_lengths) if end <= len(spent)]
