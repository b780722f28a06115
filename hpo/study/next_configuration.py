"""Which configurations of a study were handed out, which are owed, and how a new one is found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from hpo.config.experiment import Named, StudySpec
from hpo.config.space import SearchSpace
from hpo.storage.batched_storage import BatchedStorage
from hpo.storage.optuna_compat import FIXED_PARAMS, forget_read_trials, key_of
from hpo.study.attributes import ENQUEUED
from hpo.study.samplers import make_sampler
from hpo.study.stored_trial import config_of, origin_of, own

# How often a sampler is asked for another configuration than those that were tried, then how often chance is.
_ASKS, _DRAWS = 8, 100


@dataclass(frozen=True)
class Wish:
    """What the next trial is to be."""

    ordinal: int
    """Which configuration of the study it is, counted from 0: with the study's seed, the seed of what is sampled."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """What of its configuration is given, constants apart."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    waits: bool = False
    """Whether it is the next of those that others enqueued."""
    again: Mapping[str, Any] | None = None
    """The configuration, if it was begun before."""


@dataclass(frozen=True)
class Found:
    """A trial of which nothing is written yet, and its configuration."""

    trial: Trial
    config: Mapping[str, Any]
    error: str = ""
    """Why the space does not allow it."""


class Tried:
    """The configurations that a study's trials were begun with; finds one that is none of them."""

    def __init__(self, study: optuna.Study, storage: BatchedStorage, spec: StudySpec, seed: int) -> None:
        self._study = study
        self._storage = storage
        self._id = storage.get_study_id_from_name(study.study_name)
        self._spec = spec
        self._seed = seed

    def widen(self, space: SearchSpace) -> None:
        """Goes on with a space to which a model declared more parameters."""
        self._space = space
        self._countable = not space.uncountable()
        self._numbers: dict[str, int] = {}
        for trial in own(self._study.get_trials(deepcopy=False)):
            if trial.state is not TrialState.WAITING:
                self.add(config_of(trial), trial.number)

    def add(self, config: Mapping[str, Any], number: int) -> None:
        """Notes a configuration, and the trial that was begun with it."""
        self._numbers.setdefault(self._space.key(config), number)

    def number(self, config: Mapping[str, Any]) -> int | None:
        """The first trial that was begun with a configuration."""
        return self._numbers.get(self._space.key(config))

    def untried(self, fixed: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The first configuration, as a grid runs through them, that has the given values and was not tried."""
        if not self._countable:
            return None
        for config in self._space.configurations():
            values = self._space.to_optuna(config)
            if fixed.items() <= values.items() and self.number(config) is None:
                return config
        return None

    def find(self, wish: Wish) -> Found | None:
        """Begins a trial whose configuration was not tried, inside `BatchedStorage.drafting`; None if there is none.

        The sampler is asked several times, each time with another seed, then chance; at last, what is left is looked
        for. A configuration that is given to its last value, or begun before, is what it is.
        """
        for sampler in self._samplers(wish):
            found = self._ask(wish, sampler)
            given = self._storage.get_trial(key_of(found.trial)).system_attrs.get(FIXED_PARAMS, {})
            whole = self._space.to_optuna(found.config).keys() <= given.keys()
            if found.error or self.number(found.config) is None or (whole and wish.again is not None):
                return found
            if whole:
                return None
        config = self.untried(given)
        return None if config is None else self._ask(wish, _by_chance(self._seed, wish, 0), config)

    def repeated(self, wish: Wish) -> Found:
        """Begins the trial of which `find` found that its configuration was tried; says so as its error."""
        found = self._ask(wish, _by_chance(self._seed, wish, 0))
        return Found(found.trial, found.config, f"the configuration of trial {self.number(found.config)}, once more")

    def _samplers(self, wish: Wish) -> Iterator[BaseSampler]:
        if wish.again is None and self._spec.sampler.name != "grid":
            # Others would take a trial that is tried again for one of their own: they keep their state in the study.
            for attempt in range(_ASKS):
                yield make_sampler(self._spec.sampler, self._seed, wish.ordinal, attempt)
        for attempt in range(_DRAWS):
            yield _by_chance(self._seed, wish, attempt)

    def _ask(self, wish: Wish, sampler: BaseSampler, config: Mapping[str, Any] | None = None) -> Found:
        self._storage.drop()
        self._study.sampler = sampler
        forget_read_trials(self._study)
        fixed = self._space.to_optuna(wish.fixed if config is None else config)
        if wish.waits:
            trial = self._study.ask()
            if config is not None:
                self._storage.set_trial_system_attr(key_of(trial), FIXED_PARAMS, fixed)
                trial = Trial(self._study, key_of(trial))
        else:
            attributes = {FIXED_PARAMS: fixed} if fixed else {}
            template = create_trial(state=TrialState.RUNNING, system_attrs=attributes, user_attrs=dict(wish.attributes))
            trial = Trial(self._study, self._storage.create_new_trial(self._id, template))
        try:
            proposed = self._space.suggest(trial)
        except ValueError as problem:
            return Found(trial, {}, str(problem))
        complaints = self._space.complaints(proposed)
        return Found(trial, proposed, "; ".join(f"{name} {complaint}" for name, complaint in complaints.items()))


def _by_chance(seed: int, wish: Wish, attempt: int) -> BaseSampler:
    return make_sampler(Named(name="random"), seed, wish.ordinal, attempt)


def begun(trials: Sequence[FrozenTrial]) -> list[int]:
    """The trials that were the first with their configuration, in the order in which these were begun."""
    return list(dict.fromkeys(origin_of(trial) for trial in trials if trial.state is not TrialState.WAITING))


def not_yet(
    configs: Sequence[dict[str, Any]], trials: Sequence[FrozenTrial], passed: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """The first configuration of the file's list that no trial was begun with, and that was not passed over."""
    done = [*passed, *(trial.user_attrs[ENQUEUED] for trial in trials if ENQUEUED in trial.user_attrs)]
    return next((config for config in configs if config not in done), None)
