"""The model: a function that builds a Keras model from the values of the search space."""

import keras


def build(params, dataset):
    """Builds a network for images, tables or vectors.

    `params` holds the values of this trial. `dataset` describes the data: `input_shape`, `classes` (None for
    regression), `outputs`, `task`. hpo sets learning_rate, batch_size and optimizer itself, from the search space.
    """
    layers = [keras.Input(dataset.input_shape), keras.layers.Flatten()]
    for _ in range(params["depth"]):
        layers.append(keras.layers.Dense(params["width"], activation=params["activation"]))
        layers.append(keras.layers.Dropout(params["dropout"]))
    head = "softmax" if dataset.classes else None
    return keras.Sequential([*layers, keras.layers.Dense(dataset.outputs, activation=head)])
