"""What confirming runs say of their finalists: means, paired comparisons, the choice. Pure; the statistics are scipy's.

The finalists share their seeds, so each is compared with the leader seed by seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo.config.experiment import Objective
from hpo.study.confirmation import Confirmation, Estimate, Finalist
from hpo.study.record import TrialRecord

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LEVEL = 0.05
"""Finalists whose corrected p-value is below it can be told apart from the leader."""

OUT = 0.01
"""Early stopping is stricter, since it looks again after each seed."""

OUT_AFTER = 3
"""Seeds that a finalist is given before it may be stopped early."""

_Values = Mapping[int, float]


@dataclass(frozen=True)
class Runs:
    """The confirming runs of one finalist that count: a score, or a failure for good."""

    trial: TrialRecord
    """The finalist, as the study has it."""
    scored: Sequence[TrialRecord] = ()
    failed: Sequence[TrialRecord] = ()
    stopped_early: bool = False

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


def confirmation_of(finalists: Sequence[Runs], objective: Objective) -> Confirmation | None:
    """What the runs come to; None where no finalist has two scores, which is the least that tells a deviation.

    The leader has the best mean among those that failed least often and were not stopped early: the seeds on which
    an unstable configuration survives would flatter it. Chosen is, of those that cannot be told apart from the
    leader, the one with the fewest model parameters, then seconds. Test scores are looked at last, and of the
    chosen one alone.
    """
    estimates = {runs.trial.number: estimate(list(runs.values.values())) for runs in finalists}
    sound = _sound(finalists)
    if not sound:
        return None
    leader = max(sound, key=lambda runs: objective.merit(_mean(estimates, runs) or 0.0))
    p_values = compared(leader.values, {runs.trial.number: runs.values for runs in finalists if runs is not leader})
    tied = [runs for runs in sound if runs is leader or p_values.get(runs.trial.number, 0.0) >= LEVEL]
    chosen = min(tied, key=_cost)
    lines = [
        Finalist(
            trial=runs.trial.number,
            searched=runs.trial.value if runs.trial.value is not None else float("nan"),
            values=runs.values,
            failures={run.seed: run.reason or "error" for run in runs.failed},
            validation=estimates[runs.trial.number],
            p_value=p_values.get(runs.trial.number),
            tied=runs in tied,
            model_parameters=runs.model_parameters,
            seconds=runs.seconds,
            stopped_early=runs.stopped_early,
        )
        for runs in finalists
    ]
    return Confirmation(
        metric=objective.metric,
        finalists=tuple(sorted(lines, key=lambda line: _order(line, objective))),
        chosen=chosen.trial.number,
        noise_floor=pooled_deviation([list(runs.values.values()) for runs in finalists]),
        test=_test(chosen),
    )


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean, standard deviation and 95% interval of the mean (`scipy.stats.t.interval`); None for fewer than two."""
    import numpy as np
    from scipy import stats

    if len(values) < 2:
        return None
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    low = high = mean
    if not _same(np.asarray(values)):
        error = stats.sem(values)
        low, high = map(float, stats.t.interval(0.95, len(values) - 1, loc=mean, scale=error))
    return Estimate(mean=mean, deviation=deviation, low=low, high=high, seeds=len(values))


def compared(leader: _Values, others: Mapping[int, _Values]) -> dict[int, float]:
    """Trial -> p-value of its paired comparison with the leader, over the seeds that both have, at least two.

    Student's paired t-test (`scipy.stats.ttest_rel`), two-sided. Corrected by Benjamini and Hochberg
    (`scipy.stats.false_discovery_control`): at most 5% of the finalists that are called worse are called so by
    chance. It holds under positive dependence (Benjamini & Yekutieli 2001), which comparisons with one and the
    same leader have; the family-wise correction (Bonferroni) would call nearly all tied at five seeds.
    """
    from scipy import stats

    pairs = {
        trial: [(leader[seed], values[seed]) for seed in leader if seed in values] for trial, values in others.items()
    }
    raw = {trial: _paired(shared) for trial, shared in pairs.items() if len(shared) >= 2}
    if not raw:
        return {}
    corrected = stats.false_discovery_control(list(raw.values()), method="bh")
    return dict(zip(raw, map(float, corrected), strict=True))


def out(finalists: Sequence[Runs], objective: Objective) -> set[int]:
    """The finalists that are clearly out: worse than the leader at a corrected p-value below 0.01.

    Looked at once a finalist shares 3 seeds with the leader.
    """
    sound = _sound(finalists)
    if not sound:
        return set()
    leader = max(sound, key=lambda runs: objective.merit(_plain_mean(runs.values)))
    others = {
        runs.trial.number: runs.values
        for runs in finalists
        if len(runs.values.keys() & leader.values.keys()) >= OUT_AFTER
        # One that failed on a seed may not lead, and yet be the better on the others.
        and objective.score(_plain_mean(leader.values)).better_than(objective.score(_plain_mean(runs.values)))
    }
    return {trial for trial, p_value in compared(leader.values, others).items() if p_value < OUT}


def pooled_deviation(groups: Sequence[Sequence[float]]) -> float:
    """Seed-to-seed standard deviation over all finalists: the root of the mean variance, by degrees of freedom."""
    import numpy as np

    groups = [group for group in groups if len(group) >= 2]
    variances = [np.var(group, ddof=1) for group in groups]
    return float(np.sqrt(np.average(variances, weights=[len(group) - 1 for group in groups])))


def _paired(shared: Sequence[tuple[float, float]]) -> float:
    import numpy as np
    from scipy import stats

    pairs = np.asarray(shared)
    differences = pairs[:, 0] - pairs[:, 1]
    if not _same(differences, pairs):
        return float(stats.ttest_rel(pairs[:, 0], pairs[:, 1]).pvalue)
    if abs(differences[0]) <= _resolution(pairs):
        return 1.0
    # Equal differences have no deviation for Student's test to measure by, as accuracies over few samples often
    # come; their sign alone still counts.
    return float(stats.binomtest(len(differences), len(differences)).pvalue)


def _same(values: "npt.NDArray[np.float64]", scale: "npt.NDArray[np.float64] | None" = None) -> bool:
    return bool(values.max() - values.min() <= _resolution(values if scale is None else scale))


def _resolution(values: "npt.NDArray[np.float64]") -> float:
    """Below it a difference is rounding."""
    return 1e-12 * float(abs(values).max())


def _sound(finalists: Sequence[Runs]) -> list[Runs]:
    """Those that may lead: two scores or more, not stopped early, and no others failed less often."""
    able = [runs for runs in finalists if len(runs.values) >= 2 and not runs.stopped_early]
    fewest = min((len(runs.failed) for runs in able), default=0)
    return [runs for runs in able if len(runs.failed) == fewest]


def _plain_mean(values: _Values) -> float:
    return sum(values.values()) / len(values)


def _mean(estimates: Mapping[int, Estimate | None], runs: Runs) -> float | None:
    found = estimates[runs.trial.number]
    return found.mean if found else None


def _cost(runs: Runs) -> tuple[float, float]:
    infinite = float("inf")
    return runs.model_parameters or infinite, runs.seconds or infinite


def _order(line: Finalist, objective: Objective) -> tuple[bool, float]:
    return line.validation is None, -objective.merit(line.validation.mean if line.validation else line.searched)


def _test(chosen: Runs) -> dict[str, Estimate]:
    names = dict.fromkeys(name for run in chosen.scored for name in run.test)
    found = {name: estimate([run.test[name] for run in chosen.scored if name in run.test]) for name in names}
    return {name: value for name, value in found.items() if value is not None}
