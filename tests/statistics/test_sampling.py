"""What the sampling of examples adds to intervals: against the spread over drawn examples, and in words."""

import math

import numpy as np
import pytest

from hpo.statistics import decision, sampling
from hpo.statistics.sampling import clause, half_width
from hpo.study.confirmation import Confirmation, Estimate, Finalist

COUNT = 400


def confirmation(metric: str = "val_accuracy", mean: float = 0.9, *, splits: bool = False) -> Confirmation:
    estimate = Estimate(mean=mean, deviation=0.01, low=mean - 0.02, high=mean + 0.01, seeds=6)
    finalist = Finalist(
        trial=3, searched=mean, values={1: mean}, validation=estimate, p_value=None, tied=True,
        model_parameters=10, seconds=1.0,
    )  # fmt: skip
    return Confirmation(
        metric=metric, finalists=(finalist,), chosen=3, noise_floor=0.01, expected=estimate, splits=splits,
        examples={"validation": COUNT, "test": 1_000}, test={"accuracy": estimate, "hinge": estimate},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "drawn", "score"),
    [
        ("val_accuracy", lambda rng, shape: rng.random(shape) < 0.9, np.mean),
        ("mse", lambda rng, shape: rng.normal(0, 3, shape) ** 2, np.mean),
        ("MeanAbsoluteError", lambda rng, shape: abs(rng.normal(0, 3, shape)), np.mean),
        ("rmse", lambda rng, shape: rng.normal(0, 3, shape) ** 2, lambda x, axis: np.sqrt(np.mean(x, axis))),
        ("val_loss", lambda rng, shape: rng.exponential(0.3, shape), np.mean),
    ],
)
def test_it_is_the_spread_of_the_score_over_drawn_examples(metric, drawn, score) -> None:
    scores = score(drawn(np.random.default_rng(0), (4_000, COUNT)), axis=1)
    width, exact = half_width(metric, float(np.mean(scores)), COUNT)
    assert width == pytest.approx(1.96 * np.std(scores), rel=0.06)
    assert exact is (metric == "val_accuracy")


def test_a_perfect_accuracy_is_not_sure_and_some_metrics_are_not_known() -> None:
    assert 0.003 < half_width("accuracy", 1.0, COUNT)[0] < 0.01
    assert half_width("val_f1_score", 0.9, COUNT) == (pytest.approx(0.0297, abs=1e-3), False)
    assert half_width("hinge", 0.9, COUNT) is None
    assert half_width("r2", -0.3, COUNT) is None


def test_the_clause_says_what_the_interval_leaves_out() -> None:
    assert clause(confirmation()) == "for this split: sampling 400 validation examples adds 0.0295 either way"
    assert "adds about 0.0294 either way" in clause(confirmation("val_loss", 0.3))
    assert "is not known, --splits covers it" in clause(confirmation("val_hinge"))
    assert clause(confirmation(splits=True)) is None
    assert clause(confirmation().model_copy(update={"examples": {}})) is None


def test_test_scores_have_both_added_as_squares() -> None:
    (both, sampled), (alone, not_sampled) = sampling.tested(confirmation()).values()
    assert (sampled, not_sampled) == (True, False)
    width = half_width("accuracy", 0.9, 1_000)[0]
    assert (both.low, both.high) == (
        pytest.approx(0.9 - math.hypot(0.02, width)), pytest.approx(0.9 + math.hypot(0.01, width)),
    )  # fmt: skip
    assert (alone.low, alone.high) == (pytest.approx(0.88), pytest.approx(0.91))
    told = decision.tests(confirmation())
    assert told.endswith("; seeds and the sampling of 1,000 examples together, but for hinge the seeds alone.")
