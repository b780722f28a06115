"""Models and datasets as users write them, for the tests of training."""

import functools

import keras
import keras_tuner
import numpy as np
import tensorflow as tf
from keras import layers


def _network(*inside, classes=10):
    return keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), *inside, layers.Dense(classes, activation="softmax")]
    )


def uncompiled(params, dataset):
    return _network(layers.Dense(params["width"]), classes=dataset.classes)


def compiled(params, dataset):
    model = _network()
    model.compile(keras.optimizers.SGD(0.125), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def scheduled(params, dataset):
    model = _network()
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def headed(params, dataset):
    """Two dense layers; the head as the parameters say."""
    network = [layers.Flatten(), layers.Dense(16, activation="relu")]
    head = layers.Dense(params["units"], activation=params["activation"])
    return keras.Sequential([keras.Input(dataset.input_shape), *network, head])


def wants_one_hot(params, dataset):
    model = _network()
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy", "f1_score"][: params.get("metrics", 1)])
    return model


def without_metrics(params, dataset):
    model = _network()
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def half_precise(params, dataset):
    """Sets for its own trial what would change all later ones."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    keras.config.set_epsilon(1e-2)
    return _network(layers.Dense(8, activation="relu", name=f"in_{keras.config.floatx()}"))


def unbuilt(params, dataset):
    return keras.Sequential([layers.Flatten(), layers.Dense(10, activation="softmax")])


@keras.saving.register_keras_serializable()
class Logarithm(layers.Layer):
    def call(self, x):
        return keras.ops.log(x - 100.0)


@keras.saving.register_keras_serializable()
class LostInValidation(layers.Layer):
    def call(self, x, training=False):
        return x if training else x * np.nan


def logarithm_of_negatives(params, dataset):
    return _network(Logarithm())


def lost_in_validation(params, dataset):
    return _network(LostInValidation())


class Unsavable(keras.Model):
    def __init__(self, dataset):
        super().__init__()
        self.dataset = dataset
        self.inside = [layers.Flatten(), layers.Dense(dataset.classes, activation="softmax")]

    def call(self, x):
        for layer in self.inside:
            x = layer(x)
        return x


def unsavable(params, dataset):
    return Unsavable(dataset)


def own_loss(y_true, y_pred):
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


def with_own_loss(params, dataset):
    model = _network()
    model.compile("adam", own_loss, metrics=["accuracy"])
    return model


def division_by_zero(params, dataset):
    return params["width"] / 0


def out_of_memory(params, dataset):
    raise MemoryError


def leaves(params, dataset):
    raise SystemExit("enough")


def wrong_indices(params, dataset):
    """Fails within TensorFlow's graph: pixels of up to 100 are looked up in a table of two rows."""
    lookup = [layers.Rescaling(100), layers.Embedding(2, 1), layers.Flatten()]
    return keras.Sequential([keras.Input(dataset.input_shape), *lookup, layers.Dense(10, "softmax")])


def random_draws(params, dataset):
    """Draws from every generator that a trial seeds, beside those of its layers."""
    width = 4 + int(np.random.randint(8))
    noise = layers.GaussianNoise(0.1 + float(tf.random.uniform(())))
    return _network(noise, layers.Dropout(0.5), layers.Dense(width))


def tuned(hp):
    return _network(layers.Dense(hp.Int("units", 2, 64), activation="relu"))


class TunesItsBatchSize(keras_tuner.HyperModel):
    def build(self, hp):
        return _network(layers.Dense(hp.Int("units", 2, 64)))

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch_size", [40, 80]), **kwargs)


class PassesAllOn(keras_tuner.HyperModel):
    def build(self, hp):
        return _network()

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, **kwargs)


class TrainsTwice(PassesAllOn):
    def fit(self, hp, model, *args, **kwargs):
        model.fit(*args, **kwargs)
        return model.fit(*args, **kwargs)


class OwnLoop(keras_tuner.HyperModel):
    """After the guide "Tune hyperparameters in your custom training loop" of KerasTuner; it never ends by itself."""

    def build(self, hp):
        return _network()

    def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
        for callback in callbacks:
            callback.set_model(model)
        epoch = 0
        while True:
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"val_accuracy": tf.constant(0.5)})
            epoch += 1


def _samples(count, seed):
    draw = np.random.default_rng(seed)
    x = draw.normal(5.0, 3.0, (count, 4)).astype("float32")
    return x, (x[:, 0] > x[:, 1]).astype("int32")


def one_hot_data():
    x, y = _samples(120, 0)
    return {"train": (x, np.eye(2, dtype="float32")[y])}


def pipelines():
    parts = zip(("train", "validation", "test"), (96, 32, 32), strict=True)
    return {name: tf.data.Dataset.from_tensor_slices(_samples(count, count)) for name, count in parts}


def pipelines_without_targets():
    return {name: pipeline.map(lambda x, _: x) for name, pipeline in pipelines().items()}


def copying(params, dataset):
    return keras.Sequential([keras.Input(dataset.input_shape), keras.layers.Dense(4)])


def two_numbers():
    x, _ = _samples(120, 0)
    return {"train": (x, np.stack([x[:, 0] + x[:, 1], x[:, 2]], axis=1))}


class HalveTheRate(keras.callbacks.Callback):
    """After each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2


class CountBatches(keras.callbacks.Callback):
    """Has something to do at each batch."""

    def on_train_batch_end(self, batch, logs=None):
        pass


def no_callback():
    return "nothing"


class PreparesItsInputs(keras_tuner.HyperModel):
    """Its `fit` trains on half of each picture, and the model takes no whole one."""

    def build(self, hp):
        model = keras.Sequential([keras.Input((4, 8, 1)), layers.Flatten(), layers.Dense(10, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        return model.fit(x[:, :4], y, validation_data=(validation_data[0][:, :4], validation_data[1]), **kwargs)


class Scale(layers.Layer):
    """A layer without get_config."""

    def __init__(self, by=1.0, **options):
        super().__init__(**options)
        self.by = by

    def call(self, x):
        return x * self.by


class Around(keras.optimizers.Optimizer):
    """An optimizer around another."""

    def __init__(self, inner):
        super().__init__(learning_rate=0.0)
        self.inner = inner

    def build(self, variables):
        self.inner.build(variables)
        super().build(variables)

    def apply(self, grads, trainable_variables=None):
        self.inner.apply([None if one is None else 0.5 * one for one in grads], trainable_variables)


def surprising(params, dataset):
    """Models that a copy must not replace, by name."""
    kind = params["kind"]
    inside = [layers.Dense(6, activation="relu")]
    optimizer = keras.optimizers.Adam(0.01)
    if kind == "own layer":
        inside.append(Scale(0.5))
    if kind == "around":
        optimizer = Around(optimizer)
    if kind == "scaled":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    if kind == "several":
        first = keras.optimizers.OptimizerMap(optimizer, {".*bias": keras.optimizers.SGD(0.1)})
        optimizer = keras.optimizers.MultiOptimizer(first)
    if kind == "averaging":
        optimizer = keras.optimizers.SGD(0.3, use_ema=True, ema_momentum=0.9)
    model = _network(*inside)
    if kind == "unbuilt":
        model = keras.Sequential([layers.Flatten(), *inside, layers.Dense(10, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    if kind == "patched":
        model.train_step = functools.partial(model.train_step)
    return model


def fails_in_training(params, dataset):
    model = _network(Breaks())
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Breaks(layers.Layer):
    """Cannot be trained, in a graph or elsewhere."""

    def call(self, x, training=False):
        if training:
            raise LookupError("no such shelf")
        return x


def swaps():
    return keras.callbacks.SwapEMAWeights()


class OwnInterrupt(BaseException):
    """Not an Exception, and its text cannot be read."""

    def __str__(self):
        raise ValueError("no words")


def raises(params, dataset):
    raise params["error"]
