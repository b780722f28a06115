"""The record of a confirmation: an Optuna study beside the confirmed one, a trial for each finalist and seed.

The coordinator drives it as it drives a `Study`: the same questions, the same answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.config.declared import Declared
from hpo.config.experiment import Objective
from hpo.config.resolved import Resolved
from hpo.errors import StoreAway, StudyBusy
from hpo.statistics.finalists import Runs, out
from hpo.storage.abstract_lock import Lock
from hpo.storage.batched_storage import BatchedStorage
from hpo.storage.database import Warn
from hpo.storage.open import opened_patiently
from hpo.storage.optuna_compat import key_of
from hpo.storage.writer import Writer
from hpo.study.attributes import CONFIRMATION, CONFIRMS, DECLARED, IDENTITY, JOB, RETRY
from hpo.study.confirmation import Confirmation
from hpo.study.failure import RETRIED, runs_again
from hpo.study.read import confirming_study, known_study
from hpo.study.record import Confirms, TrialRecord, lost
from hpo.study.stored_trial import job_of, record_of, records_of
from hpo.study.tell import tell

_STOPPED = "hpo:stopped"


@dataclass(frozen=True)
class Wanted:
    """What is to be confirmed, and how."""

    finalists: Sequence[TrialRecord]
    """Trials of the study, each with a score."""
    seeds: int
    """Runs of each finalist."""
    stop_early: bool
    """Whether a finalist that is clearly out is given no more seeds."""
    retries: int
    """How often a run is tried again whose worker died."""


class Confirming:
    """The confirming runs of a study, written by one coordinator alone, which holds the study's lock."""

    def __init__(
        self, url: str, study: str, wanted: Wanted, lock: Lock | None = None, warn: Warn | None = None
    ) -> None:
        """Creates the record, or opens it to go on.

        Raises:
            NotFound: there is no such study.
            StoreAway: the store is away, for longer than it is waited for.
        """
        known_study(url, study)
        self._storage = BatchedStorage(opened_patiently(url, must_exist=True, warn=warn), lock, warn)
        self._confirmed = optuna.load_study(study_name=study, storage=self._storage)
        self._trials = {trial.number: trial for trial in self._confirmed.get_trials(deepcopy=False)}
        self._wanted = wanted
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
        if not wanted.stop_early:
            self._study.set_user_attr(_STOPPED, [])
        taken = {trial.user_attrs.get(JOB, {}).get("seed") for trial in self._trials.values()}
        self._seeds = dict(enumerate(fresh_seeds(identity["seed"], taken, wanted.seeds), 1))
        self._seeds |= {run.confirms.ordinal: run.seed for run in self.trials() if run.confirms}

    @property
    def store(self) -> Writer:
        """Who does what is to be done with the store."""
        return self._storage.writer

    @property
    def declared(self) -> Declared | None:
        """What a KerasTuner model declared while the study ran; None where that is what it declares by itself."""
        stored = self._confirmed.user_attrs.get(DECLARED)
        return None if stored is None else Declared(stored)

    @property
    def owed(self) -> int:
        """Runs still to be trained."""
        return sum(1 for _ in owed_runs(self._wanted, self.trials(), self._stopped))

    @property
    def total(self) -> int:
        """Runs that there are and are to be: of each finalist and seed one."""
        ordinals = range(1, self._wanted.seeds + 1)
        wanted = {Confirms(one.number, ordinal) for one in self._wanted.finalists for ordinal in ordinals}
        stopped = {pair for pair in wanted if pair.trial in self._stopped}
        return len(wanted - stopped | {run.confirms for run in self.trials() if run.confirms})

    @property
    def finalists(self) -> set[int]:
        """The trials that any run confirms, of earlier calls too."""
        return {run.confirms.trial for run in self.trials() if run.confirms}

    @property
    def exhausted(self) -> bool:
        """Whether configurations ran out: never, since they are given."""
        return False

    def trials(self) -> list[TrialRecord]:
        """All confirming runs, in the order in which they began."""
        return records_of(self._study.get_trials(deepcopy=False))

    def recover(self) -> None:
        """Fails what a killed coordinator left running, with reason lost."""
        for run in self.trials():
            if run.state == "running":
                self.end(lost(run))

    def ask(self, trials: int | None) -> TrialRecord | None:
        """The next run that is owed, or None: the first seed of all finalists, then the second, and so on.

        So an interrupted confirmation has given each finalist as many seeds, but for one. `trials` is a study's.

        Raises:
            NotNow: the store is away; to be asked again.
        """
        with self._storage.promptly():
            self._storage.refresh(self._id)
            stray = self._storage.stray(self._id)
            if stray is not None:
                self._ids[stray.number] = key_of(stray)
                return record_of(stray)
            runs = self.trials()
            if self._wanted.stop_early:
                self._stop_early(runs)
            owed = next(owed_runs(self._wanted, runs, self._stopped), None)
            return None if owed is None else self._begin(owed, runs)

    def declare(self, found: Declared) -> None:
        """What a model declares on the way varies nothing: finalists are fixed."""

    def will_run_again(self, record: TrialRecord) -> bool:
        """Whether a run that failed is to be tried again."""
        return _is_owed([run for run in self.trials() if run.confirms == record.confirms], self._wanted.retries)

    def resolve(self, record: TrialRecord, resolved: Resolved | None) -> TrialRecord:
        """Keeps with a run that was begun what it resolved to; returns its record."""
        record = replace(record, resolved=resolved)
        self._storage.set_trial_user_attr(self._ids[record.number], JOB, job_of(record))
        return record

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Records the objective after an epoch; no confirming run is ever pruned."""
        self._storage.set_trial_intermediate_value(self._ids[number], epoch, value)
        return False

    def end(self, record: TrialRecord) -> TrialRecord:
        """Tells the end of a run; what is told is kept. Returns the record with its times."""
        return tell(self._storage, self._study, record)

    def results(self, finalists: Sequence[TrialRecord]) -> list[Runs]:
        """The runs of trials of the study, those that count."""
        runs, stopped = self.trials(), self._stopped
        return [_runs_of(trial, runs, self._wanted.retries, trial.number in stopped) for trial in finalists]

    def keep(self, confirmation: Confirmation) -> None:
        """Writes what the runs came to into the confirmed study."""
        self._confirmed.set_user_attr(CONFIRMATION, confirmation.model_dump(mode="json"))

    def discard_if_unused(self) -> None:
        """Takes the record out of the store again if nothing was ever run."""
        if not self.trials():
            # Where the store is away, or another's by now, it stays.
            with suppress(StoreAway, StudyBusy):
                optuna.delete_study(study_name=self._study.study_name, storage=self._storage)

    @property
    def _stopped(self) -> set[int]:
        return set(self._study.user_attrs.get(_STOPPED, ()))

    def _stop_early(self, runs: Sequence[TrialRecord]) -> None:
        stopped = self._stopped
        known = [
            _runs_of(trial, runs, self._wanted.retries, trial.number in stopped) for trial in self._wanted.finalists
        ]
        if more := out(known, self._objective) - stopped:
            self._study.set_user_attr(_STOPPED, sorted(stopped | more))

    def _begin(self, owed: Confirms, runs: Sequence[TrialRecord]) -> TrialRecord:
        trial, seed = self._trials[owed.trial], self._seeds[owed.ordinal]
        config = next(one.params for one in self._wanted.finalists if one.number == owed.trial)
        attributes: dict[str, Any] = {JOB: {"config": dict(config), "seed": seed}, CONFIRMS: asdict(owed)}
        earlier = [run for run in runs if run.confirms == owed]
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


def fresh_seeds(seed: int, taken: set[Any], count: int) -> list[int]:
    """Seeds drawn from the study's by NumPy's SeedSequence, none of which its trials had."""
    import numpy as np

    # The spawn key sets them apart from the seeds of trials, which are drawn from the study's seed as well.
    drawn = np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(count + len(taken))
    return [int(word) for word in dict.fromkeys(drawn) if int(word) not in taken][:count]


def owed_runs(wanted: Wanted, runs: Sequence[TrialRecord], stopped: set[int]) -> Iterator[Confirms]:
    """What is still to be trained, seed by seed over all finalists."""
    by_pair: dict[Confirms | None, list[TrialRecord]] = {}
    for run in runs:
        by_pair.setdefault(run.confirms, []).append(run)
    for ordinal in range(1, wanted.seeds + 1):
        for finalist in wanted.finalists:
            pair = Confirms(finalist.number, ordinal)
            if finalist.number not in stopped and _is_owed(by_pair.get(pair, []), wanted.retries):
                yield pair


def _is_owed(attempts: Sequence[TrialRecord], retries: int) -> bool:
    """Whether a finalist and seed is to be run: never begun, cut short, or failed by no fault of its own."""
    if not attempts:
        return True
    last, deaths = attempts[-1], sum(run.reason in RETRIED for run in attempts)
    if last.state == "failed":
        return runs_again(last.reason, deaths, retries)
    return last.state == "pruned"


def _runs_of(trial: TrialRecord, runs: Sequence[TrialRecord], retries: int, stopped: bool) -> Runs:
    attempts: dict[int, list[TrialRecord]] = {}
    for run in runs:
        if run.confirms is not None and run.confirms.trial == trial.number:
            attempts.setdefault(run.confirms.ordinal, []).append(run)
    ends = [tries[-1] for tries in attempts.values() if not _is_owed(tries, retries)]
    return Runs(
        trial,
        scored=[run for run in ends if run.state == "complete" and run.value is not None],
        failed=[run for run in ends if run.state == "failed"],
        stopped_early=stopped,
    )
