"""Jobs of several seeds as one program: each gets the figures that it gets alone."""

from dataclasses import replace

import pytest

from hpo.training import step_memory, together
from hpo.training.messages import EpochDone, Failed, Finished, Seed, Several, Started
from hpo.training.shared_line import SharedLine
from hpo.training.trial import train

SEEDS = {11: 3, 12: 4, 13: 5}
STOPPING = {"epochs": 7, "early_stopping": {"patience": 1}, "batch_size": 32}


@pytest.fixture
def always(monkeypatch):
    """One program, even where it is not faster."""
    monkeypatch.setattr(together, "_WORTHWHILE", float("inf"))


def of_trial(events, trial):
    return [one for one in events if one.trial == trial]


class Answers:
    """A line whose answers are all to go on, or to stop once a trial has sent an epoch."""

    def __init__(self, stop_after=None):
        self.events, self._stop_after, self.reason = [], stop_after, None

    def emit(self, event):
        self.events.append(event)

    def stop_reason(self):
        return self.reason

    def verdict(self):
        several = [one for event in self.events for one in getattr(event, "events", [event])]
        epochs = [one.epoch for one in several if isinstance(one, EpochDone)]
        return "deadline" if epochs[-1] == self._stop_after else None


def both(job_of, **given):
    """The events of jobs that train together, and of the same jobs one by one."""
    jobs = [replace(job_of(seed=seed, **given), trial=trial) for trial, seed in SEEDS.items()]
    line = Answers()
    train(group_of(job_of, **given), line)
    assert all(isinstance(event, Several) for event in line.events[:-1])
    # The worker is free.
    assert line.events[-1] == Finished(11, "epochs", None)
    alone = Answers()
    for job in jobs:
        train(job, alone)
    return [one for event in line.events[:-1] for one in event.events], alone.events


def group_of(job_of, **given):
    """The jobs of all seeds, as a worker is given them together."""
    first, *others = (replace(job_of(seed=seed, **given), trial=trial) for trial, seed in SEEDS.items())
    return replace(first, beside=tuple(Seed(one.trial, one.seed) for one in others))


def compare(found, expected):
    assert not [one.traceback for one in found if isinstance(one, Failed)]
    for trial in SEEDS:
        mine, own = of_trial(found, trial), of_trial(expected, trial)
        assert [type(event) for event in mine] == [type(event) for event in own]
        for one, other in zip(mine, own, strict=True):
            if isinstance(one, Started):
                assert (one.model_parameters, one.resolved) == (other.model_parameters, other.resolved)
            elif isinstance(one, EpochDone):
                assert (one.epoch, one.last, one.ended_by) == (other.epoch, other.last, other.ended_by)
                assert [*one.metrics] == [*other.metrics]
                pairs = {name: value for name, value in one.metrics.items() if name != "seconds"}
                assert pairs == pytest.approx({name: other.metrics[name] for name in pairs}, rel=2e-4, abs=1e-6)
            else:
                assert (one.ended_by, one.best_epoch) == (other.ended_by, other.best_epoch)
                assert dict(one.test) == pytest.approx(dict(other.test), rel=2e-4, abs=1e-6)
    return {trial: len(of_trial(found, trial)) - 2 for trial in SEEDS}


@pytest.mark.parametrize(
    ("model", "params", "training", "more"),
    [
        pytest.param(
            "mlp",
            {"depth": 2, "width": 24, "width_2": 9, "dropout": 0.3, "normalization": "batch", "activation": "tanh"},
            {**STOPPING, "optimizer": "adam", "metrics": ["macro_f1"]},
            {},
            id="mlp with dropout and batch normalization",
        ),
        pytest.param(
            "cnn",
            {"blocks": 2, "filters": 4, "batch_normalization": True, "dense": 8, "l2": 0.001, "dropout": 0.2},
            {**STOPPING, "epochs": 2, "optimizer": "sgd", "momentum": 0.9, "schedule": "cosine"},
            {},
            id="cnn with a penalty, momentum and a schedule",
        ),
        pytest.param(
            "mlp",
            {"depth": 1, "width": 8, "normalization": "layer", "activation": "leaky_relu", "l1": 0.001},
            {**STOPPING, "epochs": 3, "optimizer": "adamw", "weight_decay": 0.01, "metrics": ["r2"]},
            {"data": {"name": "diabetes"}, "objective": {"metric": "val_loss", "direction": "minimize"}},
            id="regression",
        ),
    ],
)
def test_figures_are_those_of_one_by_one(job_of, prepared, always, model, params, training, more):
    if "data" in more:
        more = {**more, "data": prepared(**more["data"])}
    found, expected = both(job_of, model=model, params=params, training=training, **more)
    assert "train as one program" in found[0].note
    lengths = compare(found, expected)
    if training["epochs"] == STOPPING["epochs"]:
        assert len({*lengths.values()}) > 1, lengths


def test_a_stop_is_one_for_all_and_tests_the_best_weights(job_of, always):
    line = Answers(stop_after=2)
    train(group_of(job_of, training={"epochs": 9}), line)
    events = [one for event in line.events[:-1] for one in event.events]
    for trial in SEEDS:
        *epochs, end = of_trial(events, trial)[1:]
        assert (len(epochs), end.ended_by) == (2, "deadline")
        best = max(epochs, key=lambda one: one.metrics["val_accuracy"])
        assert end.best_epoch == best.epoch
        assert set(end.test) == {"loss", "accuracy"}


def test_a_stop_while_the_epoch_is_reported_leaves_the_ends_of_those_before_it(job_of, always, monkeypatch):
    line, report = Answers(), together._Group._end_epoch

    def reported(group, member, epoch, logs, *given):
        if member.job.trial == 12:
            logs, line.reason = logs | {"loss": float("nan")}, None
        goes_on = report(group, member, epoch, logs, *given)
        line.reason = "deadline" if member.job.trial == 12 else None
        return goes_on

    monkeypatch.setattr(together._Group, "_end_epoch", reported)
    train(group_of(job_of, training={"epochs": 1}), line)
    events = [one for event in line.events[:-1] for one in event.events]
    first, second, third = (of_trial(events, trial)[1:] for trial in SEEDS)
    assert [type(one) for one in first] == [EpochDone, Finished]
    assert (first[-1].ended_by, first[-1].best_epoch) == ("epochs", 1)
    assert [one.reason for one in second] == ["nonfinite"]
    assert [(one.ended_by, one.best_epoch) for one in third] == [("deadline", None)]


def test_those_that_would_take_too_much_memory_together_train_one_by_one(job_of, monkeypatch):
    monkeypatch.setattr(step_memory, "_MOST", 2**20)
    params = {"blocks": 2, "filters": 16, "batch_normalization": True, "dense": 8}
    group = group_of(job_of, model="cnn", params=params, training={"batch_size": 32})
    jobs = [replace(group, trial=trial, seed=seed, beside=()) for trial, seed in SEEDS.items()]
    line = Answers()
    why = together.train_as_one(jobs, SharedLine(11, line))
    assert why is not None
    assert why.startswith("its seeds train one by one: a step of all would need ")
    assert not line.events


def test_what_no_program_can_compute_trains_one_by_one_and_says_why(job_of):
    training = {"epochs": 1, "reduce_on_plateau": True}
    found, expected = both(job_of, training=training)
    for trial in SEEDS:
        assert of_trial(found, trial)[0].note == (
            "its seeds train one by one: the learning rate depends on how training goes"
        )
    compare(found, expected)


def test_those_whose_turn_never_came_are_given_back(job_of):
    line = Answers()
    line.reason = "deadline"
    train(group_of(job_of, training={"reduce_on_plateau": True}), line)
    ends = [one for event in line.events[:-1] for one in event.events]
    assert [(one.trial, one.reason) for one in ends] == [(trial, "interrupted") for trial in SEEDS]
