"""Code written for KerasTuner, with its import changed."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_tuner.errors import FatalRuntimeError, FatalValueError
from keras_tuner.oracles import GridSearchOracle, HyperbandOracle

from hpo.config.space import SearchSpace
from hpo.errors import StudyFailed, UserError
from hpo.keras_tuner import (
    BayesianOptimization,
    GridSearch,
    Hyperband,
    HyperModel,
    HyperParameters,
    Objective,
    RandomSearch,
    Tuner,
)
from hpo.models.discovery import discovered
from hpo.python.given_data import batch_size_of
from hpo.python.of_keras_tuner import parts_of_fit
from hpo.python.source import code_of
from hpo.python.tuned_model import Compiled, Rules, also_as_val, as_val

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype("float32")
Y = (X[:, 0] > 0).astype(int)


def build(hp):
    model = keras.Sequential([keras.Input((4,))])
    for layer in range(hp.Int("layers", 1, 2)):
        model.add(keras.layers.Dense(hp.Int(f"units_{layer}", 4, 12, step=4), activation="relu"))
    model.add(keras.layers.Dense(2, activation="softmax"))
    rate = hp.Float("lr", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class ByHand(HyperModel):
    def build(self, hp):
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 8)), keras.layers.Dense(1)])

    def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
        assert "epochs" not in kwargs
        rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
        for callback in callbacks:
            callback.set_model(model)
        for epoch in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x) - y[:, None]) ** 2)
            for weight, slope in zip(
                model.trainable_weights, tape.gradient(loss, model.trainable_weights), strict=True
            ):
                weight.assign_sub(rate * slope)
            error = float(tf.reduce_mean((model(validation_data[0]) - validation_data[1][:, None]) ** 2))
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"my_metric": error})


def test_a_search_as_keras_tuner_has_it(tmp_path, capsys) -> None:
    tuner = RandomSearch(build, "val_accuracy", max_trials=2, directory=tmp_path, project_name="first", workers=1)
    tuner.search_space_summary()
    callbacks = [keras.callbacks.TensorBoard(str(tmp_path / "logs"))]
    tuner.search(X, Y, epochs=2, validation_split=0.25, callbacks=callbacks, verbose=0)
    tuner.results_summary()
    printed = capsys.readouterr().out
    assert "Default search space size: 3\nlayers (Int)" in printed
    assert 'Objective(name="val_accuracy", direction="max")' in printed
    first, second = tuner.get_best_hyperparameters(2)
    assert isinstance(first, HyperParameters)
    assert first.values != second.values
    assert build(first).count_params() > 0
    best, second_best = tuner.oracle.get_best_trials(2)
    assert best.hyperparameters.values == first.values
    assert (best.score, best.score >= second_best.score) == (tuner.study.best.value, True)
    assert tuner.oracle.objective == Objective("val_accuracy", "max")
    with pytest.raises(AttributeError, match=r"oracle.update_trial: .* run_trial returns what it would report"):
        tuner.oracle.update_trial  # noqa: B018
    (model,) = tuner.get_best_models()
    _, accuracy = model.evaluate(X[90:], Y[90:], verbose=0)
    assert accuracy == pytest.approx(tuner.study.best.value)
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["trial-0", "trial-1"]
    again = RandomSearch(build, "val_accuracy", max_trials=2, directory=tmp_path, project_name="first")
    assert len(again.study.trials) == 2


def test_a_fit_of_its_own_logs_what_it_improves(tmp_path) -> None:
    goal = Objective("my_metric", "min")
    tuner = RandomSearch(ByHand(), goal, max_trials=2, directory=tmp_path, overwrite=True, workers=1)
    tuner.search(X, Y.astype("float32"), validation_data=(X[:20], Y[:20].astype("float32")), verbose=0)
    assert tuner.study.name == "ByHand"
    assert [trial.epochs for trial in tuner.study.trials] == [3, 3]
    assert tuner.study.best.value == tuner.study.trials["val_my_metric"].min()
    assert [set(one.values) for one in tuner.get_best_hyperparameters(2)] == [{"units", "rate"}] * 2
    # A mistake in the plan forgets nothing, and one tuner forgets once.
    again = RandomSearch(ByHand(), goal, max_trials=-1, directory=tmp_path, overwrite=True)
    with pytest.raises(UserError, match="trials"):
        again.search(X, Y.astype("float32"), verbose=0)
    assert len(again.study.trials) == 2
    assert not tuner._overwrite


def test_what_the_tuners_ask_for() -> None:
    given = HyperParameters()
    given.Float("lr", 1e-3, 1e-1, sampling="log")
    for most, factor in ((9, 3), (100, 3), (243, 3), (1000, 10), (2, 3), (125, 5)):
        theirs = HyperbandOracle("val_loss", max_epochs=most, factor=factor)
        begun = sum(theirs._get_size(bracket, 0) for bracket in range(theirs._get_num_brackets()))
        assert Hyperband(build, "val_loss", max_epochs=most, factor=factor).max_trials == begun
    assert BayesianOptimization(build, "val_loss", num_initial_points=4)._sections()["sampler"]["n_startup_trials"] == 4
    grid = GridSearch(build, "val_loss", hyperparameters=given, tune_new_entries=False)._parameters()
    assert grid["lr"]["choices"] == [1e-3, *sorted(given.space[0].values)]
    assert list(grid) == ["lr"]
    assert RandomSearch(build, "val_loss", hyperparameters=given)._parameters() == {
        "lr": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True}
    }


def branching(hp):
    kind = hp.Choice("kind", ["a", "b", "c"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("width", 1, 100, sampling="log", default=7)
    if kind == "b":
        with hp.conditional_scope("kind", ["b"]):
            hp.Float("rate", 1e-3, 1e-1, sampling="log")
    with hp.conditional_scope("kind", ["c"]):
        hp.Int("size", 4, 12, step=4)
        hp.Float("share", 0.0, 1.0, step=0.5, default=0.3)
    return build(HyperParameters())


@pytest.mark.filterwarnings("ignore:.* is deprecated, :DeprecationWarning")
def test_the_grid_is_that_of_keras_tuner(tmp_path) -> None:
    oracle = GridSearchOracle("val_loss")
    oracle.verbose = 0
    oracle._set_project_dir(tmp_path, "theirs")
    theirs = []
    while (trial := oracle.create_trial("one")).status != "STOPPED":
        branching(trial.hyperparameters)
        oracle.update_space(trial.hyperparameters)
        theirs.append(trial.hyperparameters.values)
        oracle.update_trial(trial.trial_id, {"val_loss": 1.0})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    declared = discovered("branching", Compiled(branching, Rules()))
    parameters = GridSearch(branching, "val_loss")._parameters()
    space = declared.added_to(SearchSpace(model="code:branching", parameters=parameters))
    ours = [space.settings(config) for config in space.configurations()]
    assert len(ours) == len(theirs) == 32
    assert all(one in theirs for one in ours)


def test_what_cannot_be_had_says_what_to_do_instead(tmp_path) -> None:
    for options, message in (
        ({"objective": ["val_loss", "val_accuracy"]}, "objective: hpo improves one metric"),
        ({"objective": "val_loss", "distribution_strategy": object()}, "set their number with workers="),
        ({"objective": "val_loss", "max_consecutive_failed_trials": 1}, "cannot be 1: a search ends after 3"),
    ):
        with pytest.raises(UserError, match=message):
            RandomSearch(build, **options)
    with pytest.raises(UserError, match=r'objective: must name a logged metric such as "val_accuracy"'):
        RandomSearch(build).search(X, Y)
    for oracle in ({"oracle": GridSearchOracle("val_loss")}, {"hypermodel": GridSearchOracle("val_loss")}):
        with pytest.raises(UserError, match="oracle: cannot be used here: subclass RandomSearch, "):
            Tuner(**oracle)
    with pytest.raises(UserError, match=r"(?m)^project_name: must match .*got 'my project/1'$"):
        RandomSearch(build, "val_loss", project_name="my project/1", directory=tmp_path).search(X, Y)
    pipeline = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    with pytest.raises(UserError, match=r"argument validation_data: a tf.data.Dataset cannot be handed to the worker"):
        WithBatches(build, "val_loss").search(X, Y, validation_data=pipeline)
    never = type("Ours", (RandomSearch,), {"on_trial_end": print, "load_model": print})
    with pytest.raises(UserError, match=r"Ours.on_trial_end: is never called here: .*\n.*load_model: is never called"):
        never(build, "val_loss")
    with pytest.raises(UserError, match="hyperparameters must say what is tuned"):
        RandomSearch(build, "val_loss", tune_new_entries=False)
    with pytest.raises(UserError, match="hyperparameters lacks what the model declares: layers, units_0, lr"):
        RandomSearch(build, "val_loss", hyperparameters=HyperParameters(), allow_new_entries=False)._parameters()
    tuner = RandomSearch(build, "val_loss")
    with pytest.raises(UserError, match="steps_per_epoch: is no argument of search that hpo can use"):
        tuner.search(X, Y, steps_per_epoch=3)
    with pytest.raises(AttributeError, match=r"reload: is KerasTuner's own and not here: .* tuner.study"):
        tuner.reload  # noqa: B018


def test_a_metric_of_the_validation_part_is_never_replaced_by_that_of_the_training() -> None:
    told = []
    callback = also_as_val(lambda epoch, logs: told.append(logs), "loss")
    callback(0, {"loss": 1.0, "val_loss": 2.0})
    callback(1, {"loss": 1.0})
    history = keras.callbacks.History()
    history.history = {"loss": [1.0], "val_loss": [2.0]}
    returned = as_val([{"loss": 1.0, "val_loss": 2.0}, {"loss": 1.0}, history, 3.0], "loss", "fit")
    assert [one["val_loss"] for one in (*told, *returned[:2])] == [2.0, 1.0, 2.0, 1.0]
    assert (returned[2].history["val_loss"], returned[3]) == ([2.0], 3.0)
    with pytest.raises(FatalValueError, match="run_trial returned a History, and no objective was named: name one"):
        as_val([history], "default_objective", "run_trial")


def test_a_share_for_validation_is_the_end_of_the_data_as_in_keras() -> None:
    parts = parts_of_fit({"a": X}, Y, np.ones(120), None, 0.25)
    assert [len(one) for one in parts.validation[1:]] == [30, 30]
    np.testing.assert_array_equal(parts.validation[0]["a"], X[90:])


def test_sequences_of_bytes_are_no_images_in_any_part() -> None:
    x = np.zeros((8, 4, 4), np.uint8)
    parts = parts_of_fit(x, Y[:8], None, (x, Y[:8]), 0)
    assert parts.data[0].dtype == parts.validation[0].dtype == np.float32


def test_what_a_model_is_compiled_with_is_part_of_it() -> None:
    found = [
        code_of({"build": Compiled(build, Rules(None, keras.optimizers.Adam(rate), loss, ["mae"]))}).digest()
        for rate, loss in ((0.1, "mse"), (0.1, "mse"), (0.2, "mse"), (0.1, "mae"), (0.1, keras.losses.Huber()))
    ]
    assert found[0] == found[1]
    assert len(set(found)) == 4


def test_a_fit_of_its_own_is_given_what_search_was() -> None:
    found = []
    hp, model = HyperParameters(), object()

    class Own(HyperModel):
        def fit(self, hp, model, x, batch_size, class_weight, callbacks):
            found.append((batch_size, class_weight))

    tuner = RandomSearch(Own(), "val_loss")
    ours = tuner._model(None, {"batch_size": 8, "class_weight": {0: 2.0}})
    ours.fit(hp, model, X, validation_data=(X, Y), epochs=9, verbose=0, callbacks=[])
    assert found == [(8, {0: 2.0})]


def test_the_size_of_batches_is_that_of_the_pipeline() -> None:
    samples = tf.data.Dataset.from_tensor_slices(({"a": X}, Y))
    assert batch_size_of(samples.batch(16)) == 16
    assert [batch_size_of(one) for one in (samples, X, samples.take(0).batch(16))] == [None] * 3


def test_what_is_not_to_be_tuned_has_its_defaults() -> None:
    given = HyperParameters()
    given.Fixed("lr", 0.5)
    given.Int("layers", 2, 3)
    with given.conditional_scope("layers", [3]):
        given.Int("units_2", 8, 12, step=4)
    tuner = RandomSearch(build, "val_loss", hyperparameters=given, tune_new_entries=False, loss="mse", optimizer="sgd")
    assert tuner._parameters() == {
        "lr": {"type": "constant", "value": 0.5},
        "layers": {"type": "int", "low": 2, "high": 3},
        "units_2": {"type": "int", "low": 8, "high": 12, "step": 4, "when": {"layers": 3}},
    }
    whole = HyperParameters()
    whole.values = {"lr": 0.5, "layers": 3, "units_2": 12}
    model = Compiled(build, tuner._rules()).build(whole)
    # What the model declares beside it stays unknown, and so is never varied.
    assert [one.name for one in whole.space] == []
    assert [layer.units for layer in model.layers] == [4, 4, 12, 2]
    assert (type(model.optimizer).__name__, model.loss) == ("SGD", "mse")
    model.fit(X[:8], np.eye(2)[Y[:8]], verbose=0)
    # It was compiled with this metric, which nothing replaces.
    assert "accuracy" in model.get_metrics_result()
    strict = RandomSearch(build, "val_loss", hyperparameters=given, allow_new_entries=False, max_model_size=100)
    with pytest.raises(FatalRuntimeError, match="what the model declares: units_0, units_1"):
        Compiled(build, strict._rules()).build(whole)


class WithBatches(RandomSearch):
    """The usual reason for a run_trial: arguments of fit are tuned, too."""

    notes: Path

    def run_trial(self, trial, *args, **kwargs):
        kwargs["batch_size"] = trial.hyperparameters.Int("batch_size", 20, 60, step=20)
        return super().run_trial(trial, *args, **kwargs)

    def on_epoch_end(self, trial, model, epoch, logs=None):
        (self.notes / f"{trial.trial_id}-{epoch}").write_text(str(model.count_params()))


def test_a_run_trial_with_arguments_of_its_own(tmp_path) -> None:
    tuner = WithBatches(
        build, "val_accuracy", max_trials=2, directory=tmp_path / "home", workers=1, executions_per_trial=2
    )
    tuner.notes = tmp_path / "notes"
    tuner.notes.mkdir()
    tuner.search(X, Y, epochs=2, validation_data=(X[:40], Y[:40]), test_data=(X[40:60], Y[40:60]))
    first, second = tuner.study.trials
    curve = first.curves["val_accuracy"]
    assert len(curve) == 4
    assert first.value == pytest.approx((max(curve[:2]) + max(curve[2:])) / 2)
    assert tuner.get_best_hyperparameters()[0].values["batch_size"] == 20
    (model,) = tuner.get_best_models()
    best = tuner.study.best
    assert model.evaluate(X[:40], Y[:40], verbose=0)[1] == pytest.approx(max(best.curves["val_accuracy"]))
    assert model.evaluate(X[40:60], Y[40:60], verbose=0)[1] == pytest.approx(best.test["accuracy"])
    assert len(list(tuner.notes.iterdir())) == 4
    assert (second.model_note, second.state) == (None, "complete")


class Bowl(RandomSearch):
    """Nothing of Keras at all."""

    def run_trial(self, trial, away, lowest=0.0):
        x = trial.hyperparameters.Float("x", -1.0, 1.0)
        if trial.trial_id == "0003":
            raise FatalValueError("enough")
        return {"depth": lowest - (x - away[0]) ** 2, "val_depth_beside": x, "word": "none"}


def test_a_run_trial_of_anything_until_a_fatal_error(tmp_path) -> None:
    tuner = Bowl(objective=Objective("depth", "max"), max_trials=9, directory=tmp_path, workers=1)
    with pytest.raises(StudyFailed, match=r"the code of the model ended the study: .*FatalValueError: enough"):
        tuner.search(np.array([0.5]), lowest=2.0)
    *done, fatal = tuner.study.trials
    assert (len(done), fatal.reason) == (3, "fatal")
    for trial in done:
        assert trial.value == pytest.approx(2.0 - (trial.params.get("x", -1.0) - 0.5) ** 2)
        assert trial.curves["val_depth_beside"] == [trial.params.get("x", -1.0)]
        assert trial.test == {}
        assert "run_trial built no model" in trial.test_note
        assert trial.model_file is None
    assert len({trial.value for trial in done}) > 1


class Brings(HyperModel):
    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *args, callbacks=None, **kwargs):
        return float(hp.get("layers"))


def test_a_fit_that_brings_its_data_needs_none_of_search(tmp_path) -> None:
    tuner = RandomSearch(Brings(), max_trials=1, directory=tmp_path, workers=1)
    tuner.search()
    (trial,) = tuner.study.trials
    assert (trial.value, trial.state) == (trial.params["layers"], "complete")
    assert tuner.oracle.get_best_trials()[0].score == trial.value
