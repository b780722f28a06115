"""Which failed trials are run again, and which are given up."""

from collections import Counter
from collections.abc import Iterator, Sequence

from optuna.trial import FrozenTrial

from hpo.study.record import TrialRecord
from hpo.study.stored_trial import attempt_of, failure_of, origin_of

# Failures after which a configuration is run again: always, and within `retries`. After others it is not.
GIVEN_BACK = ("lost", "interrupted")
RETRIED = ("killed", "crashed", "out_of_memory")


def to_run_again(trials: Sequence[FrozenTrial], retries: int) -> Iterator[FrozenTrial]:
    """The failed trials whose configuration is to be run again, and is not yet."""
    latest: dict[int, FrozenTrial] = {}
    deaths: Counter[int] = Counter()
    for trial in trials:
        latest[origin_of(trial)] = trial
        deaths[origin_of(trial)] += failure_of(trial) in RETRIED
    for origin, trial in latest.items():
        failure = failure_of(trial)
        if failure in GIVEN_BACK or (failure in RETRIED and deaths[origin] <= retries):
            yield trial


def may_run_again(record: TrialRecord, trials: Sequence[FrozenTrial], retries: int) -> bool:
    """Whether the configuration of a trial that is about to end is to be tried again; Optuna was not told yet."""
    deaths = 1 + sum(failure_of(trial) in RETRIED for trial in trials if origin_of(trial) == record.origin)
    return record.reason in GIVEN_BACK or (record.reason in RETRIED and deaths <= retries)


def tried_again(trial: FrozenTrial) -> dict[str, int]:
    """What a further attempt at a trial's configuration says of itself."""
    return {"origin": origin_of(trial), "attempt": attempt_of(trial) + 1}
