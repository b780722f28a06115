"""Code written for KerasTuner, with its import changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

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
from hpo.python.of_keras_tuner import parts_of_fit

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


def test_what_the_tuners_ask_for() -> None:
    given = HyperParameters()
    given.Float("lr", 1e-3, 1e-1, sampling="log")
    assert Hyperband(build, "val_loss", max_epochs=9, factor=3).max_trials == 9 + 5 + 3
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
