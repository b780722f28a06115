"""The Keras layers that the models known to hpo have in common."""

from typing import TYPE_CHECKING, Any

from hpo.models.parts import Activation, Head, Initializer, Weights, steps_of

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo


def dense(units: int, activation: Activation, weights: Weights, name: str) -> "list[keras.layers.Layer]":
    """A dense layer and its activation."""
    import keras

    if activation.slope is None:
        return [keras.layers.Dense(units, activation=activation.name, name=name, **weight_options(weights))]
    return [keras.layers.Dense(units, name=name, **weight_options(weights)), activate(activation)]


def activate(activation: Activation) -> "keras.layers.Layer":
    """An activation as a separate layer."""
    import keras

    if activation.slope is None:
        return keras.layers.Activation(activation.name)
    return keras.layers.LeakyReLU(negative_slope=activation.slope)


def weight_options(weights: Weights) -> dict[str, Any]:
    """The arguments of dense and convolutional layers for their weights; without Keras's defaults."""
    import keras

    options: dict[str, Any] = {} if weights.use_bias else {"use_bias": False}
    if weights.kernel_initializer is not None:
        options["kernel_initializer"] = _keras_initializer(weights.kernel_initializer)
    if weights.bias_initializer is not None:
        options["bias_initializer"] = _keras_initializer(weights.bias_initializer)
    if weights.l1:
        options["kernel_regularizer"] = keras.regularizers.L1L2(weights.l1, weights.l2)
    elif weights.l2:
        options["kernel_regularizer"] = keras.regularizers.L2(weights.l2)
    return options


def as_steps(info: "DatasetInfo") -> list[Any]:
    """The input, and what makes steps of it: the rows of an image, or single numbers."""
    import keras

    steps = steps_of("", info)
    layers = [keras.Input(info.input_shape, name="input")]
    return layers if info.input_shape == steps else [*layers, keras.layers.Reshape(steps, name="steps")]


def output(head: Head) -> "keras.layers.Layer":
    """The output layer."""
    import keras

    # Softmax in float32 keeps its sum at 1 under mixed precision too.
    return keras.layers.Dense(
        head.units, activation=head.activation, dtype="float32", name="output", **weight_options(head.weights)
    )


def _keras_initializer(initializer: Initializer) -> "keras.initializers.Initializer":
    """The initializer without a seed: it draws from Python's random state, as Keras's default does."""
    import keras

    return keras.initializers.get({"class_name": initializer.name, "config": dict(initializer.arguments)})
