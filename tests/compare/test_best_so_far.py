"""Averages of the best score so far, by hand, and how often equal studies are called different, by simulation."""

import numpy as np
import pytest

from hpo.compare.best_so_far import SURE, Ended, ahead, averages
from hpo.statistics.between_studies import compared_studies
from hpo.study.confirmation import Confirmation, Estimate, Finalist

NONE = -np.inf


def by_trials(*merits: float) -> Ended:
    return Ended(np.array(merits), np.arange(1.0, len(merits) + 1))


def test_no_study_is_given_a_score_that_it_did_not_have():
    assert averages({"a": by_trials(0.7), "b": by_trials(0.2, 0.9, 0.9)}, whole=True) == {"a": 0.7, "b": 0.2}
    late = {"late": by_trials(NONE, NONE, 0.5, 0.6), "early": by_trials(0.1, 0.3), "none": by_trials(NONE)}
    # From the third trial on both have a score; the shorter one has ended by then and stays where it is.
    assert averages(late, whole=True) == {"late": 0.5, "early": 0.3}
    slow = Ended(np.array([0.5, 0.8]), np.array([8.0, 10.0]))
    quick = Ended(np.array([0.2, 0.6, 0.9]), np.array([2.0, 9.0, 20.0]))
    found = averages({"slow": slow, "quick": quick})
    assert found == {"slow": pytest.approx(0.5), "quick": pytest.approx((0.2 + 0.6) / 2)}
    assert averages({"none": by_trials(NONE), "empty": by_trials()}) == {}


def test_a_better_study_is_ahead_in_all_orders_and_equal_ones_in_half():
    random = np.random.default_rng(0)
    low = by_trials(*random.normal(size=20))
    high = by_trials(*random.normal(5.0, size=30))
    assert ahead({"low": low, "high": high}) == {"low": 0.0, "high": 1.0}
    same = ahead({"one": low, "other": low})
    assert same["one"] == pytest.approx(0.5, abs=0.06)
    assert sum(same.values()) == pytest.approx(1)
    assert ahead({"one": by_trials(0.5), "other": by_trials(0.5)}) == {"one": 0.5, "other": 0.5}
    assert ahead({"alone": low, "none": by_trials(NONE)}) == {}
    # The same trials in half the time are ahead by time.
    quick = Ended(low.merits, low.moments / 4)
    assert ahead({"quick": quick, "slow": Ended(low.merits, low.moments * 1.0 + 0.5)})["quick"] > 0.8


@pytest.mark.parametrize(("one", "other", "failing"), [(30, 30, 0.0), (30, 90, 0.2), (12, 12, 0.0)])
def test_one_of_two_equal_studies_is_called_better_in_at_most_5_percent(one, other, failing):
    random, studies, called = np.random.default_rng(one + other), 250, 0
    for _ in range(studies):
        drawn = [np.where(random.random(size) < failing, NONE, random.normal(size=size)) for size in (one, other)]
        shares = ahead({str(place): by_trials(*merits) for place, merits in enumerate(drawn)})
        called += max(shares.values()) >= SURE
    # 2.6 binomial standard errors above 5%: what a true rate of 5% exceeds in one of 200 such tests.
    assert called / studies <= 0.05 + 2.6 * (0.05 * 0.95 / studies) ** 0.5


def confirmation(values: np.ndarray, sign: int = 1) -> Confirmation:
    """Finalists x seeds; the one with the best mean is chosen."""
    means = values.mean(axis=1)
    chosen = int((sign * means).argmax())
    finalists = tuple(
        Finalist(
            trial=number, searched=0.0, values=dict(enumerate(map(float, row))), validation=None, p_value=None,
            tied=True, model_parameters=None, seconds=None,
        )
        for number, row in enumerate(values)
    )  # fmt: skip
    expected = Estimate(mean=float(means[chosen]), deviation=1.0, low=0.0, high=0.0, seeds=values.shape[1])
    return Confirmation(metric="m", finalists=finalists, chosen=chosen, noise_floor=1.0, expected=expected, test={})


@pytest.mark.parametrize(("finalists", "sign", "studies"), [((2, 2), 1, 400), ((9, 1), -1, 400), ((2, 2, 1), 1, 100)])
def test_confirmed_means_of_equal_studies_differ_in_at_most_5_percent(finalists, sign, studies):
    random, called = np.random.default_rng(len(finalists)), 0
    for _ in range(studies):
        runs = [random.normal(scale=1.5 - place / 2, size=(count, 5)) for place, count in enumerate(finalists)]
        found = compared_studies({str(place): confirmation(one, sign) for place, one in enumerate(runs)}, sign)
        called += any(one.verdict == "worse" for one in found.values())
    assert called / studies <= 0.05 + 2.6 * (0.05 * 0.95 / studies) ** 0.5


def test_a_gap_of_several_deviations_is_found_and_an_unconfirmed_study_left_out():
    random = np.random.default_rng(0)
    good, bad = (confirmation(random.normal(level, size=(2, 5))) for level in (4.0, 0.0))
    found = compared_studies({"good": good, "bad": bad}, 1)
    assert (found["good"].verdict, found["bad"].verdict) == ("best", "worse")
    assert compared_studies({"good": good, "bad": bad}, -1)["good"].verdict == "worse"
    assert compared_studies({"good": good}, 1) == {}
