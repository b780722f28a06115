"""When estimates and trials say that more of a study is not worth while."""

import numpy as np
import pytest

from hpo.schedule.estimates import Estimates, Expected

LITTLE = Estimates(known={count: Expected(gain=0.001, floor=0.01) for count in range(25, 30)})
NONE = np.full(30, -np.inf)


@pytest.mark.parametrize(
    ("merits", "over"),
    [
        (np.r_[0.5, 0.9, np.full(25, 0.8)], True),
        (np.r_[0.5, 0.9, np.full(25, 0.905)], True),
        (np.r_[0.5, 0.9, np.full(24, 0.8), 0.95], False),
        (np.r_[0.9, np.full(24, 0.8)], False),
        (NONE, False),
        (np.r_[NONE, 0.5], False),
        (np.r_[np.nan, 0.5, np.full(25, np.nan)], True),
    ],
)
def test_the_newest_trials_must_bring_little(merits, over):
    assert LITTLE.is_over(3, merits) is bool(over)


def test_the_model_must_expect_little():
    merits = np.r_[0.9, np.full(25, 0.8)]
    assert Estimates(0.002, LITTLE.known).is_over(3, merits)
    assert not Estimates(0.0005, LITTLE.known).is_over(3, merits)
    assert not LITTLE.is_over(6, merits)
    assert not Estimates(None, {**LITTLE.known, 30: None}).is_over(3, merits)
