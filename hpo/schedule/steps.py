"""The steps of a schedule, and the interface of those that choose them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hpo.schedule.estimates import Expected
from hpo.schedule.history import History


@dataclass(frozen=True)
class Begin:
    """Begin a trial with a configuration that was not tried yet."""

    why: str
    """In at most four words."""


@dataclass(frozen=True)
class GoOn:
    """Go on with a paused trial."""

    trial: int
    """Its number."""
    until: int
    """The unit to train to: an epoch, or with k-fold cross-validation a fold, counted from 1."""
    why: str
    """In at most four words."""


@dataclass(frozen=True)
class Wait:
    """Nothing to do until a running trial pauses or ends; without a running trial, the study is over."""


Step = Begin | GoOn | Wait

Verdict = Literal["proceed", "pause", "stop"]
"""What a running trial does after a unit."""


class Schedule(ABC):
    """Decides what trains next. It sees validation scores only."""

    pauses: bool = True
    """Whether it pauses trials; otherwise each is trained to its end, or until the pruner stops it."""
    has_model: bool = False
    """Whether it expects something of trials: see `expected_gain`."""
    proposes: bool = False
    """Whether it proposes the values of new trials itself; otherwise the study's sampler does."""

    def __init__(self, history: History, seed: int) -> None:
        self.history = history
        self.seed = seed

    @property
    @abstractmethod
    def first(self) -> int:
        """The unit to which a new trial trains."""

    @abstractmethod
    def next(self, may_begin: bool, left: float = math.inf) -> Step:
        """The next step for a free worker.

        `may_begin`: whether another trial may be begun; `left`: seconds until the study's deadline.
        """

    def propose(self, ordinal: int, attempt: int, fixed: Mapping[str, Any]) -> Mapping[str, Any]:
        """A configuration for a new trial, the `ordinal`-th of the study, counted from 0.

        `attempt`: how many proposals for it were refused, since they had been tried. `fixed`: values that it must have.
        The study's seed, the ordinal and the attempt determine everything random.
        """
        raise NotImplementedError

    def expected_gain(self, more: int) -> Expected | None:
        """What so many more trials, and going on with those that are paused, are expected to gain.

        None while too little is known for that. Only schedules with `has_model` say it.
        """
        raise NotImplementedError

    def after(self, done: int) -> int:
        """The unit to which a trial that cannot pause goes on after so many units."""
        return self.history.units

    def stops(self, trial: int) -> bool:
        """Whether to stop a running trial that cannot pause, which was to pause now."""
        return False
