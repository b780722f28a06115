"""How the next configuration of a study is found, and which ones it has begun already."""

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
from hpo.study.samplers import make_sampler
from hpo.study.stored_trial import config_of, origin_of, own_trials

# How often a sampler is asked for a configuration that was not tried yet; after that, how often one is drawn at random.
_ASKS, _DRAWS = 8, 100


@dataclass(frozen=True)
class Wish:
    """A request for the next trial."""

    ordinal: int
    """Which configuration of the study it is, counted from 0. With the study's seed it seeds the sampler."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """The values of its configuration that are given, without constants."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """User attributes of the new trial."""
    waits: bool = False
    """Whether the trial is to be the next of those that others enqueued."""
    again: Mapping[str, Any] | None = None
    """The configuration, if it was begun before."""


@dataclass(frozen=True)
class Found:
    """A trial that is not written to the store yet, and its configuration."""

    trial: Trial
    config: Mapping[str, Any]
    error: str = ""
    """Why the space does not allow the configuration."""


class ConfigurationFinder:
    """Finds configurations that no trial of the study was begun with."""

    def __init__(self, study: optuna.Study, storage: BatchedStorage, spec: StudySpec, seed: int) -> None:
        self._study = study
        self._storage = storage
        self._id = storage.get_study_id_from_name(study.study_name)
        self._spec = spec
        self._seed = seed

    def widen(self, space: SearchSpace) -> None:
        """Continues with a space to which a model has declared more parameters."""
        self._space = space
        self._countable = not space.uncountable()
        self._numbers: dict[str, int] = {}
        for trial in own_trials(self._study.get_trials(deepcopy=False)):
            if trial.state is not TrialState.WAITING:
                self.add(config_of(trial), trial.number)

    def add(self, config: Mapping[str, Any], number: int) -> None:
        """Remembers a configuration, and the number of the trial that was begun with it."""
        self._numbers.setdefault(self._space.key(config), number)

    def first_trial(self, config: Mapping[str, Any]) -> int | None:
        """The number of the first trial that was begun with a configuration; None if there is none."""
        return self._numbers.get(self._space.key(config))

    def untried(self, fixed: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The first configuration in grid order that has the given values and was not tried; None if there is none."""
        if not self._countable:
            return None
        for config in self._space.configurations():
            values = self._space.to_optuna(config)
            if fixed.items() <= values.items() and self.first_trial(config) is None:
                return config
        return None

    def find(self, wish: Wish) -> Found | None:
        """Begins a trial whose configuration was not tried, inside `BatchedStorage.drafting`; None if there is none.

        The sampler is asked several times, each time with another seed. Then configurations are drawn at random. Last,
        the space is searched for one that was not tried. A configuration whose values are all given is never replaced
        by another, and one that is to be run again may have been tried.
        """
        for sampler in self._samplers(wish):
            found = self._ask(wish, sampler)
            given = self._storage.get_trial(key_of(found.trial)).system_attrs.get(FIXED_PARAMS, {})
            whole = self._space.to_optuna(found.config).keys() <= given.keys()
            if found.error or self.first_trial(found.config) is None or (whole and wish.again is not None):
                return found
            if whole:
                return None
        config = self.untried(given)
        return None if config is None else self._ask(wish, _random_sampler(self._seed, wish, 0), config)

    def repeated(self, wish: Wish) -> Found:
        """Begins a trial although its configuration was tried, with an error that says so; `find` returned None."""
        found = self._ask(wish, _random_sampler(self._seed, wish, 0))
        first = self.first_trial(found.config)
        return Found(found.trial, found.config, f"the same configuration as trial {first}")

    def _samplers(self, wish: Wish) -> Iterator[BaseSampler]:
        if wish.again is None and self._spec.sampler.name != "grid":
            # Samplers that keep state in the study would take a trial that is tried again for one of their own.
            for attempt in range(_ASKS):
                yield make_sampler(self._spec.sampler, self._seed, wish.ordinal, attempt)
        for attempt in range(_DRAWS):
            yield _random_sampler(self._seed, wish, attempt)

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


def _random_sampler(seed: int, wish: Wish, attempt: int) -> BaseSampler:
    return make_sampler(Named(name="random"), seed, wish.ordinal, attempt)


def first_trials(trials: Sequence[FrozenTrial]) -> list[int]:
    """For each configuration that was begun, the number of its first trial; in the order in which they were begun."""
    return list(dict.fromkeys(origin_of(trial) for trial in trials if trial.state is not TrialState.WAITING))


def next_enqueued(configs: Sequence[dict[str, Any]], done: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The first configuration of the file's `enqueue` list that no trial was begun with, and that was not skipped.

    `done`: those with which trials were begun, and those that were skipped.
    """
    return next((config for config in configs if config not in done), None)
