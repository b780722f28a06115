"""One traced graph for many trials: the figures are those of `model.fit`, whatever was trained before."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from toys import FLAT, HEAD, SHAPE, Curves, assert_same, curves_by_fit, curves_in_graph, dataset, layer, model_of

from hpo.training.graph import GraphLoop
from hpo.training.template import Templates

Make = Callable[[], keras.Model]


def trained(templates: Templates, model: keras.Model, batch: int = 64, rounds: bool = False) -> Curves:
    with templates.lent(model, "toy", lambda copy: GraphLoop(copy, dataset()), rounds=rounds) as lent:
        assert lent.template is not None, lent.reason
        return curves_in_graph(lent.template.loop, batch)


def mlp(width: int, rate: float = 0.3, optimizer: Any = "adam", **dense: Any) -> Make:
    hidden = (layer("Dense", width, activation="relu", **dense), layer("Dropout", rate))
    return lambda: model_of(FLAT, *hidden, layer("Dense", width // 2), HEAD, optimizer=optimizer)


def normalized(width: int) -> Make:
    return lambda: model_of(FLAT, layer("Dense", width), layer("BatchNormalization"), layer("ELU"), HEAD)


def cnn(width: int, rate: float) -> Make:
    convolution = (layer("RandomFlip"), layer("Conv2D", 4, 3, activation="relu"), layer("MaxPooling2D"))
    return lambda: model_of(
        *convolution, FLAT, layer("Dense", width), HEAD, optimizer=lambda: keras.optimizers.SGD(rate)
    )


def functional(rate: float) -> Make:
    def make() -> keras.Model:
        keras.utils.clear_session()
        keras.utils.set_random_seed(7)
        image = keras.Input(SHAPE)
        flat = keras.layers.Flatten()(image)
        both = keras.layers.Concatenate()([keras.layers.Dense(4)(flat), keras.layers.Dense(3)(flat)])
        model = keras.Model(image, keras.layers.Dense(3, "softmax")(keras.layers.Dropout(rate)(both)))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    return make


def maps(rate: float, optimizer: Any) -> Make:
    dropped = (layer("SpatialDropout2D", rate), layer("Dropout", rate, noise_shape=(None, 1, 1, 1)))
    return lambda: model_of(layer("Conv2D", 4, 3), *dropped, FLAT, HEAD, optimizer=optimizer)


def tokens(rate: float) -> Make:
    """Rows of an embedding that a batch names several times."""
    inside = (FLAT, layer("Embedding", 2, 4), layer("Flatten"), HEAD)
    return lambda: model_of(*inside, optimizer=lambda: keras.optimizers.Adam(rate))


def sgd(rate: float, momentum: float) -> Callable[[], Any]:
    return lambda: keras.optimizers.SGD(rate, momentum=momentum, nesterov=True)


ALIKE: dict[str, tuple[Make, Make]] = {
    "width and dropout": (mlp(8, 0.6), mlp(20, 0.1)),
    "momentum": (mlp(8, optimizer=sgd(0.01, 0.9)), mlp(12, optimizer=sgd(0.1, 0.2), kernel_initializer="he_normal")),
    "rmsprop": (
        mlp(8, optimizer=lambda: keras.optimizers.RMSprop(0.1, momentum=0.2)),
        mlp(16, optimizer=lambda: keras.optimizers.RMSprop(0.001, momentum=0.9)),
    ),
    "batch normalization": (normalized(8), normalized(24)),
    "dense layers behind convolutions": (cnn(8, 0.3), cnn(32, 0.01)),
    "functional": (functional(0.6), functional(0.1)),
    "dropout of maps": (maps(0.3, "adam"), maps(0.3, lambda: keras.optimizers.Adam(0.1))),
    "an embedding": (tokens(0.01), tokens(0.2)),
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_models_that_differ_in_numbers_share_a_graph_and_train_as_if_alone(name: str) -> None:
    first, second = ALIKE[name]
    templates = Templates()
    trained(templates, first(), batch=32)
    (kept,) = templates._kept.values()
    found = trained(templates, second())
    # The very one: a template made anew for each trial would train the same, at the price of a graph a trial.
    assert list(templates._kept.values()) == [kept]
    assert_same(found, curves_by_fit(second(), dataset(), 64))


def test_a_trial_is_the_same_to_the_last_bit_whatever_came_before() -> None:
    fresh = trained(Templates(), mlp(20, 0.1)())
    templates = Templates()
    trained(templates, mlp(8, 0.6)())
    assert trained(templates, mlp(20, 0.1)()) == fresh


DIFFERENT: list[Make] = [
    lambda: model_of(FLAT, layer("Dense", 8), HEAD),
    lambda: model_of(FLAT, layer("Dense", 8, activation="tanh"), HEAD),
    lambda: model_of(FLAT, layer("Dense", 8, kernel_regularizer="l2"), HEAD),
    lambda: model_of(FLAT, layer("Dense", 8), layer("Dropout", 0.1), HEAD),
    lambda: model_of(FLAT, layer("Dense", 8), HEAD, optimizer=lambda: keras.optimizers.Adam(beta_1=0.5)),
    lambda: model_of(FLAT, layer("Dense", 8), HEAD, metrics=["accuracy", "sparse_top_k_categorical_accuracy"]),
]


def test_models_that_differ_in_more_do_not() -> None:
    templates = Templates()
    for count, make in enumerate(DIFFERENT, 1):
        with templates.lent(make(), "toy", lambda copy: GraphLoop(copy, dataset())):
            pass
        assert len(templates) == count


class Doubled(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


def own_loss(y: Any, prediction: Any) -> Any:
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, prediction))


def relu(x: Any) -> Any:
    """Has the name of one of Keras's."""
    return keras.ops.relu(x) + x


def frozen_kernel() -> keras.Model:
    model = model_of(FLAT, layer("Dense", 8), HEAD)
    model.layers[1].kernel.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def patched_layer() -> keras.Model:
    def twice() -> Any:
        made = keras.layers.Dense(4)
        made.call = lambda x: 2 * x
        return made

    return model_of(FLAT, twice, HEAD)


def between_layers() -> keras.Model:
    image = keras.Input(SHAPE)
    flat = 2 * keras.layers.Flatten()(image)
    model = keras.Model(image, keras.layers.Dense(3, "softmax")(flat))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def averaged() -> Any:
    return keras.optimizers.SGD(use_ema=True)


def accumulating() -> Any:
    return keras.optimizers.Adam(gradient_accumulation_steps=2)


def excluding() -> Any:
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def around() -> Any:
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())


def standardized() -> keras.Model:
    scaling = keras.layers.Normalization()
    scaling.adapt(np.ones((4, *SHAPE), np.float32))
    return model_of(lambda: scaling, FLAT, HEAD)


@pytest.mark.parametrize(
    "make",
    [
        lambda: model_of(FLAT, Doubled, HEAD),
        lambda: model_of(FLAT, layer("Lambda", lambda x: 2 * x), HEAD),
        lambda: model_of(FLAT, HEAD, loss=own_loss),
        lambda: model_of(FLAT, lambda: keras.Sequential([keras.layers.Dense(4)]), HEAD),
        standardized,
        lambda: model_of(FLAT, layer("Dense", 8, activation=relu), HEAD),
        frozen_kernel,
        patched_layer,
        between_layers,
        *(
            lambda one=one: model_of(FLAT, layer("Dense", 8), HEAD, optimizer=one)
            for one in (keras.optimizers.Muon, keras.optimizers.Nadam, averaged, accumulating, excluding, around)
        ),
    ],
)
def test_no_copy_stands_in_for_what_is_more_than_its_configuration(make: Make) -> None:
    with Templates().lent(make(), "toy", lambda copy: GraphLoop(copy, dataset())) as lent:
        assert lent.template is None


def test_the_state_of_a_model_that_was_trained_before_is_taken_over() -> None:
    model = normalized(8)()
    data = dataset()
    model.fit(data.info.scaling.apply(data.training.x), data.training.y, verbose=0)
    kept = [variable.numpy() for variable in model.optimizer.variables]
    templates = Templates()
    with templates.lent(model, "toy", lambda copy: GraphLoop(copy, data)) as lent:
        template = lent.template
        assert template is not None
        for mine, theirs in zip(template.model.optimizer.variables, kept, strict=True):
            np.testing.assert_array_equal(mine.numpy(), theirs)
        for mine, theirs in zip(template.model.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_a_template_that_met_an_error_is_not_lent_again() -> None:
    templates = Templates()
    with pytest.raises(RuntimeError), templates.lent(mlp(8)(), "toy", lambda copy: GraphLoop(copy, dataset())):
        raise RuntimeError
    assert len(templates) == 0


class InBfloat16(keras.layers.Dense):
    """What a user would write to have a layer multiply rounded numbers while it trains."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return super().call(inputs)
        rounded = [keras.ops.cast(one, "bfloat16") for one in (inputs, self.kernel)]
        return self.activation(keras.ops.cast(keras.ops.matmul(*rounded), "float32") + self.bias)


def test_products_of_bfloat16_are_those_of_a_model_that_rounds_itself() -> None:
    def make(wide: Callable[[], Any], width: int = 16) -> keras.Model:
        return model_of(FLAT, wide, layer("Dropout", 0.3), layer("Dense", width), HEAD)

    wide, templates = layer("Dense", 64, activation="relu"), Templates()
    expected = curves_by_fit(make(lambda: InBfloat16(64, "relu")), dataset(), 128)
    exact = trained(templates, make(wide), 128)
    found = trained(templates, make(wide), 128, rounds=True)
    assert_same(found, expected)
    assert found != exact
    # Whatever a configuration is wide enough for: another template.
    assert trained(templates, make(wide, 70), 128, rounds=True) != trained(templates, make(wide, 70), 128)
    assert len(templates) == 3
