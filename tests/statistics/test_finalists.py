"""The statistics of a confirmation against figures worked out with scipy, and against what they must not claim."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from scipy import stats

from hpo.config.experiment import Objective
from hpo.statistics.decision import leader, markdown, overstated, sentences, verdict
from hpo.statistics.finalists import Runs, compared, confirmation_of, estimate, out, pooled_deviation
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


def test_an_estimate_is_that_of_a_textbook():
    # Mean 0.94, deviation 0.02; t of 4 degrees of freedom at 97.5% is 2.776: half the width is 2.776 * 0.02 / 5**0.5.
    value = estimate([0.92, 0.92, 0.94, 0.96, 0.96])
    assert (value.mean, value.deviation, value.seeds) == (pytest.approx(0.94), pytest.approx(0.02), 5)
    assert value.low == pytest.approx(0.94 - 2.776 * 0.02 / 5**0.5, abs=1e-5)
    assert value.high == pytest.approx(0.94 + 2.776 * 0.02 / 5**0.5, abs=1e-5)


def test_one_run_is_no_estimate_and_equal_runs_have_no_width():
    assert estimate([0.9]) is None
    value = estimate([0.1 + 0.2, 0.3, 0.3])
    assert (value.low, value.high) == (value.mean, value.mean)


def test_comparisons_are_paired_and_corrected():
    first, second = [0.90, 0.92, 0.91, 0.95, 0.89], [0.91, 0.90, 0.92, 0.93, 0.90]
    lead = [0.93, 0.94, 0.94, 0.97, 0.92]
    by_seed = [dict(enumerate(values)) for values in (lead, first, second)]
    raw = [stats.ttest_rel(lead, values).pvalue for values in (first, second)]
    got = compared(by_seed[0], {4: by_seed[1], 5: by_seed[2]})
    assert got == {4: pytest.approx(2 * min(raw)), 5: pytest.approx(max(raw))}
    # The deviation of the differences by hand: 0.03, 0.02, 0.03, 0.02, 0.03 have mean 0.026 and deviation 0.005477.
    statistic = 0.026 / (0.005477 / 5**0.5)
    assert raw[0] == pytest.approx(2 * stats.t.sf(statistic, 4), rel=1e-3)


def test_only_shared_seeds_are_compared_and_one_is_too_few():
    lead = {1: 0.9, 2: 0.92, 3: 0.97}
    assert compared(lead, {4: {3: 0.5, 9: 0.1}}) == {}
    got = compared(lead, {4: {1: 0.7, 2: 0.71, 9: 0.1}})
    assert got == {4: pytest.approx(stats.ttest_rel([0.9, 0.92], [0.7, 0.71]).pvalue)}


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [([0.0, 0.0], 1.0), ([0.01, 0.01], 0.5), ([0.01] * 5, 0.0625), ([0.01] * 6, 0.03125)],
)
def test_differences_without_deviation_count_by_their_sign_alone(differences, p_value):
    lead = {seed: 0.9 + 0.01 * seed for seed in range(len(differences))}
    other = {seed: lead[seed] - difference for seed, difference in enumerate(differences)}
    assert compared(lead, {4: other}) == {4: pytest.approx(p_value)}


def test_the_cheapest_of_those_that_cannot_be_told_apart_is_chosen():
    best = runs(1, [0.95, 0.97, 0.96, 0.94, 0.98], size=900)
    cheap = runs(2, [0.96, 0.95, 0.96, 0.96, 0.95], size=50, searched=0.99)
    cheaper_but_worse = runs(3, [0.90, 0.92, 0.91, 0.90, 0.93], size=10)
    got = found(best, cheap, cheaper_but_worse)
    assert [one.trial for one in got.finalists] == [1, 2, 3]
    assert [one.tied for one in got.finalists] == [True, True, False]
    assert (got.chosen, leader(got).trial) == (2, 1)
    assert [verdict(one, got) for one in got.finalists] == ["tied", "chosen", "worse"]
    assert got.test["accuracy"].mean == pytest.approx(0.956 - 0.02)
    assert overstated(got.winner, ACCURACY) == pytest.approx(0.99 - 0.956)
    told = "\n".join(sentences(got, ACCURACY))
    assert "Use trial 2: val_accuracy 0.9560" in told
    assert "Trial 1 has the best mean, 0.9600; trial 2 cannot be told apart from it" in told
    assert "50 model parameters against 900" in told
    assert "The search overstated it by 0.0340: its score there was 0.9900." in told
    assert "Worse than the best mean by more than chance (p < 0.05): trial 3." in told
    assert "| 2 | 0.9900 | 0.9560" in markdown(got, ACCURACY)


def test_of_models_of_one_size_the_quicker_is_chosen():
    def timed(finalist: Runs, seconds: float) -> Runs:
        began = datetime(2026, 1, 1)
        ended = began + timedelta(seconds=seconds)
        return replace(finalist, scored=[replace(run, started=began, ended=ended) for run in finalist.scored])

    slow, quick = runs(1, [0.95, 0.97, 0.96]), runs(2, [0.96, 0.95, 0.96])
    got = found(timed(slow, 30.0), timed(quick, 3.0))
    assert (got.chosen, got.winner.seconds) == (2, 3.0)
    assert "3.0 s of training against 30.0 s" in "\n".join(sentences(got, ACCURACY))


def test_of_losses_the_lowest_leads():
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
    assert got.chosen == 2
    assert line(got, 2).p_value == pytest.approx(stats.ttest_rel([0.97, 0.95], [0.90, 0.91]).pvalue)
    assert "2 seeds cannot show small differences" in "\n".join(sentences(got, ACCURACY))


def test_too_few_runs_are_no_confirmation():
    assert confirmation_of([runs(1, [0.9]), runs(2, [None, None, None])], ACCURACY) is None
    got = found(runs(1, [0.9, 0.91]), runs(2, [0.99]))
    assert (got.chosen, line(got, 2).validation, verdict(line(got, 2), got)) == (1, None, "too few runs")


def test_a_finalist_alone_is_chosen():
    got = found(runs(1, [0.9, 0.92]))
    assert (got.chosen, got.winner.p_value, got.winner.tied) == (1, None, True)


def test_a_clear_loser_is_out_after_three_seeds_and_others_are_not():
    best, close = runs(1, [0.95, 0.97, 0.96]), runs(2, [0.94, 0.97, 0.95])
    loser = [0.60, 0.61, 0.62]
    assert out([best, close, runs(3, loser)], ACCURACY) == {3}
    assert out([best, close, runs(3, loser[:2])], ACCURACY) == set()
    got = found(best, close, runs(3, loser, stopped_early=True))
    assert (line(got, 3).stopped_early, verdict(line(got, 3), got)) == (True, "out after 3 seeds")


def at(number: int, values: dict[int, float], **more) -> Runs:
    """A finalist's runs over seeds of any numbers."""
    return Runs(
        trial(number, 0.9), [replace(trial(number, value), seed=seed) for seed, value in values.items()], **more
    )


def test_of_losses_the_highest_is_out():
    best, close = at(1, {1: 0.10, 2: 0.12, 3: 0.11}), at(2, {1: 0.11, 2: 0.12, 3: 0.12})
    loser = at(3, {1: 0.60, 2: 0.61, 3: 0.62})
    assert out([best, close, loser], LOSS) == {3}
    assert out([loser, close, best], LOSS) == {3}


def test_only_seeds_that_the_leader_has_too_put_a_finalist_out():
    best = at(1, {1: 0.95, 2: 0.97, 3: 0.96})
    # Three seeds each, of which two are common: too few to end anything, however clear they are.
    assert out([best, at(2, {1: 0.550, 2: 0.571, 9: 0.56})], ACCURACY) == set()
    assert out([best, at(2, {1: 0.550, 2: 0.571, 3: 0.56})], ACCURACY) == {2}


def test_the_leader_has_the_best_mean_whatever_the_number_of_its_seeds():
    few, many = at(1, {1: 0.95, 2: 0.97, 3: 0.96}), at(2, {seed: 0.6 + 0.01 * (seed % 2) for seed in range(1, 8)})
    assert out([few, many], ACCURACY) == {2}
    assert out([replace(few, stopped_early=True), many], ACCURACY) == set()
    assert out([at(1, {1: 0.9}), at(2, {1: 0.9})], ACCURACY) == set()


def test_one_that_may_not_lead_since_it_failed_is_not_out_for_being_better():
    steady, unstable = at(2, {seed: 0.6 + 0.01 * (seed % 2) for seed in range(1, 5)}), {1: 0.95, 2: 0.97, 3: 0.96}
    failed = [TrialRecord(1, "failed", {}, 4, 0, failure=Failure("nonfinite"))]
    assert out([at(1, unstable, failed=failed), steady], ACCURACY) == set()
    worse = {seed: value - 0.9 for seed, value in unstable.items()}
    assert out([at(1, worse, failed=failed), steady], ACCURACY) == {1}


def test_a_finalist_is_out_below_one_in_a_hundred_and_worse_below_one_in_twenty():
    differences = [0.02, 0.03, 0.04]
    best = at(1, {seed: 0.9 + 0.001 * seed for seed in (1, 2, 3)})
    worse = at(2, {seed: best.values[seed] - difference for seed, difference in enumerate(differences, 1)})
    (p_value,) = compared(best.values, {2: worse.values}).values()
    assert 0.01 < p_value < 0.05
    assert out([best, worse], ACCURACY) == set()
    got = found(best, worse)
    assert (line(got, 2).tied, verdict(line(got, 2), got)) == (False, "worse")


def test_those_that_failed_least_often_may_lead_and_those_without_runs_come_last():
    got = found(
        runs(1, [None, None, 0.99, 0.98]), runs(2, [0.9, 0.91, None]), runs(3, [0.95, None, 0.97]), runs(4, [None]),
        runs(5, [0.2], searched=0.99),
    )  # fmt: skip
    assert leader(got).trial == 3
    assert [one.trial for one in got.finalists] == [1, 3, 2, 5, 4]
    assert (line(got, 4).validation, line(got, 5).validation) == (None, None)


def test_what_is_not_known_of_a_cost_is_no_saving():
    unknown, known = runs(1, [0.95, 0.97, 0.96], size=0), runs(2, [0.95, 0.96, 0.96], size=5000)
    got = found(unknown, known)
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
    pooled = pooled_deviation([[0.90, 0.92, 0.94], [0.80, 0.80 + 0.01 * 2**0.5], [0.5]])
    assert pooled == pytest.approx(((2 * 0.0004 + 0.0001) / 3) ** 0.5)


def test_a_confirmation_comes_back_from_json():
    got = found(runs(1, [0.95, 0.97, None]), runs(2, [0.94, 0.97, 0.95]))
    assert Confirmation.model_validate_json(got.model_dump_json()) == got
