"""Code written for KerasTuner, with its import changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_tuner.oracles import HyperbandOracle

from hpo.errors import UserError
from hpo.keras_tuner import (
    BayesianOptimization,
    GridSearch,
    Hyperband,
    HyperModel,
    HyperParameters,
    Objective,
    RandomSearch,
)
from hpo.python.of_keras_tuner import Compiled, parts_of_fit
from hpo.python.source import code_of

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
    assert len(grid["lr"]["choices"]) == 10
    assert (grid["layers"], grid["units_0"]) == (1, 4)
    assert RandomSearch(build, "val_loss", hyperparameters=given)._parameters() == {
        "lr": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True}
    }


def test_what_cannot_be_had_says_what_to_do_instead() -> None:
    for options, message in (
        ({"objective": ["val_loss", "val_accuracy"]}, "objective: hpo improves one metric"),
        ({"objective": None}, 'objective: must name a logged metric such as "val_accuracy"'),
        ({"objective": "val_loss", "distribution_strategy": object()}, "set their number with workers="),
        ({"objective": "val_loss", "max_consecutive_failed_trials": 1}, "cannot be 1: a search ends after 3"),
    ):
        with pytest.raises(UserError, match=message):
            RandomSearch(build, **options)
    tuner = RandomSearch(build, "val_loss")
    with pytest.raises(UserError, match="steps_per_epoch: is no argument of search that hpo can use"):
        tuner.search(X, Y, steps_per_epoch=3)
    with pytest.raises(AttributeError, match=r"oracle: is KerasTuner's own and not here: .* tuner.study"):
        tuner.oracle  # noqa: B018


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
        code_of({"build": Compiled(build, None, keras.optimizers.Adam(rate), loss, ["mae"])}).digest()
        for rate, loss in ((0.1, "mse"), (0.1, "mse"), (0.2, "mse"), (0.1, "mae"), (0.1, keras.losses.Huber()))
    ]
    assert found[0] == found[1]
    assert len(set(found)) == 4
