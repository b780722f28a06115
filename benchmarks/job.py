"""The standard job, in plain Keras, that every peer is given: Fashion-MNIST, a space of MLPs, 20 epochs at most."""

import gzip
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENT = ROOT / "benchmarks" / "fashion_mnist_mlp.yaml"
"""The same job as hpo's users write it."""

# The ranges of search_spaces/mlp.yaml; a test compares them.
DEPTH = (1, 4)
WIDTH = (32, 512)
ACTIVATIONS = ["relu", "tanh", "sigmoid", "leaky_relu", "silu"]
BATCH_SIZES = [32, 64, 128, 256, 512]
LEARNING_RATE = (1e-4, 1e-1)
DROPOUT = (0.0, 0.5)

EPOCHS = 20
PATIENCE = 3
OBJECTIVE = "val_accuracy"
TRAINING_SAMPLES = 50_000
VALIDATION_SAMPLES = 10_000

Array = npt.NDArray[Any]


class Data(NamedTuple):
    """Images, shape (n, 28, 28, 1), float32 from 0 to 1; class numbers, shape (n,)."""

    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    x_test: Array
    y_test: Array


def data_folder() -> Path:
    """HPO_DATA, by default ../shared/datasets beside the repository."""
    return Path(os.environ.get("HPO_DATA") or ROOT.parent / "shared" / "datasets")


def load_data(dataset: str = "fashion-mnist") -> Data:
    """Reads the four IDX files and splits the training part as hpo does by default: stratified, seed 0."""
    from sklearn.model_selection import train_test_split

    folder = data_folder() / dataset
    images, labels, x_test, y_test = (
        _read_idx(folder / f"{part}-{kind}.gz")
        for part in ("train", "t10k")
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    rows = np.arange(len(images))
    train, val = train_test_split(rows, test_size=VALIDATION_SAMPLES, random_state=0, stratify=labels)
    return Data(_scaled(images[train]), labels[train], _scaled(images[val]), labels[val], _scaled(x_test), y_test)


def _read_idx(path: Path) -> Array:
    with gzip.open(path) as file:
        content = file.read()
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _scaled(images: Array) -> Array:
    return (images[..., np.newaxis] / np.float32(255)).astype(np.float32)


def build_model(params: Mapping[str, Any], shape: tuple[int, ...] = (28, 28, 1), classes: int = 10) -> "keras.Model":
    """The compiled model of a configuration: hpo's `mlp`, or its `cnn` where there are filters."""
    import keras

    activation = params["activation"]
    layers: list[Any] = [keras.Input(shape)]
    if "filters" in params:
        normalized, kernel = params.get("batch_normalization", False), params.get("kernel", 3)
        for block in range(params["blocks"]):
            filters = params["filters"] * 2**block
            layers.append(keras.layers.Conv2D(filters, kernel, padding="same", use_bias=not normalized))
            layers += [keras.layers.BatchNormalization()] if normalized else []
            layers += [keras.layers.Activation(activation), keras.layers.MaxPooling2D(2, padding="same")]
        layers += [keras.layers.Flatten(), keras.layers.Dense(params["dense"], activation=activation)]
        layers.append(keras.layers.Dropout(params["dropout"]))
    else:
        layers.append(keras.layers.Flatten())
        for _ in range(params["depth"]):
            layers.append(keras.layers.Dense(params["width"], activation=activation))
            layers.append(keras.layers.Dropout(params["dropout"]))
    model = keras.Sequential([*layers, keras.layers.Dense(classes, activation="softmax")])
    optimizer = keras.optimizers.Adam(params["learning_rate"])
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def early_stopping() -> "keras.callbacks.Callback":
    """Early stopping on the objective, best weights restored."""
    import keras

    return keras.callbacks.EarlyStopping(monitor=OBJECTIVE, mode="max", patience=PATIENCE, restore_best_weights=True)


def write_rows(
    file: Path, trial: int | str, params: Mapping[str, Any], samples: int = TRAINING_SAMPLES
) -> "keras.callbacks.Callback":
    """A callback that appends a row for each epoch: trial, epoch (from 1), time, val_accuracy, params, samples."""
    import keras

    def write(epoch: int, logs: Mapping[str, float]) -> None:
        row = {
            "trial": trial,
            "epoch": epoch + 1,
            "time": time.time(),
            "val_accuracy": float(logs[OBJECTIVE]),
            "params": dict(params),
            "samples": samples,
        }
        # One write of a line, so that two processes may share the file.
        with file.open("a", encoding="utf-8") as rows:
            rows.write(json.dumps(row) + "\n")

    return keras.callbacks.LambdaCallback(on_epoch_end=write)
