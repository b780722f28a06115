"""The trials of studies in memory: as the database has them, with changes that are not written yet."""

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, final

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import FrozenTrial, TrialState

from hpo.storage.optuna_compat import key_of
from hpo.storage.write_trials import Unwritten

View = Callable[[FrozenTrial], FrozenTrial]
"""How a trial looks to some of its readers; the trial itself where nothing is to change."""


@final
class TrialsInMemory:
    """Trials by the database's keys of trials and studies; trials that run here change here first.

    A trial that changes is replaced by a copy: a trial that was returned before does not change. No change looks at
    other trials, so that it takes as long in a study of ten thousand.
    """

    def __init__(self, views: Sequence[View] = ()) -> None:
        """`views`: ways to look at the trials, see `of_study`."""
        self._views = views
        # Study -> its trials, and then as each view shows them.
        self._of_study: dict[int, tuple[list[FrozenTrial], ...]] = {}
        # Study -> the places of trials that are new or have changed.
        self._changed: dict[int, set[int]] = defaultdict(set)
        # Trial -> its study, and its place there.
        self._places: dict[int, tuple[int, int]] = {}
        self._running: dict[int, FrozenTrial] = {}
        # Trials that ended here; the database may still have an older state of them.
        self._ended: set[int] = set()
        self._waiting: dict[int, dict[int, None]] = defaultdict(dict)
        self._unwritten: dict[int, Unwritten] = {}

    def of_study(self, study: int, view: int | None = None) -> Sequence[FrozenTrial] | None:
        """The trials of a study, by number, or as a view shows them; None if the study was not read yet."""
        known = self._of_study.get(study)
        return None if known is None else known[0 if view is None else 1 + view]

    def study_of(self, trial: int) -> int:
        """The study of a trial."""
        return self._places[trial][0]

    def read(self, study: int, trials: Sequence[FrozenTrial]) -> None:
        """Takes over trials of a study from the database, except for those that run here or ended here.

        Those that are new follow the known ones, by number.
        """
        self._of_study.setdefault(study, tuple([] for _ in (None, *self._views)))
        for trial in trials:
            if not self.ours(key_of(trial)):
                self._place(study, trial)

    def last_key(self, study: int) -> int:
        """The key of the newest trial of a study; 0 without trials."""
        trials = self._of_study[study][0]
        return key_of(trials[-1]) if trials else 0

    def waiting(self, study: int, most: int) -> list[int]:
        """The keys of the first trials of a study that wait to be begun."""
        return list(islice(self._waiting[study], most))

    def take_changed(self, study: int) -> list[FrozenTrial]:
        """The trials that are new, or have changed, since the last call."""
        places, trials = self._changed.pop(study, ()), self._of_study[study][0]
        return [trials[place] for place in sorted(places) if place < len(trials)]

    def forget_study(self, study: int) -> None:
        """Forgets the trials of a study that was deleted."""
        self._of_study.pop(study, None)

    def begun(self, trial: int) -> FrozenTrial:
        """A trial that was just read; it runs here, unless it has ended already."""
        found = self.known(trial)
        assert found is not None
        if not found.state.is_finished():
            self._running[trial] = found
        return found

    def stray(self, study: int) -> FrozenTrial | None:
        """A trial with state running that does not run here yet; from now on it does."""
        for trial in self._of_study[study][0]:
            if trial.state is TrialState.RUNNING and key_of(trial) not in self._running:
                self._running[key_of(trial)] = trial
                return trial
        return None

    def known(self, trial: int) -> FrozenTrial | None:
        """A trial as it was last read or changed."""
        if trial not in self._places:
            return None
        study, place = self._places[trial]
        return self._of_study[study][0][place] if study in self._of_study else None

    def ours(self, trial: int) -> bool:
        """Whether a trial runs here or ended here."""
        return trial in self._running or trial in self._ended

    def here(self, trial: int) -> FrozenTrial | None:
        """A trial that runs here or ended here; None for any other."""
        return self.known(trial) if self.ours(trial) else None

    def runs(self, trial: int) -> bool:
        """Whether a trial runs here; a trial that a killed coordinator left running does from now on."""
        if not self.ours(trial) and (left := self.known(trial)) is not None and left.state is TrialState.RUNNING:
            self._running[trial] = left
        return trial in self._running

    # Trials that begin or end

    def put(self, study: int, trial: FrozenTrial) -> None:
        """Puts a running trial in the place of the one with its number, or at the end."""
        self._running[key_of(trial)] = trial
        self._place(study, trial)

    def take_back(self, study: int, trial: int, before: FrozenTrial | None) -> None:
        """Undoes a `put`, and forgets what was to be written about the trial; `before` takes its place again."""
        del self._running[trial]
        self._unwritten.pop(trial, None)
        if before is not None:
            self._place(study, before)
            return
        del self._places[trial]
        for trials in self._of_study[study]:
            trials.pop()

    def end(self, trial: int, state: TrialState, values: Sequence[float] | None, when: datetime) -> None:
        """Ends a running trial."""
        ended = copy.copy(self._running[trial])
        ended.state, ended.datetime_complete = state, when
        if values is not None:
            ended.values = list(values)
        self._place(self.study_of(trial), ended)
        del self._running[trial]
        self._ended.add(trial)

    def reopen(self, trial: int, attributes: Mapping[str, Any]) -> FrozenTrial:
        """Has a trial that had ended run here again, with these user attributes and no others."""
        running = copy.copy(self.known(trial))
        assert running is not None
        running.state, running.values, running.datetime_complete = TrialState.RUNNING, None, None
        running.user_attrs = dict(attributes)
        self._ended.discard(trial)
        self.put(self.study_of(trial), running)
        return running

    def leave(self, trial: int) -> None:
        """Lets a trial run here no longer: the database has its state."""
        self._running.pop(trial, None)

    def _place(self, study: int, trial: FrozenTrial) -> None:
        """Puts a trial in its place; a new one follows the others."""
        lists, key = self._of_study[study], key_of(trial)
        _, place = self._places.setdefault(key, (study, len(lists[0])))
        for trials, view in zip(lists, (None, *self._views), strict=True):
            trials[place : place + 1] = [trial if view is None else view(trial)]
        self._changed[study].add(place)
        if trial.state is TrialState.WAITING:
            self._waiting[study][key] = None
        else:
            self._waiting[study].pop(key, None)

    # Values of running trials

    def set_param(self, trial: int, name: str, internal: float, distribution: BaseDistribution) -> None:
        """Sets a parameter, by Optuna's internal representation of its value.

        Raises:
            ValueError: other trials of the study have the parameter with an incompatible distribution.
        """
        for other in self._of_study[self.study_of(trial)][0]:
            if name in other.distributions:
                check_distribution_compatibility(other.distributions[name], distribution)
                if other.distributions[name] == distribution:
                    # Thousands of trials share a dozen distributions.
                    distribution = other.distributions[name]
                break
        params, distributions = self._running[trial].params, self._running[trial].distributions
        self._change(
            trial,
            params={**params, name: distribution.to_external_repr(internal)},
            distributions={**distributions, name: distribution},
        )
        self.unwritten(trial).params[name] = (internal, distribution)

    def set_intermediate_value(self, trial: int, step: int, value: float) -> None:
        """Sets the value of an epoch."""
        self._change(trial, intermediate_values={**self._running[trial].intermediate_values, step: value})
        self.unwritten(trial).values[step] = value

    def set_user_attr(self, trial: int, key: str, value: Any) -> None:
        """Sets an attribute, a JSON value."""
        self._change(trial, user_attrs={**self._running[trial].user_attrs, key: value})
        self.unwritten(trial).user_attrs[key] = value

    def set_system_attr(self, trial: int, key: str, value: Any) -> None:
        """Sets an attribute that a sampler or a pruner uses, a JSON value."""
        self._change(trial, system_attrs={**self._running[trial].system_attrs, key: value})
        self.unwritten(trial).system_attrs[key] = value

    def unwritten(self, trial: int) -> Unwritten:
        """The changes of a running trial that are not written yet."""
        return self._unwritten.setdefault(trial, Unwritten())

    def take_unwritten(self) -> dict[int, Unwritten]:
        """The changes of all running trials that are not written yet; the caller writes them now."""
        taken, self._unwritten = self._unwritten, {}
        return taken

    def _change(self, trial: int, **values: Any) -> None:
        """Puts a copy with other values in the place of a running trial."""
        changed = copy.copy(self._running[trial])
        for name, value in values.items():
            setattr(changed, name, value)
        self._running[trial] = changed
        self._place(self.study_of(trial), changed)
