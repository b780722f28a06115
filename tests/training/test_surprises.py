"""What the fast path cannot prove equal trains itself, and says so; nothing in its preparation fails a trial."""

import keras
import numpy as np
import pytest
from toys import FLAT, HEAD, dataset, layer, model_of

from hpo.training.graph import GraphLoop
from hpo.training.messages import Finished
from hpo.training.needs_fit import needs_fit

ITSELF = "a graph is traced for each trial: "
BY_FIT = "training goes through Keras's fit, the slower way: "


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("unbuilt", None),
        ("own layer", ITSELF + "a layer is not Keras's own (Scale)"),
        ("around", BY_FIT + "the optimizer is Around"),
        ("several", ITSELF + "the optimizer is MultiOptimizer"),
        ("scaled", ITSELF + "the optimizer is LossScaleOptimizer"),
        ("patched", BY_FIT + "the model has a train_step of its own"),
    ],
)
def test_models_of_all_kinds_train_and_their_runs_say_how(run_job, kind, note):
    line = run_job("own_code:surprising", params={"kind": kind}, training={"learning_rate": None})
    assert isinstance(line.last, Finished), line.last
    assert line.events[0].note == note
    assert line.curves["loss"][1] < line.curves["loss"][0]


@pytest.mark.parametrize("part", ["hpo.training.template._clone", "hpo.training.graph.GraphLoop.rehearse"])
def test_a_template_that_cannot_be_made_leaves_the_model_to_itself(run_job, monkeypatch, part):
    def broken(*_):
        raise RuntimeError("not this one")

    monkeypatch.setattr(part, broken)
    # A search space of its own, for which no template was made before.
    line = run_job(params={"depth": 1, "width": 8, "activation": "softsign"})
    assert isinstance(line.last, Finished), line.last
    assert line.events[0].note == ITSELF + "no copy of the model could be made (RuntimeError)"


def test_a_model_that_cannot_be_traced_in_a_loop_goes_through_fit(run_job, monkeypatch):
    def broken(*_):
        raise RuntimeError("not this one")

    monkeypatch.setattr(GraphLoop, "trace", broken)
    line = run_job("own_code:surprising", params={"kind": "own layer"})
    assert isinstance(line.last, Finished), line.last
    assert line.events[0].note == BY_FIT + "it cannot be traced in a loop (RuntimeError)"


def test_an_error_of_the_users_own_is_the_trials(run_job):
    failed = run_job("own_code:fails_in_training").last
    assert failed.reason == "error"
    assert "LookupError: no such shelf" in failed.message
    assert 'own_code.py", line' in failed.traceback


def test_overridden_methods_that_model_fit_calls_are_called():
    class Fits(keras.Sequential):
        def fit(self, *args, **options):
            return super().fit(*args, **options)

    assert needs_fit(Fits()) == "the model has a fit of its own"
    model = model_of(FLAT, HEAD)
    model.test_step = lambda data: keras.Model.test_step(model, data)
    assert needs_fit(model) == "the model has a test_step of its own"


def test_an_optimizer_that_starts_otherwise_where_it_is_built_before_goes_through_fit():
    inner = keras.optimizers.ScheduleFreeAdamW()
    assert needs_fit(model_of(FLAT, HEAD, optimizer=inner)) == "the optimizer is ScheduleFreeAdamW"
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.ScheduleFreeAdamW())
    assert needs_fit(model_of(FLAT, HEAD, optimizer=scaled)) == "the optimizer is ScheduleFreeAdamW"


def test_layers_that_keep_a_state_between_batches_go_through_fit():
    model = keras.Sequential([keras.Input((3, 2), batch_size=4), keras.layers.GRU(2, stateful=True)])
    assert needs_fit(model) == "a layer is stateful"


def test_preparing_changes_no_state():
    model = model_of(FLAT, layer("Dense", 4), layer("BatchNormalization"), layer("Dropout", 0.5), HEAD)
    before = [variable.numpy() for variable in model.variables]
    GraphLoop(model, dataset()).trace()
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_averaged_weights_are_tested_and_the_callback_that_shows_them_is_heard(run_job):
    training = {"epochs": 2, "early_stopping": False}
    plain = run_job("own_code:surprising", params={"kind": "averaging"}, training=training)
    assert plain.events[0].note == ITSELF + "the optimizer averages the weights"
    swapped = run_job(
        "own_code:surprising", params={"kind": "averaging"}, training={**training, "callbacks": ["own_code:swaps"]}
    )
    assert swapped.curves["loss"] == pytest.approx(plain.curves["loss"], rel=1e-4)
    assert swapped.curves["val_loss"] != pytest.approx(plain.curves["val_loss"], rel=1e-3)
    if (plain.last.best_epoch, swapped.last.best_epoch) == (2, 2):
        assert swapped.last.test == pytest.approx(plain.last.test, rel=1e-3)
