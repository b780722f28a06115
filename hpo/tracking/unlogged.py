"""What is not logged yet of a study, gathered trial by trial: one change a run, however much it is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import final

from mlflow.entities import Metric

from hpo.config.experiment import Objective
from hpo.study.record import TrialRecord, lost
from hpo.tracking import entities
from hpo.training.messages import EpochDone

Key = tuple[bool, int]
"""Whether it is a confirming run, and its number: trials and confirming runs are numbered apart."""


def key(record: TrialRecord) -> Key:
    """What a trial or a confirming run is known by."""
    return record.confirms is not None, record.number


@dataclass
class News:
    """What is new of a trial."""

    record: TrialRecord
    ended: bool = False
    points: list[Metric] = field(default_factory=list)
    told: int = 0
    """How many of its epochs are among the points, or were told before."""

    @property
    def key(self) -> Key:
        """What the trial is known by."""
        return key(self.record)


@final
class Unlogged:
    """Collects what happens, and gives it out in portions."""

    def __init__(self, objective: Objective) -> None:
        self.points: list[Metric] = []
        """Of the study's own curves."""
        self._objective = objective
        self._best = entities.BestSoFar()
        self._news: dict[Key, News] = {}
        self._running: dict[int, TrialRecord] = {}
        # Of each running trial how many epochs were given out.
        self._told: dict[int, int] = {}

    def __len__(self) -> int:
        """Runs of which there is something to tell."""
        return len(self._news) or bool(self.points)

    def started(self, record: TrialRecord) -> None:
        """A trial was handed out."""
        self._running[record.number] = record
        self._news.setdefault(key(record), News(record))

    def epoch(self, event: EpochDone, timestamp: int) -> None:
        """A trial finished an epoch."""
        record = self._running.get(event.trial)
        if record is None:
            return
        fold, epoch = (event.fold.fold, event.fold.epoch) if event.fold else (None, event.epoch)
        news = self._news.setdefault(key(record), News(record))
        news.points += entities.points(event.metrics, timestamp, epoch, fold)
        news.told = self._told[event.trial] = event.epoch

    def ended(self, record: TrialRecord) -> None:
        """A trial ended."""
        number = record.number
        self._running.pop(number, None)
        news = self._news.setdefault(key(record), News(record))
        news.record, news.ended, news.told = record, True, self._told.pop(number, 0)
        if record.confirms is None:
            points, self._best = entities.best_so_far([record], self._objective, self._best)
            self.points += points

    def give_up(self, error: str) -> None:
        """Whatever still runs is lost: nobody goes on with it."""
        for record in list(self._running.values()):
            self.ended(lost(record, error))

    def know(self, records: Sequence[TrialRecord]) -> list[Metric]:
        """Takes up a study with these trials; returns the points of its own curves that come of them."""
        trials = [record for record in entities.in_order(records) if record.confirms is None]
        points, self._best = entities.best_so_far(trials, self._objective)
        return points

    def missed(self, records: Iterable[TrialRecord], points: Iterable[Metric]) -> None:
        """What the store misses of earlier runs: ended trials, and points of the study's own curves."""
        for record in records:
            self._news[key(record)] = News(record, ended=True)
        self.points[:0] = points

    def take(self, count: int) -> tuple[list[News], list[Metric]]:
        """What is new of so many trials, and all points of the study's own; they count as told until given back."""
        keys = list(self._news)[:count]
        points, self.points = self.points, []
        return [self._news.pop(key) for key in keys], points

    def give_back(self, news: Sequence[News], points: Sequence[Metric]) -> None:
        """What the store did not take; behind the rest, so that a trial that it refuses holds up no other."""
        for one in news:
            self._news[one.key] = one
        self.points[:0] = points
