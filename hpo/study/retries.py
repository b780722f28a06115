"""Which failed trials are run again, and which are given up."""

from collections import defaultdict
from collections.abc import Sequence

from optuna.trial import FrozenTrial

from hpo.study.failure import OUT_OF_MEMORY, RETRIED, runs_again
from hpo.study.record import TrialRecord
from hpo.study.stored_trial import attempt_of, origin_of, reason_of


class Attempts:
    """The attempts at each configuration, as far as they failed or were made again; kept up trial by trial."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        # By the number of a configuration's first trial: its latest trial and why that failed, and those that died.
        self._latest: dict[int, tuple[int, str | None]] = {}
        self._dead: dict[int, set[int]] = defaultdict(set)
        self._again: set[int] = set()
        self.starved: set[int] = set()
        """The configurations of which a trial ran out of memory, by the numbers of their first trials."""

    def see(self, trial: FrozenTrial) -> None:
        """Takes note of a trial that is new, or has changed."""
        origin, reason = origin_of(trial), reason_of(trial)
        if reason is None and origin == trial.number and origin not in self._latest:
            return
        if reason == OUT_OF_MEMORY:
            self.starved.add(origin)
        if reason in RETRIED:
            self._dead[origin].add(trial.number)
        if trial.number >= self._latest.get(origin, (-1, None))[0]:
            self._latest[origin] = trial.number, reason
        if runs_again(self._latest[origin][1], len(self._dead.get(origin, ())), self._retries):
            self._again.add(origin)
        else:
            self._again.discard(origin)

    def lengthen(self, trials: Sequence[TrialRecord]) -> None:
        """Trials that did not fail are to go on, in another attempt at their configurations."""
        for trial in trials:
            self._latest[trial.origin] = trial.number, None
            self._again.add(trial.origin)

    @property
    def to_run_again(self) -> list[int]:
        """The trials whose configuration is to be run again, and has not been yet: their numbers, in order."""
        return [self._latest[origin][0] for origin in sorted(self._again)]

    def will_run_again(self, record: TrialRecord) -> bool:
        """Whether the configuration of a trial that is about to end will be tried again."""
        dead = self._dead.get(record.origin, set()) | {record.number}
        return runs_again(record.reason, len(dead), self._retries)


def to_run_again(trials: Sequence[FrozenTrial], retries: int) -> list[int]:
    """The numbers of the failed trials whose configuration is to be run again, and has not been yet."""
    attempts = Attempts(retries)
    for trial in trials:
        attempts.see(trial)
    return attempts.to_run_again


def next_attempt(trial: FrozenTrial) -> dict[str, int]:
    """The attribute RETRY for the next attempt at a trial's configuration."""
    return {"origin": origin_of(trial), "attempt": attempt_of(trial) + 1}
