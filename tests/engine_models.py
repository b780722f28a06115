"""Models as users write them, for the tests of engines. Run eagerly: tracing TensorFlow's graphs takes a second."""

import ctypes
import os
import time
from multiprocessing.connection import Connection
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from hpo.training import gpu_memory
from hpo.training.messages import Finished

TRIALS: list[str] = []


class Slow(layers.Layer):
    def call(self, x):
        time.sleep(0.1)
        return x


def _compiled(*inside, eager=True):
    model = keras.Sequential([keras.Input((4,)), *inside, layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=eager)
    return model


def quick(params, dataset):
    print("hello from the model")
    return _compiled(layers.Dropout(0.25))


def pausable(params, dataset):
    """Trains in a graph, and so may pause."""
    return _compiled(layers.Dropout(0.25), eager=False)


def slow(params, dataset):
    """An epoch takes most of a second."""
    print("hello from the slow model")
    return _compiled(Slow())


def counted(params, dataset):
    """Its process counts trials, in the module and in the environment, and each trial finds nothing counted."""
    TRIALS.append(os.environ.setdefault("TRIALS_COUNTED", str(len(TRIALS))))
    if TRIALS != ["0"]:
        raise ValueError(f"counted {TRIALS}")
    os.environ["TRIALS_COUNTED"] = "1"
    return _compiled()


def broken(params, dataset):
    raise ValueError("no such luck")


def shows_cards(params, dataset):
    raise ValueError(f"cards {os.environ['CUDA_VISIBLE_DEVICES']}")


def takes_nine_gib(params, dataset):
    """Its worker tells that of a GPU, whether there is one or not."""
    gpu_memory.peak = lambda: 9 * 2**30
    return _compiled()


def exits(params, dataset):
    for line in range(20):
        print(f"line {line}")
    os._exit(3)


def exits_once_finished(params, dataset):
    """Its worker exits as soon as it has sent its last event."""
    connection: Any = Connection
    send = connection.send

    def send_and_leave(self, answer):
        send(self, answer)
        if isinstance(answer, Finished):
            os._exit(3)

    connection.send = send_and_leave
    return quick(params, dataset)


def segfaults(params, dataset):
    """Is many calls deep when it dies, and more lines of log stand before that than are kept."""
    for line in range(20):
        print(f"line {line}", flush=True)
    _segfaults_below(20)


def _segfaults_below(calls):
    if calls:
        _segfaults_below(calls - 1)
    ctypes.string_at(0)


def as_wide_as_threads(params, dataset):
    """Has 5 numbers for each compute thread, twice, and 3 more; see `_compiled`."""
    intra, inter = (
        tf.config.threading.get_intra_op_parallelism_threads(),
        tf.config.threading.get_inter_op_parallelism_threads(),
    )
    return _compiled(layers.Dense(intra, use_bias=False), layers.Dense(inter, use_bias=False))


def tuned(hp):
    return _compiled(layers.Dense(hp.Int("units", 1, 4)))


def broken_tuned(hp):
    hp.Int("units", 1, 4)
    raise ValueError("no such luck")


def exits_tuned(hp):
    exits(hp, None)


def hangs(params, dataset):
    time.sleep(30)
