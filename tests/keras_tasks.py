"""Real kinds of tasks on made data: what `hpo` trains, and what a plain Keras script compiles for the same.

Each task is a function of data, `NAME_data`, and a model, `NAME`. `docs/tasks.md` lists them by title.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras_task import BINARY, MSE, SPARSE, UNSCALED, Task, made, parts

L = keras.layers


TASKS = {
    "wide_and_deep": Task(
        "Structured data: wide and deep, two inputs by name",
        {"loss": BINARY, "metrics": ["accuracy"]},
        scaled=("deep",),
    ),
    "recommender": Task(
        "Collaborative filtering on MovieLens: user and film numbers",
        {"loss": MSE, "metrics": ["mae"]},
        dataset=UNSCALED,
    ),
    "siamese": Task("Siamese network: a list of two images", {"loss": BINARY, "metrics": ["accuracy"]}),
    "segmentation": Task("Image segmentation: a class for each pixel", {"loss": SPARSE, "metrics": ["accuracy"]}),
    "tagger": Task(
        "Named entity recognition: a label for each word",
        {"loss": SPARSE, "metrics": ["accuracy"]},
        dataset={"task": "classification"},
    ),
    "autoencoder": Task(
        "Convolutional autoencoder: images without targets",
        {"loss": BINARY, "metrics": ["mae"]},
        training={"loss": BINARY},
        dataset={"task": "reconstruction"},
        target="x",
    ),
    "vae": Task(
        "Variational autoencoder: a train_step of its own", {}, dataset={"scaling": "none"}, target="none", batch=60
    ),
    "added_loss": Task("Autoencoder with add_loss", {}, dataset={"scaling": "none"}, target="none"),
    "multilabel": Task(
        "Multi-label text classification: which topics hold",
        {"loss": BINARY, "metrics": ["binary_accuracy"]},
        dataset={"task": "multilabel"},
        scaled=("",),
    ),
    "two_outputs": Task(
        "Age and gender of one input: two outputs",
        {"loss": {"age": MSE, "gender": BINARY}, "metrics": {"age": ["mae"], "gender": ["accuracy"]}},
        scaled=("",),
    ),
    "weighted_outputs": Task(
        "Two outputs, weighted, each with a loss that has options",
        {
            "loss": {"age": keras.losses.Huber(delta=2.0), "gender": BINARY},
            "loss_weights": {"age": 0.2, "gender": 1.0},
            "metrics": {"age": ["mae"], "gender": ["accuracy", keras.metrics.PrecisionAtRecall(0.5, name="area")]},
        },
        training={
            "loss": {"age": {"name": "huber", "delta": 2.0}, "gender": "binary_crossentropy"},
            "loss_weights": {"age": 0.2, "gender": 1.0},
            "metrics": [{"name": "precision_at_recall", "recall": 0.5, "output": "gender", "log_as": "area"}],
        },
        scaled=("",),
    ),
    "own_parts": Task(
        "A loss, a metric and callbacks of one's own, and an optimizer with options",
        {"loss": MSE, "metrics": ["mae"]},
        training={
            "loss": "keras_tasks:squared",
            "metrics": [{"name": "keras_tasks:Largest", "scale": 2.0}],
            "optimizer": {"name": "adam", "amsgrad": False},
            "callbacks": [{"name": "keras_tasks:Noted", "word": "seen"}, "CSVLogger"],
        },
        dataset=UNSCALED,
        scaled=("",),
    ),
    "text": Task("Text classification from raw strings", {"loss": BINARY, "metrics": ["accuracy"]}),
    "forecast": Task(
        "Time series forecasting: several steps ahead",
        {"loss": MSE, "metrics": ["mae"]},
        dataset=UNSCALED,
        scaled=("",),
    ),
    "weighted": Task(
        "Imbalanced classification: weights of samples", {"loss": SPARSE, "metrics": ["accuracy"]}, scaled=("",)
    ),
}


def wide_and_deep_data() -> Any:
    rng = made()
    x = {"wide": rng.integers(0, 2, (100, 6)), "deep": rng.normal(3, 2, (100, 4))}
    return parts(x, (x["deep"][:, 0] > 3).astype(int))


def wide_and_deep(params: Any, dataset: Any) -> keras.Model:
    inputs = {name: keras.Input(one.shape, name=name) for name, one in dataset.inputs.items()}
    joined = L.Concatenate()([inputs["wide"], L.Dense(8, "relu")(inputs["deep"])])
    return keras.Model(inputs, L.Dense(1, "sigmoid")(joined))


def recommender_data() -> Any:
    rng = made()
    x = {"user": rng.integers(0, 30, 100), "film": rng.integers(0, 50, 100)}
    return parts(x, ((x["user"] + x["film"]) % 5).astype("float32"))


def recommender(params: Any, dataset: Any) -> keras.Model:
    inputs = {name: keras.Input((), name=name, dtype=one.dtype) for name, one in dataset.inputs.items()}
    factors = [L.Embedding(50, 4)(one) for one in inputs.values()]
    return keras.Model(inputs, L.Dense(1)(L.Concatenate()(factors)))


def siamese_data() -> Any:
    rng = made()
    left = rng.integers(0, 256, (100, 8, 8), dtype=np.uint8)
    same = rng.integers(0, 2, 100)
    right = np.where(same[:, None, None] == 1, left, left[::-1])
    return parts([left, right], same)


def siamese(params: Any, dataset: Any) -> keras.Model:
    one, other = (keras.Input(each.shape) for each in dataset.inputs.values())
    tower = keras.Sequential([keras.Input(one.shape[1:]), L.Flatten(), L.Dense(8, "tanh")])
    return keras.Model([one, other], L.Dense(1, "sigmoid")(L.Subtract()([tower(one), tower(other)])))


def segmentation_data() -> Any:
    x = made().integers(0, 256, (100, 8, 8, 1), dtype=np.uint8)
    return parts(x, (x[..., 0] // 86).astype(np.uint8))


def segmentation(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(dataset.input_shape),
            L.Conv2D(4, 3, padding="same"),
            L.Conv2D(dataset.classes, 1, activation="softmax"),
        ]
    )


def tagger_data() -> Any:
    x = made().integers(0, 20, (100, 7))
    return parts(x, x % 3)


def tagger(params: Any, dataset: Any) -> keras.Model:
    layers = [L.Embedding(20, 4), L.LSTM(4, return_sequences=True), L.Dense(dataset.classes, "softmax")]
    return keras.Sequential([keras.Input(dataset.input_shape), *layers])


def autoencoder_data() -> Any:
    return parts(made().integers(0, 256, (100, 8, 8, 1), dtype=np.uint8), None)


def autoencoder(params: Any, dataset: Any) -> keras.Model:
    layers = [L.Conv2D(4, 3, strides=2, padding="same"), L.Conv2DTranspose(1, 3, 2, "same", activation="sigmoid")]
    return keras.Sequential([keras.Input(dataset.input_shape), *layers])


def vae_data() -> Any:
    return parts(made().random((100, 6), dtype=np.float32), None)


@keras.saving.register_keras_serializable()
class Vae(keras.Model):
    """As on keras.io, without the sampling: two runs are compared."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.encoder, self.decoder = L.Dense(2), L.Dense(6)
        self.loss_tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self) -> Any:
        return [self.loss_tracker]

    def call(self, x: Any) -> Any:
        return self.decoder(self.encoder(x))

    def _cost(self, x: Any) -> Any:
        code = self.encoder(x)
        difference = keras.ops.mean(keras.ops.square(self.decoder(code) - x))
        return difference + 0.1 * keras.ops.mean(keras.ops.square(code))

    def train_step(self, data: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = self._cost(data)
        self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}

    def test_step(self, data: Any) -> Any:
        self.loss_tracker.update_state(self._cost(data))
        return {"loss": self.loss_tracker.result()}


def vae(params: Any, dataset: Any) -> keras.Model:
    model = Vae()
    model(np.zeros((1, *dataset.input_shape), "float32"))
    return model


added_loss_data = vae_data


@keras.saving.register_keras_serializable()
class Difference(keras.layers.Layer):
    """Adds the squared difference of two tensors to the loss."""

    def call(self, x: Any, other: Any) -> Any:
        self.add_loss(keras.ops.mean(keras.ops.square(x - other)))
        return other


def added_loss(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    return keras.Model(x, Difference()(x, L.Dense(6)(L.Dense(2)(x))))


def multilabel_data() -> Any:
    x = made().normal(2, 3, (100, 5))
    return parts(x, (x[:, :3] > 2).astype(int))


def multilabel(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Dense(dataset.outputs, "sigmoid")])


def two_outputs_data() -> Any:
    x = made().normal(2, 3, (100, 5))
    return parts(x, {"age": x[:, 0] * 2, "gender": (x[:, 1] > 2).astype(int)})


def two_outputs(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    hidden = L.Dense(8, "relu")(x)
    return keras.Model(x, {"age": L.Dense(1)(hidden), "gender": L.Dense(1, "sigmoid")(hidden)})


weighted_outputs_data, weighted_outputs = two_outputs_data, two_outputs


def own_parts_data() -> Any:
    x = made().normal(2, 3, (100, 5))
    return parts(x, x[:, 0] * 2)


def own_parts(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Dense(1)])


def squared(y: Any, outputs: Any) -> Any:
    return keras.ops.mean(keras.ops.square(keras.ops.reshape(y, keras.ops.shape(outputs)) - outputs), axis=-1)


class Largest(keras.metrics.Metric):
    """The largest output, times a scale."""

    def __init__(self, scale: float, name: str = "largest", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.scale = scale
        self.largest = self.add_variable((), "zeros", name="largest")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.largest.assign(keras.ops.maximum(self.largest, self.scale * keras.ops.max(y_pred)))

    def result(self) -> Any:
        return self.largest.value


class Noted(keras.callbacks.Callback):
    """Writes what it was told of its trial into the trial's folder."""

    def __init__(self, word: str, trial: int, params: Any, folder: str) -> None:
        super().__init__()
        (Path(folder) / "noted").write_text(f"{word} {trial} {params}")


def text_data() -> Any:
    rng = made()
    words = np.array(["good", "bad", "film", "plot", "actor"])
    texts = [" ".join(words[row]) for row in rng.integers(0, 5, (100, 6))]
    return parts(np.array(texts), np.array([text.count("good") > text.count("bad") for text in texts]).astype(int))


def text(params: Any, dataset: Any) -> keras.Model:
    vectorizer = dataset.adapt(L.TextVectorization(max_tokens=10, output_sequence_length=6))
    x = keras.Input((), dtype="string")
    hidden = L.GlobalAveragePooling1D()(L.Embedding(10, 4)(vectorizer(x)))
    return keras.Model(x, L.Dense(1, "sigmoid")(hidden))


def forecast_data() -> Any:
    series = np.sin(np.arange(120) / 3).astype("float32")
    windows = np.stack([series[start : start + 15] for start in range(100)])
    return parts(windows[:, :12, None], windows[:, 12:])


def forecast(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.GRU(4), L.Dense(dataset.outputs)])


def weighted_data() -> Any:
    x = made().normal(2, 3, (100, 5))
    y = (x[:, 0] > 4).astype(int)
    return parts(x, y, np.where(y == 1, 5.0, 1.0))


def weighted(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Dense(2, "softmax")])
