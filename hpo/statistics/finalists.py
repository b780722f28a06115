"""What confirming runs come to: means, comparisons, the choice, as a confirmation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hpo.config.experiment import Objective
from hpo.statistics.choice import Candidates, Choice, Comparison, choose, compared
from hpo.statistics.decision import LEVEL
from hpo.statistics.intervals import pooled
from hpo.study.confirmation import Confirmation, Estimate, Finalist
from hpo.study.record import TrialRecord


@dataclass(frozen=True)
class Runs:
    """The confirming runs of one finalist that count: a score, or a failure for good."""

    trial: TrialRecord
    """The finalist, as the study has it."""
    scored: Sequence[TrialRecord] = ()
    failed: Sequence[TrialRecord] = ()
    out: bool = False
    """Whether the race left it behind."""

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
        """Size, then time: what is unknown counts as large."""
        infinite = float("inf")
        return self.model_parameters or infinite, self.seconds or infinite


@dataclass(frozen=True)
class Basis:
    """What the choice rests on besides the scores."""

    fresh: Collection[int] | None = None
    """Seeds that had no part in the race so far, and had not been looked at; None: all."""
    margin: float | None = None
    """Within so much of the best mean the cheapest is chosen; None: the best mean."""
    looks: tuple[int, ...] = ()
    """As in `Confirmation`."""


def confirmation_of(finalists: Sequence[Runs], objective: Objective, basis: Basis = Basis()) -> Confirmation | None:
    """What the runs come to; None where no finalist has two scores, which is the least that tells a deviation.

    The leader has the best mean among those that failed least often and that the race did not leave behind: the seeds
    on which an unstable configuration survives would flatter it. Test scores are looked at last, and of the chosen one
    alone; how they vary from seed to seed all finalists say.
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
    beside = compared(scores, objective.merit(1), choice.best, numbers)
    least = min(len(runs.failed) for runs in eligible)
    together = sum(len(values) > 1 for values in scores.values())
    lines = [
        _line(runs, choice, beside.get(runs.trial.number), together, len(runs.failed) <= least) for runs in finalists
    ]
    return Confirmation(
        metric=objective.metric,
        finalists=tuple(sorted(lines, key=lambda line: _order(line, choice, objective))),
        chosen=choice.chosen,
        noise_floor=choice.deviation.value,
        expected=choice.estimate,
        margin=basis.margin,
        may_cost=choice.may_cost,
        looks=basis.looks,
        test=_test(finalists, choice.chosen, candidates),
    )


def _line(runs: Runs, choice: Choice, beside: Comparison | None, together: int, sound: bool) -> Finalist:
    p_value = None if beside is None else beside.p_value
    values = list(runs.values.values())
    return Finalist(
        trial=runs.trial.number,
        searched=runs.trial.value if runs.trial.value is not None else float("nan"),
        values=runs.values,
        failures={run.seed: run.reason or "error" for run in runs.failed},
        # Of all intervals at once, so that they hold whichever of them is looked at.
        validation=choice.deviation.interval(values, together=together) if len(values) > 1 else None,
        p_value=p_value,
        behind=None if beside is None else beside.behind,
        tied=runs.trial.number == choice.best or (sound and p_value is not None and p_value >= LEVEL),
        model_parameters=runs.model_parameters,
        seconds=runs.seconds,
        stopped_early=runs.out,
    )


def _sound(finalists: Sequence[Runs]) -> list[Runs]:
    """Those that may lead: two scores or more, not left behind, and no others failed less often."""
    able = [runs for runs in finalists if len(runs.values) >= 2 and not runs.out]
    fewest = min((len(runs.failed) for runs in able), default=0)
    return [runs for runs in able if len(runs.failed) == fewest]


def _order(line: Finalist, choice: Choice, objective: Objective) -> tuple[bool, bool, bool, float]:
    """The leader, others of the last round by their means, those that the race left behind, those without a mean."""
    mean = line.validation.mean if line.validation else line.searched
    return line.validation is None, line.stopped_early, line.trial != choice.best, -objective.merit(1) * mean


def _test(finalists: Sequence[Runs], chosen: int, candidates: Candidates) -> dict[str, Estimate]:
    names = dict.fromkeys(name for runs in finalists for run in runs.scored for name in run.test)
    found: dict[str, Estimate] = {}
    for name in names:
        scores = {
            runs.trial.number: {run.seed: run.test[name] for run in runs.scored if name in run.test}
            for runs in finalists
        }
        deviation, own = pooled(scores), scores[chosen]
        fresh = [value for seed, value in own.items() if candidates.fresh is None or seed in candidates.fresh]
        if deviation is not None and len(own) > 1:
            found[name] = deviation.interval(fresh if len(fresh) > 1 else list(own.values()))
    return found
