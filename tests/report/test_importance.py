"""Which parameters matter: noise names none, a strong signal is named, and only comparable scores count."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from studies import run

from hpo.report import importance
from hpo.report.importance import Importances, comparable_scores, importances
from hpo.report.thinning import Source, read_source
from hpo.storage.read_trials import Sampled
from hpo.study.read import StudyView
from hpo.study.record import TrialRecord

SPACE: dict[str, FloatDistribution | CategoricalDistribution] = {
    "rate": FloatDistribution(1e-4, 1e-1, log=True),
    "drop": FloatDistribution(0.0, 0.5),
    "momentum": FloatDistribution(0.0, 0.9),
    "kind": CategoricalDistribution(["a", "b", None]),
    "fixed": CategoricalDistribution(["[8, 4]"]),
}


def source_of(size: int, signal: float, seed: int = 0, direction: str = "maximize") -> Source:
    """A random search; `signal` is the part of `rate` in the score, in deviations of the noise."""
    random, trials, sampled = np.random.default_rng(seed), [], {}
    for number in range(size):
        rate = random.uniform(-4, -1)
        params: dict[str, Any] = {
            "rate": 10**rate,
            "drop": random.uniform(0, 0.5),
            "kind": ["a", "a", "b", None][random.integers(4)],
            "fixed": "[8, 4]",
        }
        if params["kind"] == "a":
            params["momentum"] = random.uniform(0, 0.9)
        value = signal * 12**0.5 * (rate + 2.5) / 3 + random.normal()
        trials.append(
            TrialRecord(number, "complete", params, 0, number, value=value, curves={"val_x": [value - 1, value]})
        )
        sampled[number] = Sampled(params, {name: SPACE[name] for name in params})
    identity = {"objective": {"metric": "val_x", "direction": direction}}
    view = StudyView("s", identity, {}, {}, {}, trials, "sqlite://")
    ordered = sorted(trials, key=lambda trial: -view.objective.merit(trial.value))
    return Source(view, ordered, ordered, sampled)


@pytest.mark.parametrize("size", [30, 60])
def test_noise_names_a_parameter_in_at_most_5_percent(size, monkeypatch):
    monkeypatch.setattr(importance, "_PERMUTATIONS", 400)
    studies, named = 200, 0
    for seed in range(studies):
        source = source_of(size, 0.0, seed)
        scores = comparable_scores(source).values
        groups = importance._groups(source, list(scores), scores)
        named += min(importance._p_values(groups, size).values()) < 0.05
    # 2.6 binomial standard errors above 5%.
    assert named / studies <= 0.05 + 2.6 * (0.05 * 0.95 / studies) ** 0.5


def test_a_strong_signal_is_named_and_conditional_and_constant_parameters_are_handled(monkeypatch):
    monkeypatch.setattr(importance, "_RESAMPLES", 20)
    found = importances(source_of(100, 3.0))
    assert found.important == ["rate"]
    assert found.basis == "From the scores of the 100 complete trials."
    first = found.found[0]
    assert 0 < first.low <= first.share <= first.high
    # A constant has no importance; a conditional parameter has one where at least 30 trials have it.
    assert {one.name for one in found.found} == {"rate", "drop", "kind", "momentum"}
    assert found == importances(source_of(100, 3.0))


def test_nothing_is_ranked_from_fewer_than_30_scores_or_from_equal_ones():
    assert importances(source_of(29, 9.0)) == Importances(
        (), "Which parameters matter is shown from 30 comparable scores on: 29 trials are complete."
    )
    source = source_of(40, 1.0)
    equal = [replace(trial, value=0.5) for trial in source.drawn]
    found = importances(replace(source, drawn=equal))
    assert (found.found, "All comparable scores are the same" in found.basis) == ((), True)


@pytest.mark.parametrize(("direction", "best"), [("maximize", 0.7), ("minimize", 0.2)])
def test_scores_cut_short_are_compared_with_scores_after_equally_long(direction, best):
    source = source_of(40, 1.0, direction=direction)
    curve = [0.5, 0.7, 0.2, 0.9, 0.1]
    trials = [
        replace(
            trial, state="complete" if number < 10 else "pruned", curves={"val_x": curve[: 5 if number < 10 else 3]}
        )
        for number, trial in enumerate(source.drawn)
    ]
    trials[-1] = replace(trials[-1], curves={"val_x": curve[:1]})
    found = comparable_scores(replace(source, drawn=trials))
    assert found.what == (
        "the best val_x within the first 3 epochs of the 39 trials that trained so long or finished earlier; only 10 "
        "trials are complete"
    )
    assert set(found.values.values()) == {best}
    # With 30 complete ones their final scores count, and pruned trials do not.
    many = [replace(trial, state="complete" if number < 30 else "pruned") for number, trial in enumerate(source.drawn)]
    assert len(comparable_scores(replace(source, drawn=many)).values) == 30


def test_a_real_study_is_read(tmp_path):
    url = f"sqlite:///{tmp_path}/optuna.db"
    run(url, lambda job: [job.params["depth"] + 0.001 * job.trial], trials=40)
    scores = comparable_scores(read_source(url, "s"))
    assert len(scores.values) == 40
