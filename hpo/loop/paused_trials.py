"""Trials that have paused, until they go on or the study ends."""

from collections.abc import Iterator
from dataclasses import replace

from hpo.config.score import Score
from hpo.loop.record import Record
from hpo.loop.running_trial import RunningTrial
from hpo.study.record import TrialRecord
from hpo.training.messages import Checkpoint, Finished, Job

_NOT_TESTED = "not tested: it was paused when the study ended"


class PausedTrials:
    """Trials by their numbers, each with the checkpoint from which it goes on."""

    def __init__(self) -> None:
        self._trials: dict[int, tuple[RunningTrial, Checkpoint | None]] = {}
        # The scores of those that can go on from a checkpoint; a part of the folds makes no score.
        self._scores: dict[int, Score] = {}

    def add(self, running: RunningTrial, checkpoint: Checkpoint | None, now: float) -> None:
        """A trial paused; without a checkpoint it begins again when it goes on."""
        number = running.record.number
        running.paused(now)
        self._trials[number] = (running, checkpoint)
        if checkpoint is not None and (score := running.score) is not None and not running.fold_lengths:
            self._scores[number] = score

    def __contains__(self, number: int) -> bool:
        return number in self._trials

    def take_over(self, running: RunningTrial, study: Record, now: float, goes_on: bool = False) -> None:
        """Adds a trial that an earlier run paused; the study learns of epochs after its pause, if it had gone on.

        `goes_on`: whether the study has asked for it already, so that for the study it is not paused.
        """
        known, number = running.record.epochs, running.record.number
        self._allow_more(running, study)
        reached = [one for event in running.earlier if (one := running.take_epoch(event)) is not None]
        running.since = None
        self.add(running, running.job.resume if running.job else None, now)
        if running.epochs != known:
            study.start_over(number)
            for one in reached:
                study.report(number, one, may_pause=False)
            if not goes_on:
                study.pause(running.so_far())

    @staticmethod
    def _allow_more(running: RunningTrial, study: Record) -> None:
        """Stores how many epochs a trial may have, if that is not what it began with."""
        resolved, job = running.record.resolved, running.job
        if resolved is not None and job is not None and resolved.training.get("epochs") != job.training.epochs:
            training = {**resolved.training, "epochs": job.training.epochs}
            running.record = study.resolve(running.record, replace(resolved, training=training))

    def take(self, record: TrialRecord, now: float) -> tuple[RunningTrial, Job]:
        """A trial that goes on, and its job; the record says why it does."""
        running, checkpoint = self._trials.pop(record.number)
        self._scores.pop(record.number, None)
        assert running.job is not None
        running.go_on(now)
        running.record = replace(running.record, why=record.why)
        return running, replace(running.job, resume=checkpoint)

    def best(self) -> RunningTrial | None:
        """The trial with the best score that can go on from a checkpoint."""
        best = max(self._scores, key=lambda number: self._scores[number].merit, default=None)
        return None if best is None else self._trials[best][0]

    @property
    def best_score(self) -> Score | None:
        """The score of that trial."""
        return max(self._scores.values(), key=lambda score: score.merit, default=None)

    def dissolve(self) -> Iterator[RunningTrial]:
        """Yields all trials, which end here without a test."""
        for number in sorted(self._trials):
            self._scores.pop(number, None)
            yield self._trials.pop(number)[0]

    @staticmethod
    def end_of(running: RunningTrial) -> Finished:
        """The end of a trial that does not go on."""
        score = running.score
        best_epoch = score.epoch if score else None
        return Finished(running.record.number, "paused", best_epoch, test_note=_NOT_TESTED)
