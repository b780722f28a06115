"""What the sampling of examples adds to intervals: against the spread over drawn examples, and in words."""

import math

import numpy as np
import pytest

from hpo.statistics import decision, sampling
from hpo.statistics.sampling import bounded, clause, sampled
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
def test_the_sampling_interval_is_the_spread_of_scores_over_drawn_examples(metric, drawn, score) -> None:
    scores = score(drawn(np.random.default_rng(0), (4_000, COUNT)), axis=1)
    found = sampled(metric, float(np.mean(scores)), COUNT)
    assert (found.below + found.above) / 2 == pytest.approx(1.96 * np.std(scores), rel=0.06)
    assert found.exact is (metric == "val_accuracy")


def test_an_accuracy_near_1_has_wilsons_longer_side_below() -> None:
    # Wilson's intervals for all of 30 and for 360 of 400 examples.
    perfect, usual = sampled("accuracy", 1.0, 30), sampled("accuracy", 0.9, COUNT)
    assert (perfect.below, perfect.above) == (pytest.approx(0.1135, abs=1e-4), 0.0)
    assert (usual.below, usual.above) == (pytest.approx(0.0333, abs=1e-4), pytest.approx(0.0257, abs=1e-4))
    assert not sampled("val_f1_score", 0.9, COUNT).exact
    assert sampled("hinge", 0.9, COUNT) is None
    assert sampled("r2", -0.3, COUNT) is None


def test_no_interval_leaves_the_range_of_its_metric() -> None:
    wide = Estimate(mean=0.99, deviation=0.01, low=-0.1, high=1.1, seeds=3)
    ends = {name: bounded(name, wide) for name in ("val_accuracy", "rmse", "val_loss")}
    assert {name: (one.low, one.high) for name, one in ends.items()} == {
        "val_accuracy": (0.0, 1.0), "rmse": (0.0, 1.1), "val_loss": (-0.1, 1.1),
    }  # fmt: skip
    few = confirmation(mean=0.99).model_copy(update={"examples": {"test": 30}})
    assert sampling.tested(few)["accuracy"][0].high == 1.0


def test_the_clause_says_what_the_interval_leaves_out() -> None:
    assert clause(confirmation()) == (
        "for this split: sampling 400 validation examples adds 0.0333 downwards and 0.0257 upwards"
    )
    assert "adds about 0.0294 either way" in clause(confirmation("val_loss", 0.3))
    assert "is not known, --splits covers it" in clause(confirmation("val_hinge"))
    assert clause(confirmation(splits=True)) is None
    assert clause(confirmation().model_copy(update={"examples": {}})) is None


def test_test_scores_have_both_added_as_squares() -> None:
    (both, is_sampled), (alone, not_sampled) = sampling.tested(confirmation()).values()
    assert (is_sampled, not_sampled) == (True, False)
    found = sampled("accuracy", 0.9, 1_000)
    assert (both.low, both.high) == (
        pytest.approx(0.9 - math.hypot(0.02, found.below)), pytest.approx(0.9 + math.hypot(0.01, found.above)),
    )  # fmt: skip
    assert (alone.low, alone.high) == (pytest.approx(0.88), pytest.approx(0.91))
    told = decision.tests(confirmation())
    assert told.endswith("; seeds and the sampling of 1,000 examples together, but for hinge the seeds alone.")
