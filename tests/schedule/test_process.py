"""The process predicts curves, and the gradient by which it is fitted is the derivative."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from hpo.schedule.process import CurveProcess, Rows, Shape, _Posterior

RNG = np.random.default_rng(0)
OWNERS = np.array([0, 1, 1, 1])


def rows(count: int, units: tuple[int, ...] = (1, 4, 9)) -> Rows:
    """Trials that are better the nearer their first coordinate is to 0.3, with curves that rise."""
    points = RNG.random((count, 4))
    trials = np.repeat(np.arange(count), len(units))
    after = np.tile(np.array(units, dtype=float), count)
    scores = -4 * np.abs(points[trials, 0] - 0.3) + 0.5 * np.log(after)
    return Rows(points, trials, after, (scores - scores.mean()) / scores.std())


def test_the_gradient_of_the_posterior_is_the_numeric_one() -> None:
    shape = Shape(OWNERS, 9)
    posterior = _Posterior(shape, rows(6))
    for at in (shape.prior, shape.prior + 0.3):
        numeric = approx_fprime(at, lambda logs: posterior(logs)[0], 1e-6)
        assert posterior(at)[1] == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_the_model_of_curves_learns_which_configurations_end_well() -> None:
    process, data = CurveProcess(Shape(OWNERS, 9)), rows(30)
    process.fit(data)
    process.condition(data)
    new = RNG.random((50, 4))
    mean, deviation = process.predict(new, 9)
    assert np.corrcoef(mean, -np.abs(new[:, 0] - 0.3))[0, 1] > 0.95
    assert (deviation > 0).all()


def test_more_training_makes_a_trial_surer() -> None:
    process, data = CurveProcess(Shape(OWNERS, 9)), rows(10, (1,))
    process.condition(data)
    _, unsure = process.predict(data.points[:1], 9, np.array([0]))
    more = Rows(
        data.points, np.insert(data.trials, 1, 0), np.insert(data.units, 1, 8.0), np.insert(data.scores, 1, 0.5)
    )
    process.condition(more)
    mean, sure = process.predict(data.points[:1], 9, np.array([0]))
    assert sure < 0.5 * unsure
    assert mean == pytest.approx(0.5, abs=0.2)
