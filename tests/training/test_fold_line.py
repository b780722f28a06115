"""The folds of a trial on one line: epochs numbered on, one start, one end."""

from typing import Any

import pytest

from hpo.training.folds import FoldLine, mean_scores
from hpo.training.messages import EpochDone, Finished, FoldEpoch, Started


class Line:
    """Keeps what is emitted."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def emit(self, event):
        self.events.append(event)

    def stop_reason(self):
        return "deadline"

    def verdict(self):
        return "pruner"


def test_epochs_are_numbered_on_and_only_the_last_fold_ends_the_trial():
    line, before = Line(), 0
    for number, epochs in enumerate((2, 1, 3), 1):
        fold = FoldLine(line, number, 3, before, first=number == 1)
        assert fold.epochs == before
        fold.emit(Started(7, 1, 17))
        for epoch in range(1, epochs + 1):
            last = epoch == epochs
            fold.emit(EpochDone(7, epoch, {"loss": 0.5}, last, "early_stopping" if last else None))
        before = fold.epochs
    assert before == 6
    started, *told = line.events
    assert started == Started(7, 1, 17)
    assert [(one.epoch, one.fold, one.last, one.ended_by) for one in told] == [
        (1, FoldEpoch(1, 1), False, None),
        (2, FoldEpoch(1, 2, last=True), False, None),
        (3, FoldEpoch(2, 1, last=True), False, None),
        (4, FoldEpoch(3, 1), False, None),
        (5, FoldEpoch(3, 2), False, None),
        (6, FoldEpoch(3, 3, last=True), True, "early_stopping"),
    ]


def test_other_events_pass_unchanged_and_a_stop_ends_the_whole_trial():
    line = Line()
    fold = FoldLine(line, 2, 2, 4, first=False)
    fold.emit(Finished(7, "epochs", 1))
    assert line.events == [Finished(7, "epochs", 1)]
    assert (fold.stop_reason(), fold.verdict(), fold.epochs) == ("deadline", "pruner", 4)


def test_a_mean_is_over_all_folds_or_there_is_none():
    scores = [{"loss": 0.2, "auc": 0.5, "mae": 1.0}, {"loss": 0.4, "mae": 2.0}, {"loss": 0.9, "auc": 0.7, "mae": 3.0}]
    assert mean_scores(scores) == {"loss": pytest.approx(0.5), "mae": 2.0}
    assert mean_scores([{"loss": 0.2}, {"loss": 0.4, "auc": 0.5}]) == {"loss": pytest.approx(0.3)}
    assert mean_scores([{"loss": 0.2}]) == {"loss": 0.2}
