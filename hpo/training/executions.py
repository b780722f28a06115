"""A configuration that trains several times, each time from another seed: its first training is what others see."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from hpo.config.score import Score
from hpo.training.folds import mean_scores
from hpo.training.messages import Alive, EpochDone, Event, Job, Line, Order
from hpo.training.testing import Scored


def first_job(job: Job) -> Job:
    """The job of the first training, which has the trial's seed."""
    return replace(job, execution=1) if job.training.trainings > 1 else job


def later_jobs(job: Job) -> Iterator[Job]:
    """The jobs of all trainings but the first, each with a seed of its own."""
    for number in range(1, job.training.trainings):
        seed = int(np.random.SeedSequence([job.seed, number]).generate_state(1)[0])
        yield replace(job, seed=seed, checkpoints=None, resume=None, execution=number + 1)


class QuietLine:
    """A trial's line as its later trainings see it: they report no epochs, and stop when the trial is to stop."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def emit(self, event: Event) -> None:
        """Says after each epoch that the trial is alive."""
        if isinstance(event, EpochDone):
            self._line.emit(Alive(event.trial))

    def stop_reason(self) -> Order | None:
        """The trial's."""
        return self._line.stop_reason()

    def verdict(self) -> Order | None:
        """Goes on."""
        return None


def mean_score(scores: Sequence[Score]) -> float:
    """The score of the configuration."""
    return statistics.fmean(score.value for score in scores)


def mean_test(tests: Sequence[Scored]) -> Scored:
    """The means of the test scores, and what there is to say of them."""
    notes = dict.fromkeys(one.note for one in tests if one.note is not None)
    return Scored(mean_scores([one.scores for one in tests]), "; ".join(notes) or None)
