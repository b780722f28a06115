"""The end of a run by a signal: what is waited for, and what the user is told."""

import time

from hpo.config.experiment import Objective
from hpo.errors import Interrupted
from hpo.loop.record import Record, Store
from hpo.study.record import best_trial
from hpo.system.signals import Received
from hpo.text.values import score

# Seconds to wait for the store after Ctrl-C, and how often signals are looked for meanwhile.
_PARTING, _TICK = 5.0, 0.2


def written_at_last(store: Store, signals: Received) -> bool:
    """Waits until everything is written; after Ctrl-C not for long, and after a second one not at all."""
    began = time.monotonic()
    while not store.drain(_TICK):
        if len(signals) > 1 or (signals and time.monotonic() - began > _PARTING):
            return False
    return True


def interrupted(record: Record, objective: Objective, number: int, written: bool) -> Interrupted:
    """The error that ends a run after a signal; it names the best trial so far."""
    but = "" if written else ", except those that could not be written to the store"
    best = best_trial(record.trials(), objective)
    found = ""
    if best is not None:
        unfinished = best.left_unfinished
        how = f", {unfinished}" if unfinished else ""
        found = f"; best so far: {best.label}, {objective.metric} {score(best.value)}{how}"
    return Interrupted(f"interrupted; finished trials are kept{but}, the same command continues{found}", number)
