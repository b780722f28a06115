"""The confirmation that follows from confirming runs: means, comparisons and the choice."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hpo.config.experiment import Objective
from hpo.config.metrics import direction_of
from hpo.statistics.choice import Candidates, Choice, Comparison, choose, compared
from hpo.statistics.intervals import Selected, pooled
from hpo.statistics.sampling import bounded
from hpo.study.confirmation import LEVEL, Confirmation, Estimate, Finalist
from hpo.study.record import TrialRecord


@dataclass(frozen=True)
class Runs:
    """The confirming runs of one finalist that count: those with a score, and those that failed for good."""

    trial: TrialRecord
    """The finalist, as recorded in the study."""
    scored: Sequence[TrialRecord] = ()
    failed: Sequence[TrialRecord] = ()
    out: bool = False
    """Whether the race dropped the finalist."""

    @property
    def values(self) -> dict[int, float]:
        """Seed -> the objective at the best epoch."""
        return {run.seed: run.value for run in self.scored if run.value is not None}

    @property
    def model_parameters(self) -> int | None:
        """Size of the model, in numbers."""
        return next((run.model_parameters for run in self.scored if run.model_parameters), self.trial.model_parameters)

    @property
    def seconds(self) -> float | None:
        """Mean wall time of the runs with a score."""
        times = [run.seconds for run in self.scored if run.seconds is not None]
        return sum(times) / len(times) if times else None

    @property
    def cost(self) -> tuple[float, float]:
        """See `cost_of`."""
        return cost_of(self.model_parameters, self.seconds)


@dataclass(frozen=True)
class Basis:
    """What the choice depends on besides the scores."""

    fresh: Collection[int] | None = None
    """Seeds whose results were not looked at before they were run; None: all seeds."""
    margin: float | None = None
    """The cheapest finalist whose mean is at most this much worse than the best mean is chosen; None: the one with the
    best mean is chosen."""
    looks: tuple[int, ...] = ()
    """See `Confirmation.looks`."""
    other_looks: tuple[int, ...] = ()
    """See `Confirmation.other_looks`."""
    splits: bool = False
    """See `Confirmation.splits`."""


def cost_of(model_parameters: int | None, seconds: float | None) -> tuple[float, float]:
    """Costs that are compared in order: the model's size, then its training time; an unknown one counts as infinite."""
    infinite = float("inf")
    return model_parameters or infinite, seconds or infinite


def confirmation_of(finalists: Sequence[Runs], objective: Objective, basis: Basis = Basis()) -> Confirmation | None:
    """The confirmation; None if no finalist has two scores, the fewest from which a deviation follows.

    The leader has the best mean among the finalists that failed least often and that the race did not drop: an unstable
    configuration would look better than it is by the seeds on which it survives. Test scores are looked at last, and
    reported for the chosen finalist alone. How they vary from seed to seed is estimated from all finalists.
    """
    eligible = _sound(finalists)
    if not eligible:
        return None
    scores = {runs.trial.number: runs.values for runs in finalists}
    numbers = [runs.trial.number for runs in eligible]
    costs = {runs.trial.number: runs.cost for runs in finalists}
    candidates = Candidates(numbers, basis.fresh, basis.margin, costs)
    choice = choose(scores, objective.merit(1), candidates)
    assert choice is not None, "a finalist has two scores"
    beside = compared(scores, objective.merit(1), choice.best)
    least = min(len(runs.failed) for runs in eligible)
    together = sum(len(values) > 1 for values in scores.values())
    lines = [
        _line(objective.metric, runs, choice, beside.get(runs.trial.number), together, len(runs.failed) <= least)
        for runs in finalists
    ]
    return Confirmation(
        metric=objective.metric,
        finalists=tuple(sorted(lines, key=lambda line: _order(line, choice, objective))),
        chosen=choice.chosen,
        noise_floor=choice.deviation.value,
        expected=bounded(objective.metric, choice.estimate),
        margin=basis.margin,
        may_cost=choice.may_cost,
        looks=basis.looks,
        other_looks=basis.other_looks,
        splits=basis.splits,
        test=_test(finalists, objective, choice.chosen, candidates),
    )


def _line(metric: str, runs: Runs, choice: Choice, beside: Comparison | None, together: int, sound: bool) -> Finalist:
    p_value = None if beside is None else beside.p_value
    values = list(runs.values.values())
    validation = choice.deviation.interval(values, together=together) if len(values) > 1 else None
    return Finalist(
        trial=runs.trial.number,
        searched=runs.trial.value if runs.trial.value is not None else float("nan"),
        values=runs.values,
        failures={run.seed: run.reason or "error" for run in runs.failed},
        # The intervals of all finalists hold at once, so a reader may look at any of them.
        validation=None if validation is None else bounded(metric, validation),
        p_value=p_value,
        behind=None if beside is None else beside.behind,
        tied=runs.trial.number == choice.best or (sound and p_value is not None and p_value >= LEVEL),
        model_parameters=runs.model_parameters,
        seconds=runs.seconds,
        stopped_early=runs.out,
    )


def _sound(finalists: Sequence[Runs]) -> list[Runs]:
    """The finalists that may lead: two scores or more, not dropped by the race, and no others failed less often."""
    able = [runs for runs in finalists if len(runs.values) >= 2 and not runs.out]
    fewest = min((len(runs.failed) for runs in able), default=0)
    return [runs for runs in able if len(runs.failed) == fewest]


def _order(line: Finalist, choice: Choice, objective: Objective) -> tuple[bool, bool, bool, float]:
    """Sorts the leader first, then the others of the last round by their means, those dropped, those without a mean."""
    mean = line.validation.mean if line.validation else line.searched
    return line.validation is None, line.stopped_early, line.trial != choice.best, -objective.merit(1) * mean


def _test(finalists: Sequence[Runs], objective: Objective, chosen: int, candidates: Candidates) -> dict[str, Estimate]:
    names = dict.fromkeys(name for runs in finalists for run in runs.scored for name in run.test)
    found: dict[str, Estimate] = {}
    for name in names:
        scores = {
            runs.trial.number: {run.seed: run.test[name] for run in runs.scored if name in run.test}
            for runs in finalists
        }
        deviation, own = pooled(scores), scores[chosen]
        fresh = candidates.fresh_scores(own)
        if deviation is not None and len(own) > 1:
            # The choice was by the validation scores of the same runs, which a test score may go along with.
            is_objective = objective.metric == f"val_{name}"
            direction = objective.direction if is_objective else direction_of(name)
            selected = Selected(len(scores), -1 if direction == "minimize" else 1)
            estimate = deviation.interval(fresh if len(fresh) > 1 else list(own.values()), selected)
            found[name] = bounded(name, estimate)
    return found
