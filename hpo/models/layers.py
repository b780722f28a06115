"""Keras layers of what the models that hpo knows have in common."""

from typing import TYPE_CHECKING, Any

from hpo.models.parts import Activation, Head, Initializer, Weights

if TYPE_CHECKING:
    import keras


def dense(units: int, activation: Activation, weights: Weights, name: str) -> "list[keras.layers.Layer]":
    """A dense layer and its activation."""
    import keras

    if activation.slope is None:
        return [keras.layers.Dense(units, activation=activation.name, name=name, **options(weights))]
    return [keras.layers.Dense(units, name=name, **options(weights)), activate(activation)]


def activate(activation: Activation) -> "keras.layers.Layer":
    """An activation as a layer of its own."""
    import keras

    if activation.slope is None:
        return keras.layers.Activation(activation.name)
    return keras.layers.LeakyReLU(negative_slope=activation.slope)


def options(weights: Weights) -> dict[str, Any]:
    """What dense and convolutional layers are told of their weights: nothing where they are as Keras makes them."""
    import keras

    told: dict[str, Any] = {} if weights.use_bias else {"use_bias": False}
    if weights.kernel_initializer is not None:
        told["kernel_initializer"] = _made(weights.kernel_initializer)
    if weights.bias_initializer is not None:
        told["bias_initializer"] = _made(weights.bias_initializer)
    if weights.l1:
        told["kernel_regularizer"] = keras.regularizers.L1L2(weights.l1, weights.l2)
    elif weights.l2:
        told["kernel_regularizer"] = keras.regularizers.L2(weights.l2)
    return told


def output(head: Head) -> "keras.layers.Layer":
    """The output layer."""
    import keras

    # Softmax in float32 keeps its sum at 1 under mixed precision too.
    return keras.layers.Dense(
        head.units, activation=head.activation, dtype="float32", name="output", **options(head.weights)
    )


def _made(initializer: Initializer) -> "keras.initializers.Initializer":
    """Without a seed of its own: it draws from Python's, as Keras's default does."""
    import keras

    return keras.initializers.get({"class_name": initializer.name, "config": dict(initializer.arguments)})
