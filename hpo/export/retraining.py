"""The record of a retraining: the requested runs of one configuration, kept in memory only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hpo.config.declared import Declared
from hpo.config.resolved import Resolved
from hpo.config.score import Score
from hpo.errors import HpoError
from hpo.loop.jobs import SaveTo
from hpo.schedule import Verdict
from hpo.study.alone import has_to_wait, is_starved
from hpo.study.failure import RETRIED, runs_again
from hpo.study.record import Reached, TrialRecord


@dataclass(frozen=True)
class Again:
    """One requested run."""

    seed: int
    """The seed of everything random in the run."""
    epochs: int | None = None
    """The epoch after which the run is stopped, as by a pruner, to repeat a pruned trial."""
    save_to: Path | None = None
    """The Keras file (.keras) for its model."""


class _Memory:
    """A store in memory, which is always available."""

    def check(self) -> None:
        """Does nothing, since nothing can fail."""

    def drain(self, seconds: float) -> bool:
        """Returns true, since there is nothing to write."""
        return True


class Retraining:
    """A record for the coordinator: each requested run once, and again after its worker died, up to `retries` times."""

    exhausted = False
    declared: Declared | None = None

    def __init__(self, params: Mapping[str, Any], wanted: Sequence[Again], retries: int) -> None:
        self.store = _Memory()
        self._params = params
        self._wanted = wanted
        self._retries = retries
        self._attempts: list[list[TrialRecord]] = [[] for _ in wanted]
        self._places: list[int] = []

    def trials(self) -> list[TrialRecord]:
        """All attempts at all runs, in the order in which they began."""
        return sorted((run for attempts in self._attempts for run in attempts), key=lambda run: run.number)

    def results(self) -> list[TrialRecord]:
        """The last attempt at each run, in the order of the requests."""
        return [attempts[-1] for attempts in self._attempts]

    def ask(self, trials: int | None) -> TrialRecord | None:
        """The first run that was not begun yet, or whose worker died; `trials` is ignored."""
        for place, attempts in enumerate(self._attempts):
            if not attempts or self.will_run_again(attempts[-1]):
                if has_to_wait(attempts, [one for one in self._attempts if one and one[-1].state == "running"]):
                    return None
                number, seed = len(self._places), self._wanted[place].seed
                origin = attempts[0].number if attempts else number
                run = TrialRecord(
                    number, "running", self._params, seed, origin, len(attempts), started=datetime.now()
                )  # fmt: skip
                self._places.append(place)
                attempts.append(run)
                return run
        return None

    def save_to(self, run: TrialRecord, best: Score | None) -> SaveTo | None:
        """Where a run's model is saved, regardless of the results of other runs."""
        file = self._wanted[self._places[run.number]].save_to
        return None if file is None else SaveTo(file)

    def declare(self, found: Declared) -> None:
        """Ignores what a model declares while it trains, since the configuration is fixed."""

    def resolve(self, record: TrialRecord, resolved: Resolved | None) -> TrialRecord:
        """Stores the settings that a run resolved to."""
        return self._keep(replace(record, resolved=resolved))

    def pause(self, record: TrialRecord) -> None:
        """Does nothing: no run is asked to pause."""

    def start_over(self, number: int) -> None:
        """Does nothing: no run is asked to pause."""

    def report(self, number: int, reached: Reached, may_pause: bool) -> Verdict:
        """Whether a run is to be stopped now: after the same epoch as its trial.

        A trial of k folds that was stopped has no score, and so is never trained again.
        """
        return "stop" if reached.step == self._wanted[self._places[number]].epochs else "proceed"

    def end(self, record: TrialRecord) -> TrialRecord:
        """Stores the end of a run.

        Raises:
            HpoError: it failed and is not tried again, which makes all other runs pointless.
        """
        run = self._keep(replace(record, ended=datetime.now()))
        if run.failure is not None and not self.will_run_again(run):
            raise HpoError(f"the training with seed {run.seed} failed: {run.failure.reason}: {run.failure.text}")
        return run

    def will_run_again(self, record: TrialRecord) -> bool:
        """Whether a run that failed is to be tried again."""
        attempts = self._attempts[self._places[record.number]]
        deaths = sum(run.reason in RETRIED for run in attempts)
        return runs_again(record.reason, deaths, self._retries)

    def trains_alone(self, record: TrialRecord) -> bool:
        """Whether a run follows one that ran out of memory."""
        return is_starved(self._attempts[self._places[record.number]])

    def _keep(self, record: TrialRecord) -> TrialRecord:
        self._attempts[self._places[record.number]][-1] = record
        return record
