"""Collects what MLflow does not have yet of a study, so that all news of a trial is one change of its run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import final

from mlflow.entities import Metric

from hpo.config.experiment import Objective
from hpo.study.record import TrialRecord, lost
from hpo.tracking import entities
from hpo.training.messages import EpochDone

Key = tuple[bool, int]
"""Whether it is a confirming run, and its number. Trials and confirming runs are numbered separately."""


def key(record: TrialRecord) -> Key:
    """The key of a trial or of a confirming run."""
    return record.confirms is not None, record.number


@dataclass
class News:
    """What MLflow does not have yet of one trial."""

    record: TrialRecord
    ended: bool = False
    paused: bool = False
    """Whether it is paused at the end of the study's run."""
    points: list[Metric] = field(default_factory=list)
    logged_epochs: int = 0
    """The number of its epochs that are among the points, or were logged before."""
    before: int = 0
    """The number of its epochs that were handed out before these points."""
    tried: bool = False
    """Whether the store was asked to write its points, and may have them although it did not answer."""

    @property
    def key(self) -> Key:
        """The key of the trial."""
        return key(self.record)


@final
class Unlogged:
    """Collects what happens, and hands it out in batches."""

    def __init__(self, objective: Objective) -> None:
        self.points: list[Metric] = []
        """New points of the study's own curves."""
        self._objective = objective
        self._best = entities.BestSoFar()
        self._news: dict[Key, News] = {}
        self._running: dict[int, TrialRecord] = {}
        self._paused: set[int] = set()
        # Running trial -> the number of its epochs that were handed out.
        self._logged_epochs: dict[int, int] = {}

    def __len__(self) -> int:
        """The number of runs with something to log."""
        return len(self._news) or bool(self.points)

    def started(self, record: TrialRecord) -> None:
        """A trial was handed out, or goes on."""
        self._running[record.number] = record
        self._paused.discard(record.number)
        self._news_of(record)

    def epoch(self, event: EpochDone, timestamp: int) -> None:
        """A trial finished an epoch."""
        record = self._running.get(event.trial)
        if record is None or event.epoch <= self._logged_epochs.get(event.trial, 0):
            # Without a usable checkpoint a trial trains the same epochs again.
            return
        fold, epoch = (event.fold.fold, event.fold.epoch) if event.fold else (None, event.epoch)
        news = self._news_of(record)
        news.points += entities.points(event.metrics, timestamp, epoch, fold)
        news.logged_epochs = self._logged_epochs[event.trial] = event.epoch

    def paused(self, record: TrialRecord) -> None:
        """A trial paused. Its run is left as it is, since it may go on soon."""
        self._paused.add(record.number)

    def ended(self, record: TrialRecord) -> None:
        """A trial ended."""
        number = record.number
        self._paused.discard(number)
        self._running.pop(number, None)
        news = self._news_of(record)
        news.record, news.ended, news.logged_epochs = record, True, self._logged_epochs.pop(number, 0)
        if record.confirms is None:
            points, self._best = entities.best_so_far([record], self._objective, self._best)
            self.points += points

    def give_up(self, error: str) -> None:
        """Marks paused trials as paused, and running ones as lost, since nobody continues them."""
        for record in list(self._running.values()):
            if record.number in self._paused:
                self._news_of(record).paused = True
            else:
                self.ended(lost(record, error))

    def resume(self, records: Sequence[TrialRecord]) -> list[Metric]:
        """Continues a study that has these trials; returns the points of its own curves that follow from them."""
        trials = [record for record in entities.by_end(records) if record.confirms is None]
        points, self._best = entities.best_so_far(trials, self._objective)
        return points

    def add_missing(self, records: Iterable[TrialRecord], points: Iterable[Metric]) -> None:
        """Adds what the store lacks from earlier runs: ended trials, and points of the study's own curves."""
        for record in records:
            # What happened to a trial since these were read is newer.
            self._news.setdefault(key(record), News(record, ended=True))
        self.points[:0] = points

    def take(self, count: int) -> tuple[list[News], list[Metric]]:
        """The news of up to `count` trials, and all points of the study's own curves.

        They count as logged, unless they are given back.
        """
        taken = [self._news.pop(key) for key in list(self._news)[:count]]
        points, self.points = self.points, []
        for one in taken:
            one.tried = True
        return taken, points

    def shed(self) -> None:
        """Drops the points of ended trials, whose records have the same curves; for a store that is away for long."""
        for one in self._news.values():
            if one.ended and not one.tried and one.record.epochs >= one.logged_epochs:
                one.points, one.logged_epochs = [], one.before

    def _news_of(self, record: TrialRecord) -> News:
        known = self._news.get(key(record))
        if known is None:
            known = self._news[key(record)] = News(record, before=self._logged_epochs.get(record.number, 0))
        return known

    def give_back(self, news: Sequence[News], points: Sequence[Metric]) -> None:
        """Takes back what the store did not accept, behind the rest, so that a refused trial does not delay others."""
        for one in news:
            self._news[one.key] = one
        self.points[:0] = points
