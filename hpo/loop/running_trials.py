"""The trials that workers have: which of them came to a worker together, and how many workers are busy."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hpo.config.experiment import Objective
from hpo.config.score import Score
from hpo.engines import Engine
from hpo.loop.running_trial import RunningTrial
from hpo.study.record import TrialRecord
from hpo.training.messages import Job, Seed


class RunningTrials(dict[int, RunningTrial]):
    """Number -> running trial."""

    def begin(self, records: Sequence[TrialRecord], jobs: Sequence[Job], objective: Objective, now: float) -> None:
        """Trials are handed out together, to one worker."""
        for record, job in zip(records, jobs, strict=True):
            running = RunningTrial.of(record, objective, now, job)
            running.first, running.together = jobs[0].trial if len(jobs) > 1 else None, len(jobs)
            self[record.number] = running

    def heard(self, running: RunningTrial, now: float) -> None:
        """A trial sent an event, and so did its worker, which may have others."""
        running.silence.hear(now)
        if running.first is not None:
            for one in self.values():
                if one.first == running.first:
                    one.waits(now)

    def started(self, running: RunningTrial) -> None:
        """The training of a trial has begun: beside the others of its group, or after them."""
        running.started = True
        group = [one for one in self.values() if one.first is not None and one.first == running.first]
        for one in group:
            one.together = sum(other.started for other in group)

    def has_place(self, engine: Engine, reached: Callable[[Score | None], bool]) -> bool:
        """Whether a worker is free, or only has to test its trial: so no worker waits for the database.

        `reached`: whether a score reaches the target: then no other trial begins.
        """
        ending = {number for number, one in self.items() if one.at_end and one.first is None and engine.takes_next}
        if any(reached(self[number].score) for number in ending):
            return False
        busy = {number if one.first is None else one.first for number, one in self.items() if number not in ending}
        return len(busy) < engine.workers


def together(jobs: Sequence[Job]) -> Job:
    """One job for a worker that is given several, which differ in their seeds alone."""
    return replace(jobs[0], beside=tuple(Seed(one.trial, one.seed) for one in jobs[1:]))
