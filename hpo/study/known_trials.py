"""What an ask needs to know of a study's trials, kept up trial by trial: no ask looks at all of them."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from hpo.storage.batched_storage import BatchedStorage
from hpo.storage.optuna_compat import key_of
from hpo.study.attributes import ENQUEUED, OBSERVED
from hpo.study.reopened import going_on
from hpo.study.retries import Attempts
from hpo.study.stored_trial import origin_of


class KnownTrials:
    """A study's own trials, without those that only its sampler sees; every question is answered as of now."""

    def __init__(self, storage: BatchedStorage, study_id: int, retries: int) -> None:
        self._storage, self._id = storage, study_id
        self._attempts = Attempts(retries)
        self._origins: list[int] = []
        self._waiting: set[int] = set()
        self._enqueued: dict[int, Mapping[str, Any]] = {}

    @property
    def attempts(self) -> Attempts:
        """Which failed trials are to be run again."""
        self._see()
        return self._attempts

    @property
    def begun(self) -> int:
        """How many configurations were begun."""
        self._see()
        return len(self._origins)

    @property
    def waits(self) -> bool:
        """Whether a trial waits that another process enqueued."""
        self._see()
        return bool(self._waiting)

    @property
    def enqueued(self) -> Sequence[Mapping[str, Any]]:
        """The entries of the file's `enqueue` list that a trial was begun with."""
        self._see()
        return list(self._enqueued.values())

    def ordinal(self, origin: int) -> int:
        """Which of the configurations that were begun is that of a trial, counted from 0."""
        return bisect_left(self._origins, origin)

    def trial(self, number: int) -> FrozenTrial:
        """A trial by its number."""
        return self._storage.get_trial(self._storage.get_trial_id_from_study_id_trial_number(self._id, number))

    def going_on(self, number: int) -> FrozenTrial:
        """A paused trial that goes on; one that had ended with its study's run is running again."""
        trial = self.trial(number)
        return self._storage.reopen(key_of(trial), going_on(trial)) if trial.state.is_finished() else trial

    def _see(self) -> None:
        for trial in self._storage.take_changed(self._id):
            if OBSERVED in trial.user_attrs:
                continue
            self._attempts.see(trial)
            if trial.state is TrialState.WAITING:
                self._waiting.add(trial.number)
                continue
            self._waiting.discard(trial.number)
            origin = origin_of(trial)
            if not self._origins or origin > self._origins[-1]:
                self._origins.append(origin)
            elif self._origins[place := bisect_left(self._origins, origin)] != origin:
                self._origins.insert(place, origin)
            if ENQUEUED in trial.user_attrs:
                self._enqueued[trial.number] = trial.user_attrs[ENQUEUED]
