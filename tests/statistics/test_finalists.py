"""The statistics of a confirmation against figures worked out with scipy, and against what they must not claim."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from scipy import stats

from hpo.config.experiment import Objective
from hpo.statistics.decision import leader, markdown, overstated, sentences, verdict
from hpo.statistics.finalists import Basis, Runs, confirmation_of
from hpo.study.confirmation import Confirmation
from hpo.study.failure import Failure
from hpo.study.record import TrialRecord

ACCURACY = Objective.model_validate("val_accuracy")
LOSS = Objective.model_validate("val_loss")


def trial(number: int, value: float, size: int = 100) -> TrialRecord:
    return TrialRecord(number, "complete", {"depth": number}, 7, number, value=value, model_parameters=size)


def runs(number: int, values: list[float], size: int = 100, searched: float = 0.95, **more) -> Runs:
    """A finalist's runs over the seeds 1, 2, ...; a value of None is a seed on which it failed."""
    scored = [
        replace(trial(number, value, size), seed=seed, test={"accuracy": value - 0.01 * number})
        for seed, value in enumerate(values, 1)
        if value is not None
    ]
    failed = [
        TrialRecord(number, "failed", {}, seed, 0, failure=Failure("nonfinite"))
        for seed, value in enumerate(values, 1)
        if value is None
    ]
    return Runs(trial(number, searched, size), scored, failed, **more)


def found(*finalists: Runs, objective: Objective = ACCURACY) -> Confirmation:
    confirmation = confirmation_of(finalists, objective)
    assert confirmation is not None
    return confirmation


def line(confirmation: Confirmation, number: int):
    return next(finalist for finalist in confirmation.finalists if finalist.trial == number)


def test_the_best_mean_is_chosen() -> None:
    best = runs(1, [0.95, 0.97, 0.96, 0.94, 0.98], size=900)
    close = runs(2, [0.96, 0.95, 0.96, 0.96, 0.95], size=50, searched=0.99)
    worse = runs(3, [0.90, 0.92, 0.91, 0.90, 0.93], size=10)
    got = found(close, best, worse)
    assert [one.trial for one in got.finalists] == [1, 2, 3]
    assert [verdict(one, got) for one in got.finalists] == ["chosen", "cannot be told apart", "worse"]
    assert (got.chosen, leader(got).trial, got.margin, got.may_cost) == (1, 1, None, None)
    assert line(got, 2).behind == pytest.approx(0.004)
    assert got.test["accuracy"].mean == pytest.approx(0.96 - 0.01)
    # Of three means the best by the same seeds: its interval reaches further down than that of one mean.
    half, freedom = got.expected.mean - got.expected.low, 12
    assert half > stats.t.ppf(0.975, freedom) * got.noise_floor / 5**0.5
    told = "\n".join(sentences(got, ACCURACY))
    assert "Use trial 1: val_accuracy 0.9600" in told
    assert "5 seeds, the choice allowed for." in told
    assert "Cannot be told apart from the best mean: trial 2." in told
    assert "Worse than the best mean by more than chance (p < 0.05): trial 3." in told


def test_within_a_margin_the_cheapest_is_chosen_and_what_that_may_cost_is_said() -> None:
    best = runs(1, [0.95, 0.97, 0.96, 0.94, 0.98], size=900)
    cheap = runs(2, [0.96, 0.95, 0.96, 0.96, 0.95], size=50, searched=0.99)
    got = confirmation_of([best, cheap, runs(3, [0.90, 0.92, 0.91, 0.90, 0.93], size=10)], ACCURACY, Basis(margin=0.01))
    assert got is not None
    assert (got.chosen, leader(got).trial, got.margin) == (2, 1, 0.01)
    assert overstated(got.winner, ACCURACY) == pytest.approx(0.99 - 0.956)
    told = "\n".join(sentences(got, ACCURACY))
    assert "Trial 1 has the best mean, 0.9600; trial 2 is within 0.01 of it and cheaper: 50 model parameters" in told
    assert f"It may be worse by up to {got.may_cost:.4f} (at 95%)." in told
    assert "The search overstated it by 0.0340: its score there was 0.9900." in told
    assert "| 2 | 0.9900 | 0.9560" in markdown(got, ACCURACY)
    assert confirmation_of([best, cheap], ACCURACY, Basis(margin=0.001)).chosen == 1


def test_of_models_of_one_size_the_quicker_is_chosen():
    def timed(finalist: Runs, seconds: float) -> Runs:
        began = datetime(2026, 1, 1)
        ended = began + timedelta(seconds=seconds)
        return replace(finalist, scored=[replace(run, started=began, ended=ended) for run in finalist.scored])

    slow, quick = runs(1, [0.95, 0.97, 0.96]), runs(2, [0.96, 0.95, 0.96])
    got = confirmation_of([timed(slow, 30.0), timed(quick, 3.0)], ACCURACY, Basis(margin=0.01))
    assert (got.chosen, got.winner.seconds) == (2, 3.0)
    assert "3.0 s of training against 30.0 s" in "\n".join(sentences(got, ACCURACY))


def test_in_a_race_fresh_seeds_say_what_to_expect() -> None:
    first, second = runs(1, [0.99, 0.99, 0.90, 0.92, 0.91]), runs(2, [0.97, 0.98, 0.92, 0.90, 0.91])
    behind = [runs(3, [0.98, 0.96], out=True), runs(4, [0.6, 0.61], out=True)]
    got = confirmation_of([first, second, *behind], ACCURACY, Basis(fresh={3, 4, 5}))
    assert (got.chosen, got.estimate.seeds) == (1, 3)
    assert got.estimate.mean == pytest.approx(0.91)
    assert got.test["accuracy"].mean == pytest.approx(0.90)
    # One that the race left behind is worse only where that is more than chance.
    assert [(one.trial, verdict(one, got)) for one in got.finalists] == [
        (1, "chosen"), (2, "cannot be told apart"), (3, "cannot be told apart"), (4, "worse"),
    ]  # fmt: skip
    told = "\n".join(sentences(got, ACCURACY))
    assert "the 3 seeds since the last look, the choice allowed for." in told
    assert "Out of the race after 2 seeds: trials 3 and 4." in told


def test_the_finalist_with_the_lowest_mean_loss_leads():
    got = found(runs(1, [0.30, 0.31, 0.32]), runs(2, [0.10, 0.11, 0.13], searched=0.09), objective=LOSS)
    assert [one.trial for one in got.finalists] == [2, 1]
    assert got.chosen == 2
    assert overstated(got.winner, LOSS) == pytest.approx(0.34 / 3 - 0.09)


def test_a_finalist_that_fails_on_a_seed_does_not_win_by_the_others():
    unstable = runs(1, [0.99, None, 0.99, 0.98, None], size=1)
    got = found(unstable, runs(2, [0.95, 0.96, 0.94, 0.95, 0.96]))
    assert got.chosen == 2
    assert line(got, 1).failures == {2: "nonfinite", 5: "nonfinite"}
    assert (line(got, 1).tied, verdict(line(got, 1), got)) == (False, "failed on 2 seeds")
    assert leader(got).trial == 2
    assert "Trial 1 failed on 2 seeds (nonfinite)" in "\n".join(sentences(got, ACCURACY))
    # Where all of them fail as often, the best of them is chosen still.
    assert found(unstable, runs(2, [None, 0.96, None, 0.95, 0.96])).chosen == 1


def test_with_two_seeds_hardly_anything_can_be_told_apart():
    got = found(runs(1, [0.97, 0.95]), runs(2, [0.90, 0.91], size=10))
    assert got.chosen == 1
    assert line(got, 2).p_value == pytest.approx(stats.ttest_rel([0.97, 0.95], [0.90, 0.91]).pvalue, abs=0.02)
    assert "2 seeds cannot show small differences" in "\n".join(sentences(got, ACCURACY))


def test_too_few_runs_are_no_confirmation():
    assert confirmation_of([runs(1, [0.9]), runs(2, [None, None, None])], ACCURACY) is None
    got = found(runs(1, [0.9, 0.91]), runs(2, [0.99]))
    assert (got.chosen, line(got, 2).validation, verdict(line(got, 2), got)) == (1, None, "too few runs")


def test_a_finalist_alone_is_chosen():
    got = found(runs(1, [0.9, 0.92]))
    assert (got.chosen, got.winner.p_value, got.winner.tied) == (1, None, True)


def test_only_finalists_with_the_fewest_failures_may_lead_and_those_without_scores_come_last():
    got = found(
        runs(1, [None, None, 0.99, 0.98]), runs(2, [0.9, 0.91, None]), runs(3, [0.95, None, 0.97]), runs(4, [None]),
        runs(5, [0.2], searched=0.99),
    )  # fmt: skip
    assert leader(got).trial == 3
    assert [one.trial for one in got.finalists] == [3, 1, 2, 5, 4]
    assert (line(got, 4).validation, line(got, 5).validation) == (None, None)


def test_a_finalist_of_unknown_size_is_not_taken_for_a_cheaper_one():
    unknown, known = runs(1, [0.95, 0.97, 0.96], size=0), runs(2, [0.95, 0.96, 0.96], size=5000)
    got = confirmation_of([unknown, known], ACCURACY, Basis(margin=0.01))
    assert (leader(got).trial, got.chosen) == (1, 2)
    # Of the runs of one finalist, those that know their size count, then the trial itself.
    partly = replace(known, scored=[replace(known.scored[0], model_parameters=None), *known.scored[1:]])
    assert partly.model_parameters == 5000
    assert replace(known, scored=()).model_parameters == 5000
    assert replace(known, scored=()).seconds is None


def test_a_finalist_is_timed_by_the_mean_of_its_runs_and_its_failures_are_named():
    began = datetime(2026, 1, 1)
    scored = [
        replace(run, started=began, ended=began + timedelta(seconds=seconds))
        for run, seconds in zip(runs(1, [0.9, 0.91, 0.92]).scored, (2, 4, 9), strict=True)
    ]
    assert replace(runs(1, []), scored=scored).seconds == 5.0
    nameless = Runs(trial(1, 0.9), runs(1, [0.9, 0.91]).scored, [TrialRecord(1, "failed", {}, 8, 0)])
    assert line(found(nameless), 1).failures == {8: "error"}


def test_scores_are_tested_over_the_runs_that_have_them():
    first, second, third = runs(1, [0.9, 0.92, 0.94]).scored
    some = replace(second, test={"auc": 0.7, **second.test}), replace(third, test={"auc": 0.9, **third.test})
    got = found(Runs(trial(1, 0.9), [first, *some]))
    assert (got.test["auc"].mean, got.test["auc"].seeds) == (pytest.approx(0.8), 2)
    assert got.test["accuracy"].seeds == 3
    got = found(Runs(trial(1, 0.9), [first, second, replace(third, test={"auc": 0.9})]))
    assert got.test.keys() == {"accuracy"}


def test_the_noise_floor_is_pooled_by_degrees_of_freedom():
    # Variances 0.0004 of 2 degrees of freedom and 0.0001 of 1.
    got = found(runs(1, [0.90, 0.92, 0.94]), runs(2, [0.80, 0.80 + 0.01 * 2**0.5]), runs(3, [0.5]))
    assert got.noise_floor == pytest.approx(((2 * 0.0004 + 0.0001) / 3) ** 0.5)


def test_a_confirmation_comes_back_from_json():
    got = found(runs(1, [0.95, 0.97, None]), runs(2, [0.94, 0.97, 0.95]))
    assert Confirmation.model_validate_json(got.model_dump_json()) == got
