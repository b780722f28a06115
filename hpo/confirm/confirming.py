"""The record of a confirmation: an Optuna study beside the confirmed one, a trial for each finalist and seed.

The coordinator uses it like a `Study`: both have the interface of `hpo.loop.record`.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from statistics import median
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.config.declared import Declared
from hpo.config.experiment import Objective
from hpo.config.resolved import Resolved
from hpo.confirm.owed_runs import ConfirmingRuns, Wanted, is_owed
from hpo.errors import StoreAway, StudyBusy
from hpo.schedule import Verdict
from hpo.statistics.finalists import confirmation_of
from hpo.storage.abstract_lock import Lock
from hpo.storage.batched_storage import BatchedStorage
from hpo.storage.database import Warn
from hpo.storage.open import opened_patiently
from hpo.storage.optuna_compat import key_of
from hpo.storage.writer import NotNow, Writer
from hpo.study.alone import has_to_wait, is_starved
from hpo.study.attributes import CONFIRMATION, CONFIRMS, DECLARED, IDENTITY, JOB, RETRY
from hpo.study.confirmation import Confirmation
from hpo.study.read import confirming_study, known_study
from hpo.study.record import Confirms, Reached, TrialRecord, lost
from hpo.study.stored_trial import job_of, record_of, records_of
from hpo.study.tell import tell

# Runs that took longer, in seconds, have operations that fill the time by themselves; and one worker may have to train
# all that it was given one after the other.
_SHORT = 20.0
# Models with more numbers, likewise.
_SMALL = 300_000
# The most runs for one worker.
_MOST_TOGETHER = 64


class Confirming:
    """The confirming runs of a study, written only by one coordinator, which holds the study's lock."""

    def __init__(
        self, url: str, study: str, wanted: Wanted, lock: Lock | None = None, warn: Warn | None = None
    ) -> None:
        """Creates the record, or opens it to continue it.

        Raises:
            NotFound: there is no such study.
            StoreAway: the store is away for longer than START_SECONDS.
        """
        known_study(url, study)
        self._storage = BatchedStorage(opened_patiently(url, must_exist=True, warn=warn), lock, warn)
        self._confirmed = optuna.load_study(study_name=study, storage=self._storage)
        self._trials = {trial.number: trial for trial in self._confirmed.get_trials(deepcopy=False)}
        identity = self._confirmed.user_attrs[IDENTITY]
        self._objective = Objective.model_validate(identity["objective"])
        self._study = optuna.create_study(
            study_name=confirming_study(study),
            storage=self._storage,
            direction=self._objective.direction,
            load_if_exists=True,
        )
        self._id = self._storage.get_study_id_from_name(self._study.study_name)
        self._ids: dict[int, int] = {}
        self._study.set_user_attr(CONFIRMS, study)
        self.splits = wanted.splits
        """Whether each seed has a split into training and validation of its own."""
        earlier = [record_of(trial) for number, trial in self._trials.items() if number in self.finalists]
        self._wanted = wanted.joined(earlier, self._objective)
        self._rule = self._wanted.rule(self._objective)
        taken = {trial.user_attrs.get(JOB, {}).get("seed") for trial in self._trials.values()}
        drawn = fresh_seeds(identity["seed"], taken, self._rule.rounds[-1].seeds, self.splits)
        self._seeds = dict(enumerate(drawn, 1))
        self._seeds |= {run.confirms.ordinal: run.seed for run in self._own() if run.confirms}

    @property
    def store(self) -> Writer:
        """The thread that reads and writes the store."""
        return self._storage.writer

    @property
    def declared(self) -> Declared | None:
        """The parameters that a KerasTuner model declared while the study ran; None if the plan has them all."""
        stored = self._confirmed.user_attrs.get(DECLARED)
        return None if stored is None else Declared(stored)

    @property
    def owed(self) -> int:
        """The number of runs that are still to be trained."""
        return self._runs().left

    @property
    def total(self) -> int:
        """The number of runs, done and still to be trained: one for each finalist and seed."""
        return self._runs().total

    @property
    def finalists(self) -> set[int]:
        """The numbers of the trials that any run confirms, including runs of earlier calls."""
        return {run.confirms.trial for run in self._own() if run.confirms}

    @property
    def scored(self) -> int:
        """The number of runs with a score."""
        return sum(run.state == "complete" for run in self._own())

    @property
    def exhausted(self) -> bool:
        """False: the configurations are given, and cannot run out."""
        return False

    def trials(self) -> list[TrialRecord]:
        """All confirming runs, in the order in which they began."""
        return records_of(self._study.get_trials(deepcopy=False))

    def recover(self) -> None:
        """Marks runs that a killed coordinator left running as failed, with reason lost; see `Study.recover`.

        Raises:
            StoreAway: the store has been away for too long.
        """
        for run in self.trials():
            if run.state == "running":
                self.end(lost(run))
        self.store.drain()

    def ask(self, trials: int | None) -> TrialRecord | None:
        """Begins the next run that is owed: the first seed of all finalists in the round, then the second, and so on.

        None if nothing is left, or if a running run must end first because it may be the last of its round. So after an
        interruption the finalists' numbers of seeds differ by one at most, where `beside` begins no others. `trials` is
        not used.

        Raises:
            NotNow: the store is away; ask again later.
        """
        with self._storage.promptly():
            self._storage.refresh(self._id)
            stray = self._storage.stray(self._id)
            if stray is not None:
                self._ids[stray.number] = key_of(stray)
                return record_of(stray)
            runs = self._runs()
            owed = next(runs.owed(), None)
            training = [tries for tries in runs.attempts.values() if tries[-1].state == "running"]
            if owed is None or has_to_wait(earlier := runs.attempts.get(owed, ()), training):
                return None
            return self._begin(owed, earlier)

    def beside(self, record: TrialRecord, workers: int) -> list[TrialRecord]:
        """Begins further seeds of a run's finalist, for the same worker: where runs are short, and none has begun.

        No more than leave work for the other workers.
        """
        known, runs = record.confirms, self._runs()
        if known is None or self.splits or not self._is_short(known.trial):
            return []
        if not _never_begun(runs.attempts.get(known, ())[:-1]):
            return []
        owed = list(runs.owed())
        most = min(_MOST_TOGETHER, -(-(len(owed) + 1) // max(1, workers))) - 1
        others = [one for one in owed if one.trial == known.trial and _never_begun(runs.attempts.get(one, ()))]
        begun: list[TrialRecord] = []
        with suppress(NotNow), self._storage.promptly():
            for one in others[:most]:
                begun.append(self._begin(one, runs.attempts.get(one, ())))
        return begun

    def _is_short(self, trial: int) -> bool:
        found = next(one for one in self._wanted.finalists if one.number == trial)
        epochs = found.curves.get("seconds") or (math.inf,)
        # The first epoch may have waited for a graph, and any of them for the machine.
        return median(epochs) * len(epochs) <= _SHORT and (found.model_parameters or math.inf) <= _SMALL

    def declare(self, found: Declared) -> None:
        """Does nothing: the configurations of finalists are fixed, so newly declared parameters are not varied."""

    def will_run_again(self, record: TrialRecord) -> bool:
        """Whether a failed run will be tried again."""
        return is_owed([run for run in self.trials() if run.confirms == record.confirms], self._wanted.retries)

    def trains_alone(self, record: TrialRecord) -> bool:
        """Whether a run follows one that ran out of memory."""
        return is_starved([run for run in self._own() if run.confirms == record.confirms])

    def resolve(self, record: TrialRecord, resolved: Resolved | None) -> TrialRecord:
        """Stores all settings of a run that was begun; returns its record."""
        record = replace(record, resolved=resolved)
        self._storage.set_trial_user_attr(self._ids[record.number], JOB, job_of(record))
        return record

    def report(self, number: int, reached: Reached, may_pause: bool) -> Verdict:
        """Records the objective after an epoch; no confirming run is ever pruned or paused."""
        self._storage.set_trial_intermediate_value(self._ids[number], reached.step, reached.value)
        return "proceed"

    def pause(self, record: TrialRecord) -> None:
        """Does nothing: no run is asked to pause."""

    def start_over(self, number: int) -> None:
        """Does nothing: no run is asked to pause."""

    def end(self, record: TrialRecord) -> TrialRecord:
        """Records the end of a run, and returns it with its times. The end holds even while the store is away."""
        return tell(self._storage, self._study, record)

    def confirmation(self, trials: Sequence[TrialRecord], earlier: Confirmation | None) -> Confirmation | None:
        """The result of all confirming runs, including those of earlier calls with other finalists.

        Args:
            trials: the trials of the study.
            earlier: the result that was stored before.
        """
        runs, numbers = self._runs(), self.finalists
        finalists = runs.of([trial for trial in trials if trial.number in numbers])
        return confirmation_of(finalists, self._objective, runs.basis(earlier))

    def keep(self, confirmation: Confirmation) -> None:
        """Stores the result in the confirmed study."""
        self._confirmed.set_user_attr(CONFIRMATION, confirmation.model_dump(mode="json"))

    def discard_if_unused(self) -> None:
        """Deletes the record from the store if nothing was ever run."""
        if not self.trials():
            # If the store is away, or another process has the study by now, the record stays.
            with suppress(StoreAway, StudyBusy):
                optuna.delete_study(study_name=self._study.study_name, storage=self._storage)

    def _runs(self) -> ConfirmingRuns:
        splits = self._seeds if self._wanted.splits else {}
        return ConfirmingRuns(self._wanted, self._rule, self._own(), splits)

    def _own(self) -> list[TrialRecord]:
        """The runs with the study's split, or those with splits of their own, whichever are wanted."""
        return [run for run in self.trials() if run.confirms and (run.confirms.split is not None) == self.splits]

    def _begin(self, owed: Confirms, earlier: Sequence[TrialRecord]) -> TrialRecord:
        trial, seed = self._trials[owed.trial], self._seeds[owed.ordinal]
        config = next(one.params for one in self._wanted.finalists if one.number == owed.trial)
        attributes: dict[str, Any] = {JOB: {"config": dict(config), "seed": seed}, CONFIRMS: _stored(owed)}
        if earlier:
            attributes[RETRY] = {"origin": earlier[0].number, "attempt": len(earlier)}
        number = self._create(trial, attributes)
        origin = earlier[0].number if earlier else number
        return TrialRecord(
            number, "running", config, seed, origin, len(earlier), started=datetime.now(), confirms=owed
        )  # fmt: skip

    def _create(self, trial: FrozenTrial, attributes: Mapping[str, Any]) -> int:
        """Begins a run with the parameters of a trial; returns its number."""
        template = create_trial(
            state=TrialState.RUNNING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=dict(attributes),
        )
        with self._storage.drafting(self._id):
            self._storage.create_new_trial(self._id, template)
            begun = self._storage.keep()
        self._ids[begun.number] = key_of(begun)
        return begun.number


def _never_begun(attempts: Sequence[TrialRecord]) -> bool:
    """Whether runs were at most handed out when the time was up; what failed in a group is to be trained alone."""
    return all((run.state == "pruned" or run.reason == "interrupted") and not run.curves for run in attempts)


def _stored(owed: Confirms) -> dict[str, int]:
    """What a run confirms, as earlier versions read it where it has the study's split."""
    return {name: value for name, value in asdict(owed).items() if value is not None}


def fresh_seeds(seed: int, taken: set[Any], count: int, splits: bool = False) -> list[int]:
    """Seeds drawn from the study's seed by NumPy's SeedSequence; none of the study's trials had one of them.

    `splits`: those of the confirmation in which each seed has a split of its own.
    """
    import numpy as np

    # The spawn key separates them from the seeds of trials, which are drawn from the study's seed as well.
    drawn = np.random.SeedSequence(seed, spawn_key=(2 if splits else 1,)).generate_state(count + len(taken))
    return [int(word) for word in dict.fromkeys(drawn) if int(word) not in taken][:count]
