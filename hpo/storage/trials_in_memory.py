"""The trials of studies in memory: as the database has them, with changes that are not written yet."""

import copy
from collections.abc import Sequence
from datetime import datetime
from typing import Any, final

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import FrozenTrial, TrialState

from hpo.storage.optuna_compat import key_of
from hpo.storage.write_trials import Unwritten


@final
class TrialsInMemory:
    """Trials by the database's keys of trials and studies; trials that run here change here first.

    A trial that changes is replaced by a copy: a trial that was returned before does not change.
    """

    def __init__(self) -> None:
        self._of_study: dict[int, list[FrozenTrial]] = {}
        self._running: dict[int, FrozenTrial] = {}
        # Trials that ended here; the database may still have an older state of them.
        self._ended: dict[int, FrozenTrial] = {}
        self._study_of: dict[int, int] = {}
        self._unwritten: dict[int, Unwritten] = {}

    def of_study(self, study: int) -> Sequence[FrozenTrial] | None:
        """The trials of a study, by number; None if the study was not read yet."""
        return self._of_study.get(study)

    def study_of(self, trial: int) -> int:
        """The study of a trial."""
        return self._study_of[trial]

    def read(self, study: int, trials: Sequence[FrozenTrial]) -> None:
        """Takes over a study's trials from the database, except for those that run here or ended here."""
        self._study_of |= {key_of(trial): study for trial in trials}
        here = {**self._ended, **self._running}
        self._of_study[study] = [here.get(key_of(trial), trial) for trial in trials]

    def forget_study(self, study: int) -> None:
        """Forgets the trials of a study that was deleted."""
        self._of_study.pop(study, None)

    def begun(self, trial: int) -> FrozenTrial:
        """A trial that was just read; it runs here, unless it has ended already."""
        found = next(one for one in self._of_study[self._study_of[trial]] if key_of(one) == trial)
        if not found.state.is_finished():
            self._running[trial] = found
        return found

    def stray(self, study: int) -> FrozenTrial | None:
        """A trial with state running that does not run here yet; from now on it does."""
        for trial in self._of_study[study]:
            if trial.state is TrialState.RUNNING and key_of(trial) not in self._running:
                self._running[key_of(trial)] = trial
                return trial
        return None

    def here(self, trial: int) -> FrozenTrial | None:
        """A trial that runs here or ended here; None for any other."""
        return self._running.get(trial) or self._ended.get(trial)

    def runs(self, trial: int) -> bool:
        """Whether a trial runs here; a trial that a killed coordinator left running does from now on."""
        if trial not in self._running and trial not in self._ended:
            known = self._of_study.get(self._study_of.get(trial, -1), ())
            left = [one for one in known if key_of(one) == trial and one.state is TrialState.RUNNING]
            self._running |= {key_of(one): one for one in left}
        return trial in self._running

    # Trials that begin or end

    def put(self, study: int, trial: FrozenTrial) -> None:
        """Puts a running trial in the place of the one with its number, or at the end."""
        self._running[key_of(trial)] = trial
        self._study_of[key_of(trial)] = study
        self._of_study[study][trial.number : trial.number + 1] = [trial]

    def take_back(self, study: int, trial: int, before: FrozenTrial | None) -> None:
        """Undoes a `put`, and forgets what was to be written about the trial; `before` takes its place again."""
        number = self._running.pop(trial).number
        self._unwritten.pop(trial, None)
        self._of_study[study][number : number + 1] = [] if before is None else [before]

    def end(self, trial: int, state: TrialState, values: Sequence[float] | None, when: datetime) -> None:
        """Ends a running trial."""
        ended = self._changed(trial)
        ended.state, ended.datetime_complete = state, when
        if values is not None:
            ended.values = list(values)
        self._ended[trial] = self._running.pop(trial)

    def leave(self, trial: int) -> None:
        """Lets a trial run here no longer: the database has its state."""
        self._running.pop(trial, None)

    # Values of running trials

    def set_param(self, trial: int, name: str, internal: float, distribution: BaseDistribution) -> None:
        """Sets a parameter, by Optuna's internal representation of its value.

        Raises:
            ValueError: other trials of the study have the parameter with an incompatible distribution.
        """
        for other in self._of_study[self._study_of[trial]]:
            if name in other.distributions:
                check_distribution_compatibility(other.distributions[name], distribution)
                break
        changed = self._changed(trial)
        changed.params = {**changed.params, name: distribution.to_external_repr(internal)}
        changed.distributions = {**changed.distributions, name: distribution}
        self.unwritten(trial).params[name] = (internal, distribution)

    def set_intermediate_value(self, trial: int, step: int, value: float) -> None:
        """Sets the value of an epoch."""
        changed = self._changed(trial)
        changed.intermediate_values = {**changed.intermediate_values, step: value}
        self.unwritten(trial).values[step] = value

    def set_user_attr(self, trial: int, key: str, value: Any) -> None:
        """Sets an attribute, a JSON value."""
        changed = self._changed(trial)
        changed.user_attrs = {**changed.user_attrs, key: value}
        self.unwritten(trial).user_attrs[key] = value

    def set_system_attr(self, trial: int, key: str, value: Any) -> None:
        """Sets an attribute that a sampler or a pruner uses, a JSON value."""
        changed = self._changed(trial)
        changed.system_attrs = {**changed.system_attrs, key: value}
        self.unwritten(trial).system_attrs[key] = value

    def unwritten(self, trial: int) -> Unwritten:
        """The changes of a running trial that are not written yet."""
        return self._unwritten.setdefault(trial, Unwritten())

    def take_unwritten(self) -> dict[int, Unwritten]:
        """The changes of all running trials that are not written yet; the caller writes them now."""
        taken, self._unwritten = self._unwritten, {}
        return taken

    def _changed(self, trial: int) -> FrozenTrial:
        """A copy in the place of a running trial, to be changed."""
        changed = copy.copy(self._running[trial])
        self._running[trial] = self._of_study[self._study_of[trial]][changed.number] = changed
        return changed
