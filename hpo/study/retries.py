"""Which failed trials are run again, and which are given up."""

from collections import Counter
from collections.abc import Iterator, Sequence

from optuna.trial import FrozenTrial

from hpo.study.failure import RETRIED, runs_again
from hpo.study.record import TrialRecord
from hpo.study.stored_trial import attempt_of, origin_of, reason_of


def to_run_again(trials: Sequence[FrozenTrial], retries: int) -> Iterator[FrozenTrial]:
    """The failed trials whose configuration is to be run again, and has not been yet."""
    latest: dict[int, FrozenTrial] = {}
    deaths: Counter[int] = Counter()
    for trial in trials:
        latest[origin_of(trial)] = trial
        deaths[origin_of(trial)] += reason_of(trial) in RETRIED
    for origin, trial in latest.items():
        if runs_again(reason_of(trial), deaths[origin], retries):
            yield trial


def will_run_again(record: TrialRecord, trials: Sequence[FrozenTrial], retries: int) -> bool:
    """Whether the configuration of a trial that is about to end will be tried again.

    `trials` are the study's, in which the end is not recorded yet.
    """
    deaths = 1 + sum(reason_of(trial) in RETRIED for trial in trials if origin_of(trial) == record.origin)
    return runs_again(record.reason, deaths, retries)


def next_attempt(trial: FrozenTrial) -> dict[str, int]:
    """The attribute RETRY for the next attempt at a trial's configuration."""
    return {"origin": origin_of(trial), "attempt": attempt_of(trial) + 1}
