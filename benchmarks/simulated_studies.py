"""Simulated studies for `benchmarks.schedules`: hpo's own schedules, samplers and pruners over known curves."""

import heapq
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from benchmarks.curves import Curve, Recorded, Surrogate
from hpo.config.experiment import Named
from hpo.schedule import Begin, GoOn, make_schedule
from hpo.schedule.cube import Cube
from hpo.schedule.estimates import Expected
from hpo.schedule.history import History
from hpo.storage.optuna_compat import key_of
from hpo.study.samplers import make_pruner, make_sampler

Spec = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """How a study is run."""

    schedule: Spec
    """one_pass uses the sampler and the pruner, asha the sampler."""
    sampler: Spec
    pruner: Spec
    epochs: int
    """The most epochs a trial trains."""
    patience: int
    """Epochs without improvement after which a trial ends; 0: none."""
    workers: int
    """Trials at a time."""
    cap: float
    """A study that has not met its target by this many full trainings counts as if it had then."""
    trials: int
    """A study ends with this many at the latest: TPE's asks grow with their number."""


def simulated(task: Surrogate | Recorded, setting: Setting, seed: int) -> Iterator[tuple[float, float]]:
    """Yields, after each epoch of any trial, the time in the task's unit of cost and the epoch's score."""
    kind = OnePassStudy if setting.schedule["name"] == "one_pass" else PausingStudy
    return kind(task, setting, seed).run()


@dataclass
class Running:
    """A trial under way on one worker, and when it began."""

    trial: Trial
    curve: Curve
    began: float
    epoch: int = 0
    best: float = -np.inf
    best_epoch: int = 0

    @property
    def next_end(self) -> float:
        """When the epoch that it is in ends."""
        return float(self.began + self.curve.costs[self.epoch])


class OnePassStudy:
    """A study without pauses, by Optuna's ask, report, prune and tell; its clock runs in the task's unit of cost."""

    def __init__(self, task: Surrogate | Recorded, setting: Setting, seed: int) -> None:
        self._task, self._setting, self._seed = task, setting, seed
        self._sampler = Named.model_validate(setting.sampler)
        pruner = make_pruner(Named.model_validate(setting.pruner), setting.epochs)
        self._storage = optuna.storages.InMemoryStorage()
        # Hyperband draws a trial's bracket from the study's name.
        self._study = optuna.create_study(
            study_name=f"{task.name}-{seed}", storage=self._storage, direction="maximize", pruner=pruner
        )
        self._taken: list[int] = []

    def run(self) -> Iterator[tuple[float, float]]:
        """Yields, after each epoch of any trial, the time and the epoch's score."""
        order = itertools.count()
        queue: list[tuple[float, int, Running]] = []

        def begin(clock: float) -> None:
            if (running := self._begin(clock)) is not None:
                heapq.heappush(queue, (running.next_end, next(order), running))

        for _ in range(self._setting.workers):
            begin(0.0)
        while queue:
            clock, _, running = heapq.heappop(queue)
            score = float(running.curve.scores[running.epoch])
            yield clock, score
            if self._ends(running, score):
                begin(clock)
            else:
                heapq.heappush(queue, (running.next_end, next(order), running))

    def _begin(self, clock: float) -> Running | None:
        number = len(self._study.get_trials(deepcopy=False))
        if number == self._setting.trials:
            return None
        self._study.sampler = make_sampler(self._sampler, self._seed, number)
        trial = self._study.ask(dict(self._task.space))
        if isinstance(self._task, Surrogate):
            return Running(trial, self._task.train([trial.params])[0], clock)
        return Running(trial, self._task.sample()[self._settle(self._task, trial)], clock)

    def _settle(self, task: Recorded, trial: Trial) -> int:
        """Moves a proposal to the nearest recorded configuration not taken yet; returns its row.

        Random proposals are drawn among the recorded ones.
        """
        if self._sampler.name == "random":
            free = np.setdiff1d(np.arange(len(task.configs)), self._taken)
            row = int(np.random.default_rng([self._seed, trial.number]).choice(free))
            self._taken.append(row)
        else:
            row = task.nearest(trial.params, self._taken)
        for name, distribution in task.space.items():
            value = distribution.to_internal_repr(task.configs[row][name])
            self._storage.set_trial_param(key_of(trial), name, value, distribution)
        return row

    def _ends(self, running: Running, score: float) -> bool:
        """Hands an epoch's score to Optuna; whether the trial ends with it, by hpo's rules."""
        running.epoch += 1
        if not np.isfinite(score):
            self._study.tell(running.trial, state=TrialState.FAIL)
            return True
        if score > running.best:
            running.best, running.best_epoch = score, running.epoch
        running.trial.report(score, step=running.epoch)
        pruned = running.trial.should_prune()
        epochs, patience = self._setting.epochs, self._setting.patience
        if running.epoch == epochs or (patience and running.epoch - running.best_epoch >= patience):
            self._study.tell(running.trial, running.best)
            return True
        if pruned:
            self._study.tell(running.trial, state=TrialState.PRUNED)
        return pruned


@dataclass
class _Pausing:
    """A trial that may pause: its training so far."""

    config: Mapping[str, Any]
    curve: Curve
    until: int = 0
    epoch: int = 0
    best: float = -np.inf
    best_epoch: int = 0
    state: TrialState = TrialState.PRUNED
    seen: dict[int, float] = field(default_factory=dict)
    """The scores so far, as a sampler sees them."""

    @property
    def next_cost(self) -> float:
        """What its next epoch costs."""
        before = self.curve.costs[self.epoch - 1] if self.epoch else 0.0
        return float(self.curve.costs[self.epoch] - before)


class PausingStudy:
    """A study whose trials pause and go on, by a schedule of hpo."""

    def __init__(self, task: Surrogate | Recorded, setting: Setting, seed: int) -> None:
        self._task, self._setting, self._seed = task, setting, seed
        self._history = History(Cube(task.search_space), setting.epochs)
        options = {key: value for key, value in setting.schedule.items() if key != "name"}
        self._schedule = make_schedule(setting.schedule["name"], options, self._history, seed)
        self._trials: list[_Pausing] = []
        self._taken: list[int] = []

    @property
    def begun(self) -> int:
        """How many trials have begun."""
        return len(self._trials)

    @property
    def merits(self) -> np.ndarray:
        """The best merit of each trial so far; see `Estimates.is_over`."""
        return self._history.merits

    def expected_gain(self, more: int) -> Expected | None:
        """What so many more trials are expected to gain; see `Schedule.expected_gain`."""
        return self._schedule.expected_gain(more)

    def run(self) -> Iterator[tuple[float, float]]:
        """Yields, after each epoch of any trial, the time and the epoch's score."""
        queue: list[tuple[float, int]] = []
        clock = 0.0
        while True:
            while len(queue) < self._setting.workers and (number := self._next()) is not None:
                heapq.heappush(queue, (clock + self._trials[number].next_cost, number))
            if not queue:
                return
            clock, number = heapq.heappop(queue)
            yield clock, self._epoch(number)
            if self._history.running[number]:
                heapq.heappush(queue, (clock + self._trials[number].next_cost, number))

    def _next(self) -> int | None:
        step = self._schedule.next(may_begin=len(self._trials) < self._setting.trials)
        if isinstance(step, GoOn):
            self._trials[step.trial].until = step.until
            self._history.go_on(step.trial, step.until)
            return step.trial
        if not isinstance(step, Begin):
            return None
        number = len(self._trials)
        config = self._schedule.propose(number, 0, {}) if self._schedule.proposes else self._sampled(number)
        if isinstance(self._task, Surrogate):
            trial = _Pausing(config, self._task.train([config])[0], self._schedule.first)
        else:
            row = self._task.nearest(config, self._taken)
            config = self._task.configs[row]
            trial = _Pausing(config, self._task.sample()[row], self._schedule.first)
        self._trials.append(trial)
        self._history.begin(number, config, self._schedule.first)
        return number

    def _sampled(self, number: int) -> Mapping[str, Any]:
        """The proposal of an Optuna sampler, which sees paused trials as pruned."""
        sampler = make_sampler(Named.model_validate(self._setting.sampler), self._seed, number)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials([self._frozen(trial) for trial in self._trials])
        return study.ask(dict(self._task.space)).params

    def _frozen(self, trial: _Pausing) -> FrozenTrial:
        value = trial.best if trial.state is TrialState.COMPLETE else None
        return create_trial(
            state=trial.state, value=value, params=dict(trial.config), distributions=dict(self._task.space),
            intermediate_values=trial.seen,
        )  # fmt: skip

    def _epoch(self, number: int) -> float:
        """Hands an epoch to the schedule, by hpo's rules; returns its score."""
        trial, history = self._trials[number], self._history
        score, seconds = float(trial.curve.scores[trial.epoch]), float(trial.curve.costs[trial.epoch])
        trial.epoch += 1
        if not np.isfinite(score):
            trial.state = TrialState.FAIL
            history.end(number, "failed")
            return score
        trial.seen[trial.epoch] = score
        if score > trial.best:
            trial.best, trial.best_epoch = score, trial.epoch
        history.unit_done(number, score, seconds)
        epochs, patience = self._setting.epochs, self._setting.patience
        if trial.epoch == epochs or (patience and trial.epoch - trial.best_epoch >= patience):
            trial.state = TrialState.COMPLETE
            history.end(number, "final")
        elif trial.epoch >= trial.until:
            history.pause(number)
        return score
