"""Models as users write them, whose state a checkpoint must hold, or cannot."""

import keras
import keras_tuner
import numpy as np
import tensorflow as tf


def _compiled(optimizer, *inside):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *inside])
    model.add(keras.layers.Dense(12, "relu"))
    model.add(keras.layers.Dropout(0.2))
    model.add(keras.layers.Dense(10, "softmax"))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def averaged(params, dataset):
    return _compiled(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=5))


def accumulating(params, dataset):
    return _compiled(keras.optimizers.Adam(0.01, gradient_accumulation_steps=3))


def mixed(params, dataset):
    return _compiled("adam", keras.layers.Dense(12, "relu", dtype="mixed_bfloat16"))


class Tuned(keras_tuner.HyperModel):
    def build(self, hp):
        return _compiled("adam", keras.layers.Dense(hp.Int("units", 8, 16)))


class OwnFit(Tuned):
    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, **kwargs)


class Noisy(keras.layers.Layer):
    """Draws from TensorFlow's own generator, whose state is in no variable."""

    def call(self, x):
        return x + tf.random.normal(tf.shape(x), stddev=0.01)


class Counting(keras.layers.Layer):
    """Has a variable that Keras does not know."""

    def __init__(self):
        super().__init__()
        self.hidden = [lambda: COUNT]

    def call(self, x):
        COUNT.assign_add(1.0)
        return x / COUNT


COUNT = tf.Variable(1.0)


def noisy(params, dataset):
    return _compiled("adam", Noisy())


def counting(params, dataset):
    return _compiled("adam", Counting())


class OnlyLoud(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.loud = np.mean([epoch])
