"""What hpo needs of Keras and TensorFlow beyond their documentation is as it was: a failure names what to look at."""

import gc
import inspect
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.trainers.trainer import Trainer

from hpo.training import keras_compat as compat

LOOK = f"Keras {keras.__version__} or TensorFlow {tf.__version__} is not as hpo/training/keras_compat.py needs it: "


def small(optimizer: str | keras.optimizers.Optimizer = "adam") -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer, "mse")
    return model


def test_what_a_model_was_compiled_with_is_found() -> None:
    model = small()
    given = {"loss": "mae", "metrics": ["mse"], "loss_weights": [2.0], "weighted_metrics": ["mae"]}
    model.compile("sgd", **given)
    found = compat.compiled_with(model)
    assert {name: found[name] for name in given} == given, LOOK + "see compiled_with"


def test_the_state_of_a_thread_is_found_by_its_names() -> None:
    before = dict(compat.thread_state())
    try:
        keras.config.set_dtype_policy("float64")
        keras.config.disable_traceback_filtering()
        keras.config.disable_interactive_logging()
        found = {"dtype_policy", "traceback_filtering", "interactive_logging"} & compat.thread_state().keys()
        assert found <= set(compat.SET_BY_USERS)
        assert len(found) == 3, LOOK + "users' settings are kept elsewhere, see thread_state and SET_BY_USERS"
        compat.thread_state().clear()
        assert keras.config.dtype_policy().name == "float32", LOOK + "see thread_state"
    finally:
        compat.thread_state().clear()
        compat.thread_state().update(before)


def test_the_state_of_the_process_is_live() -> None:
    settings, classes, names = compat.process_state()
    assert settings["_FLOATX"] == keras.config.floatx(), LOOK + "settings are kept elsewhere, see process_state"
    assert settings["_EPSILON"] == keras.config.epsilon(), LOOK + "settings are kept elsewhere, see process_state"

    @keras.saving.register_keras_serializable("canary")
    class Canary:
        def get_config(self) -> dict[str, object]:
            return {}

    try:
        assert classes["canary>Canary"] is Canary, LOOK + "registered classes are kept elsewhere, see process_state"
        assert names[Canary] == "canary>Canary", LOOK + "registered names are kept elsewhere, see process_state"
    finally:
        del classes["canary>Canary"], names[Canary]
    assert keras.saving.get_registered_object("canary>Canary") is None, LOOK + "see process_state"


def test_settings_of_tensorflow_can_be_taken_back() -> None:
    assert not compat.is_deterministic()
    compat.set_deterministic(True)
    assert compat.is_deterministic(), LOOK + "see set_deterministic"
    compat.set_deterministic(False)
    assert not compat.is_deterministic(), LOOK + "see set_deterministic"
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"constant_folding": False})
    compat.set_optimizer_options(before)
    assert tf.config.optimizer.get_experimental_options() == before, LOOK + "see set_optimizer_options"


def test_which_classes_and_functions_are_kerass_own() -> None:
    class Own(keras.layers.Dense):
        pass

    for kind in (keras.layers.Dense, keras.optimizers.Adam, keras.Sequential, keras.activations.relu):
        assert compat.is_kerass_own(kind), LOOK + f"{kind} lies elsewhere, see is_kerass_own"
    assert not compat.is_kerass_own(Own)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    assert compat.is_functional(model), LOOK + "the functional class is another, see is_functional"
    assert not compat.is_functional(keras.Sequential([inputs]))


def test_layers_within_layers_are_found() -> None:
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model = keras.Sequential([keras.Input((2,)), inner])
    assert inner.layers[0] in compat.layers_within(model), LOOK + "see layers_within"
    assert model not in compat.layers_within(model), LOOK + "see layers_within"


def test_calls_of_compile_are_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keras.Model.compile is Trainer.compile, LOOK + "models are compiled elsewhere, see watch_compile"
    before, heard = Trainer.compile, []
    monkeypatch.setattr(Trainer, "compile", inspect.unwrap(before))
    compat.watch_compile(lambda model, left: heard.append(left))
    small()
    small().compile("sgd", "mse", jit_compile=False)
    assert heard == [True, True, False], LOOK + "see watch_compile"


def test_averages_that_are_shown() -> None:
    model = small(keras.optimizers.SGD(use_ema=True))
    swap = keras.callbacks.SwapEMAWeights()
    assert not compat.shows_averages(swap), LOOK + "see shows_averages"
    swap.set_model(model)
    model.optimizer.build(model.trainable_variables)
    swap.on_test_begin()
    assert compat.shows_averages(swap), LOOK + "see shows_averages"


def test_a_traced_graph_goes_with_its_owner() -> None:
    class Owner: ...

    owner = Owner()

    def double(x: tf.Tensor, owner: Owner = owner) -> tf.Tensor:
        return 2 * x

    function = tf.function(double, autograph=False, input_signature=[tf.TensorSpec([], tf.float32)])
    compat.trace(function)
    count = function.experimental_get_tracing_count()
    assert float(function(tf.constant(2.0))) == 4.0
    assert function.experimental_get_tracing_count() == count == 1, LOOK + "it is traced once more, see trace"
    gone = weakref.ref(owner)
    del function, double, owner
    gc.collect()
    assert gone() is None, LOOK + "a graph keeps what it was made of, see trace"


def test_a_variable_takes_other_shapes() -> None:
    variable = keras.Variable(np.zeros((2, 3), "float32"))
    compat.open_shape(variable, [None, None])
    variable.value.assign(np.ones((5, 7)))
    assert variable.value.shape.as_list() == [None, None], LOOK + "see open_shape"
    assert variable.numpy().shape == (5, 7), LOOK + "see open_shape"


def test_weights_that_are_excluded_from_weight_decay() -> None:
    optimizer = keras.optimizers.AdamW()
    assert not compat.excludes_from_weight_decay(optimizer), LOOK + "see excludes_from_weight_decay"
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert compat.excludes_from_weight_decay(optimizer), LOOK + "see excludes_from_weight_decay"


def test_a_fused_adam_takes_the_steps_of_kerass_own() -> None:
    start, gradients = np.linspace(-1, 1, 6, dtype="float32"), [np.linspace(2, -1, 6), np.linspace(-3, 3, 6)]
    ended = []
    for fused in (True, False):
        variable, optimizer = keras.Variable(start), keras.optimizers.Adam(0.1, beta_1=0.8, epsilon=1e-5)
        if fused:
            compat.fuse_adam(optimizer)
            assert type(optimizer) is not keras.optimizers.Adam, LOOK + "see fuse_adam"
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient, tf.float32)])
        ended.append(variable.numpy())
    np.testing.assert_allclose(ended[0], ended[1], atol=1e-5, err_msg=LOOK + "Adam is another, see fuse_adam")


def test_lists_of_layers_are_wrapped_as_module_state_knows_them() -> None:
    module = tf.Module()
    module.parts = {"a": [1]}
    kind = type(module.parts)
    assert kind.__module__ == compat.WRAPPERS, LOOK + f"TensorFlow wraps dictionaries by {kind}, see WRAPPERS"


def test_options_that_a_configuration_leaves_out():
    """Where this fails, Keras keeps them: `forgets_options` is no longer needed for that loss."""
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    for loss, forgets in ((keras.losses.Huber(delta=2.0), True), (keras.losses.Huber(), False), ("mse", False)):
        network.compile(loss=loss, metrics=["mae"])
        assert compat.forgets_options(network) is forgets
    assert keras.losses.Huber.from_config(keras.losses.Huber(delta=2.0).get_config())([[0.0]], [[9.0]]) == 8.5
