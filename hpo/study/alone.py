"""Configurations that ran out of memory are tried again alone: no other trial trains meanwhile."""

from collections.abc import Mapping, Sequence

from hpo.study.failure import OUT_OF_MEMORY
from hpo.study.known_trials import KnownTrials
from hpo.study.record import TrialRecord
from hpo.study.scheduled import Scheduled
from hpo.study.stored_trial import origin_of


class Alone:
    """Which trials of a study train alone, and whether another one has to wait for that."""

    def __init__(self, known: KnownTrials, scheduled: Scheduled, running: Mapping[int, int]) -> None:
        """`running`: the trials that train or have paused, by their numbers."""
        self._known, self._scheduled, self._running = known, scheduled, running

    def needs(self, number: int) -> bool:
        """Whether a trial's configuration ran out of memory before."""
        starved = self._known.attempts.starved
        return bool(starved) and origin_of(self._known.trial(number)) in starved

    def waits(self, *coming: int) -> bool:
        """Whether no trial may begin or go on now: one trains alone, or one that is coming needs to.

        `coming`: a trial that would go on, or whose configuration would be run again; none where a new one begins.
        """
        if not self._known.attempts.starved:
            return False
        training = list(filter(self._scheduled.trains, self._running))
        return bool(training) and any(map(self.needs, (*coming, *training)))


def is_starved(attempts: Sequence[TrialRecord]) -> bool:
    """Whether an attempt at a configuration ran out of memory."""
    return any(run.reason == OUT_OF_MEMORY for run in attempts)


def has_to_wait(attempts: Sequence[TrialRecord], training: Sequence[Sequence[TrialRecord]]) -> bool:
    """Whether a run may not begin now: one trains alone, or it needs to itself.

    `attempts`: the earlier ones at its configuration; `training`: the attempts at each that trains, the last included.
    """
    return bool(training) and any(map(is_starved, (attempts, *training)))
