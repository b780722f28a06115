"""Alarms at the edges of ranges."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.report.range_edges import _alarm, alarms
from hpo.report.thinning import read_source

LOG = FloatDistribution(1e-4, 1e-1, log=True)


@pytest.mark.parametrize(
    ("distribution", "values", "edge", "advice"),
    [
        (LOG, [0.09, 0.095, 0.1, 0.08, 0.001], "high", "set high: 1 instead of 0.1"),
        (LOG, [0.0001, 0.00011, 0.0001, 0.0001, 0.1], "low", "set low: 1.0e-5 instead of 0.0001"),
        (IntDistribution(1, 4), [4] * 5, "high", "set high: 6 instead of 4"),
        (IntDistribution(1, 8), [1] * 5, "low", "1 is probably as far as p can go: consider fixing it there, p: 1"),
        (IntDistribution(32, 512, log=True), [512, 505, 511, 509, 33], "high", "set high: 1024 instead of 512"),
        (FloatDistribution(0.0, 0.5), [0.0, 0.01, 0.0, 0.02, 0.4], "low", "0 is probably as far as p can go"),
        (FloatDistribution(0.0, 0.5), [0.5, 0.49, 0.5, 0.5, 0.4], "high", "set high: 0.75 instead of 0.5"),
        (FloatDistribution(0.0, 0.99), [0.99, 0.98, 0.97, 0.5, 0.4], "high", "set high: 0.995 instead of 0.99"),
        (FloatDistribution(-2.0, 2.0), [-2.0, -1.9, -2.0, 0.0, 1.0], "low", "set low: -4 instead of -2"),
        (FloatDistribution(0.0, 1.0, step=0.25), [1.0] * 5, "high", "1 is probably as far as p can go"),
        (CategoricalDistribution([32, 64, 128, 256]), [32] * 5, "low", "add choices below 32"),
    ],
)
def test_best_trials_at_an_edge_raise_an_alarm_with_what_to_write(distribution, values, edge, advice):
    alarm = _alarm("p", distribution, values)
    assert alarm is not None
    assert (alarm.edge, alarm.among) == (edge, 5)
    assert alarm.advice.startswith(advice)


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (LOG, [0.09, 0.01, 0.001, 0.002, 0.003]),
        (IntDistribution(1, 2), [2, 2, 2, 2, 1]),  # a coin would do that
        (IntDistribution(3, 3), [3] * 5),
        (CategoricalDistribution(["relu", "tanh"]), ["relu"] * 5),
        (CategoricalDistribution([False, True]), [True] * 10),
        (LOG, [0.1] * 4),  # too few
    ],
)
def test_no_alarm_by_chance_or_where_there_is_no_order(distribution, values):
    assert _alarm("p", distribution, values) is None


def test_the_alarm_of_a_study_looks_at_its_best_trials(store):
    assert [alarm.parameter for alarm in alarms(read_source(store, "many"))] == []
    assert alarms(read_source(store, "none")) == []
